//! The browser's stores, in a dedicated worker of a real browser.
#![cfg(target_arch = "wasm32")]

use futures_channel::oneshot;
use futures_util::future::join;
use tiller_formats::ByteSource;
use tiller_hub::{BrowserStore, Cancel, Hub, HubError, Partial, Phase, Store, Writer, obtain};
use tiller_sites::ModelRef;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// sha256 of "abcdefghij".
const SUM: &str = "72399361da6a7754fec986dca5b7cbaf1c810a28ded4abaf56b2106d06cb78b0";

/// Every test has a repository of its own: the tests share one browser, and so one file system.
fn file(repo: &str) -> ModelRef {
    ModelRef {
        repo: format!("acme/{repo}"),
        revision: COMMIT.into(),
        file: "sub/tiny.gguf".into(),
        bytes: Some(10),
        sha256: Some(SUM.into()),
    }
}

fn version(name: &str) -> Partial {
    Partial { etag: Some(name.into()) }
}

async fn keep(store: &BrowserStore, file: &ModelRef) {
    let mut writer = store.append(file).await.unwrap();
    writer.restart(version("v1")).await.unwrap();
    writer.write(b"abcdefghij").await.unwrap();
    store.finish(file, writer).await.unwrap();
}

async fn entries(store: &BrowserStore, file: &ModelRef) -> Vec<(u64, bool)> {
    let all = store.list().await.unwrap();
    all.into_iter().filter(|entry| entry.model.repo == file.repo).map(|entry| (entry.bytes, entry.complete)).collect()
}

/// No server stands here: what succeeds was found in the cache.
async fn find(store: &BrowserStore, file: &ModelRef) -> Result<Vec<u8>, HubError> {
    let nowhere = Hub::new("http://127.0.0.1:9");
    let mut phases = Vec::new();
    let found = obtain(&nowhere, store, file, &Cancel::new(), |progress| phases.push(progress.phase)).await?;
    assert_eq!(phases, [Phase::Ready]);
    Ok(found.read_at(0, found.len() as usize).await.unwrap())
}

#[wasm_bindgen_test]
async fn a_file_is_written_in_two_goes_listed_found_and_removed() {
    let store = BrowserStore::open().await;
    assert!(store.usage().await.persistent, "this browser has a private file system");
    let file = file("two-goes");
    let mut writer = store.append(&file).await.unwrap();
    assert_eq!((writer.len(), writer.partial()), (0, &Partial::default()));
    writer.restart(version("v1")).await.unwrap();
    writer.write(b"abcd").await.unwrap();
    drop(writer);
    assert_eq!(entries(&store, &file).await, [(4, false)]);
    assert!(store.open(&file).await.unwrap().is_none(), "what is not complete is not found");

    // As after a reload.
    let store = BrowserStore::open().await;
    let mut writer = store.append(&file).await.unwrap();
    assert_eq!((writer.len(), writer.partial()), (4, &version("v1")));
    assert_eq!(writer.read(1, 3).await.unwrap(), b"bcd");
    assert!(writer.room().await.is_some_and(|bytes| bytes > 0));
    writer.write(b"efghij").await.unwrap();
    let found = store.finish(&file, writer).await.unwrap();
    assert_eq!(found.read_at(3, 4).await.unwrap(), b"defg");
    assert!(found.read_at(8, 3).await.is_err());
    assert_eq!(entries(&store, &file).await, [(10, true)]);
    assert_eq!(find(&store, &file).await.unwrap(), b"abcdefghij");

    store.remove(&file).await.unwrap();
    assert_eq!(entries(&store, &file).await, []);
    assert!(store.open(&file).await.unwrap().is_none());
    store.remove(&file).await.unwrap();
}

