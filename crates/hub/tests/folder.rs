//! A repository of several files, as a folder, from a real server over TCP.

use std::cell::RefCell;
use std::fs;
use tempfile::TempDir;
use tiller_formats::{ByteSource, Folder};
use tiller_hub::{Cancel, DiskStore, Hub, HubError, HubFolder, Repository, What, offer};
use tiller_localhub::{Config, serve};
use tiller_sites::ModelRef;

const REPO: &str = "acme/tiny";
const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn files_are_fetched_once_when_they_are_opened_and_others_are_not_asked_for() {
    let folder = TempDir::new().unwrap();
    let served = folder.path().join("hub").join(REPO).join(REVISION);
    fs::create_dir_all(&served).unwrap();
    fs::write(served.join("config.json"), b"{}").unwrap();
    fs::write(served.join("model.safetensors"), vec![7; 100_000]).unwrap();
    let server = serve(Config::new(folder.path().join("hub"))).unwrap();
    let (hub, store, cancel) = (Hub::new(server.origin()), DiskStore::new(folder.path().join("cache")), Cancel::new());
    let repository = pollster::block_on(Repository::look_up(&hub, REPO, "main", &cancel)).unwrap();
    let What::Folder(files) = offer(&repository).choices.remove(0).what else { panic!("the repository is a folder") };

    let told = RefCell::new(Vec::new());
    let note = |file: &ModelRef, _| told.borrow_mut().push(file.file.clone());
    let files = HubFolder::new(&hub, &store, &files, &cancel, note);
    let open = |name: &str| pollster::block_on(files.open(name));
    assert_eq!(open("config.json").unwrap().unwrap().len(), 2);
    let weights = open("model.safetensors").unwrap().unwrap();
    assert_eq!(pollster::block_on(weights.read_at(99_999, 1)).unwrap(), [7]);
    assert!(told.borrow().iter().any(|name| name == "model.safetensors"));

    let requests = server.log().entries().len();
    assert!(open("tokenizer.json").unwrap().is_none());
    assert!(open("config.json").unwrap().is_some());
    assert_eq!(server.log().entries().len(), requests, "neither what is not there nor what is kept takes a request");
}

#[test]
fn what_the_hub_refuses_is_told() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("hub")).unwrap();
    let server = serve(Config::new(folder.path().join("hub"))).unwrap();
    let (hub, store, cancel) = (Hub::new(server.origin()), DiskStore::new(folder.path().join("cache")), Cancel::new());
    let file = |repo: &str, file: &str| ModelRef {
        repo: repo.into(),
        revision: REVISION.into(),
        file: file.into(),
        bytes: None,
        sha256: None,
    };
    let files = [file(REPO, "config.json"), file(REPO, "../secret")];
    let folder = HubFolder::new(&hub, &store, &files, &cancel, |_, _| {});
    let refusal = |name: &str| pollster::block_on(folder.open(name)).unwrap_err().downcast::<HubError>().unwrap();
    assert!(matches!(refusal("../secret"), HubError::Reference(_)));
    assert!(matches!(refusal("config.json"), HubError::NoRepository { .. }));
    cancel.cancel();
    assert!(matches!(refusal("config.json"), HubError::Cancelled));
}