#[wasm_bindgen_test]
async fn a_file_that_is_being_written_is_nobody_elses() {
    let file = file("in-use");
    let store = BrowserStore::open().await;
    let writer = store.append(&file).await.unwrap();
    // Another tab opens the same file system.
    let other = BrowserStore::open().await;
    assert!(matches!(other.append(&file).await, Err(HubError::InUse)));
    assert!(matches!(other.remove(&file).await, Err(HubError::InUse)));
    writer.discard().await.unwrap();
    assert_eq!(entries(&store, &file).await, []);
    other.append(&file).await.unwrap().discard().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_file_that_another_tab_receives_is_waited_for() {
    let file = file("elsewhere");
    let (store, other) = (BrowserStore::open().await, BrowserStore::open().await);
    let mut writer = other.append(&file).await.unwrap();
    writer.restart(version("v1")).await.unwrap();
    writer.write(b"abcdef").await.unwrap();
    let (tell, told) = oneshot::channel();
    let (mut tell, mut seen) = (Some(tell), Vec::new());
    let nowhere = Hub::new("http://127.0.0.1:9");
    let cancel = Cancel::new();
    let waits = obtain(&nowhere, &store, &file, &cancel, |progress| {
        seen.push((progress.phase, progress.received));
        tell.take().into_iter().for_each(|tell| tell.send(()).unwrap());
    });
    let receives = async {
        told.await.unwrap();
        writer.write(b"ghij").await.unwrap();
        other.finish(&file, writer).await.unwrap();
    };
    let (found, ()) = join(waits, receives).await;
    let found = found.unwrap();
    assert_eq!(found.read_at(0, 10).await.unwrap(), b"abcdefghij");
    assert_eq!((seen[0], seen[seen.len() - 1]), ((Phase::Elsewhere, 6), (Phase::Ready, 10)));
    store.remove(&file).await.unwrap();
}

#[wasm_bindgen_test]
async fn a_link_with_a_false_checksum_does_not_cost_the_cached_file() {
    for store in [BrowserStore::open().await, BrowserStore::in_memory()] {
        let file = file("false-link");
        keep(&store, &file).await;
        for lie in
            [ModelRef { sha256: Some("0".repeat(64)), ..file.clone() }, ModelRef { bytes: Some(11), ..file.clone() }]
        {
            assert!(matches!(find(&store, &lie).await, Err(HubError::OtherFile { .. })));
        }
        let unpinned = ModelRef { bytes: None, sha256: None, ..file.clone() };
        assert_eq!(find(&store, &unpinned).await.unwrap(), b"abcdefghij");
        assert_eq!(find(&store, &file).await.unwrap(), b"abcdefghij");
        store.remove(&file).await.unwrap();
    }
}

#[wasm_bindgen_test]
async fn a_branch_that_moved_is_fetched_again() {
    let store = BrowserStore::open().await;
    let file = ModelRef { revision: "refs/pr/1".into(), ..file("moved") };
    keep(&store, &file).await;
    let moved = ModelRef { sha256: Some("0".repeat(64)), ..file.clone() };
    assert!(store.open(&moved).await.unwrap().is_none());
    assert_eq!(store.append(&moved).await.unwrap().len(), 0);
    store.remove(&file).await.unwrap();
}

#[wasm_bindgen_test]
async fn memory_keeps_files_too() {
    let store = BrowserStore::in_memory();
    assert!(!store.usage().await.persistent);
    let file = file("memory");
    let mut writer = store.append(&file).await.unwrap();
    writer.write(b"what comes to nothing").await.unwrap();
    writer.restart(version("v1")).await.unwrap();
    writer.write(b"abcdef").await.unwrap();
    writer.write(b"ghij").await.unwrap();
    let found = store.finish(&file, writer).await.unwrap();
    assert_eq!(found.read_at(4, 4).await.unwrap(), b"efgh");
    assert_eq!(find(&store, &file).await.unwrap(), b"abcdefghij");
    assert_eq!(entries(&store, &file).await, [(10, true)]);
    store.remove(&file).await.unwrap();
    assert_eq!(entries(&store, &file).await, []);
}

#[wasm_bindgen_test]
async fn stopping_ends_the_wait_for_a_hub_that_is_not_there() {
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let nowhere = Hub::new("http://127.0.0.1:9");
    let found = obtain(&nowhere, &BrowserStore::in_memory(), &file("stopped"), &cancel, move |progress| {
        if matches!(progress.phase, Phase::Resuming { .. }) {
            stop.cancel();
        }
    })
    .await;
    assert!(matches!(found, Err(HubError::Cancelled)));
}
