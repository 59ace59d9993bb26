//! What a repository holds, asked of a real server.

mod served;

use served::{BYTES, FILE, Fixture, REPO, REVISION};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use tiller_hub::{Cancel, Hub, HubError, Repository, What, offer};
use tiller_localhub::{Fault, sha256_of_file};
use tiller_sites::AccessToken;

fn look_up(hub: &Hub, repo: &str, revision: &str) -> Result<Repository, HubError> {
    pollster::block_on(Repository::look_up(hub, repo, revision, &Cancel::new()))
}

#[test]
fn a_repository_is_listed_at_the_commit_that_its_branch_names() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.served.with_file_name("sub")).unwrap();
    fs::write(fixture.served.with_file_name("sub").join("big.Q8_0.gguf"), vec![7; 5_000_000]).unwrap();
    fs::write(fixture.served.with_file_name("README.md"), "tiny").unwrap();
    let found = look_up(&Hub::new(fixture.server.origin()), REPO, "main").unwrap();
    assert_eq!((&*found.commit, found.gated, found.files.len()), (REVISION, false, 3));

    let offer = offer(&found);
    let files: Vec<_> = offer.choices.iter().map(|choice| (&choice.what, choice.bytes)).collect();
    let What::File(tiny) = files[0].0 else { panic!("{files:?}") };
    assert_eq!((&*tiny.file, &*tiny.revision, tiny.bytes), (FILE, REVISION, Some(BYTES as u64)));
    assert_eq!(tiny.sha256, Some(sha256_of_file(&fixture.served).unwrap()));
    let (proposed, _) = offer.proposed.clone().unwrap();
    assert_eq!(offer.choices[proposed].quantisation.as_deref(), Some("Q8_0"));
}

#[test]
fn what_cannot_be_listed_says_why() {
    let fixture = Fixture::new();
    let hub = Hub::new(fixture.server.origin());
    assert!(matches!(look_up(&hub, "acme/nothing", "main"), Err(HubError::NoRepository { .. })));
    assert!(matches!(look_up(&hub, REPO, "v9"), Err(HubError::NoRevision { .. })));
    assert!(matches!(look_up(&hub, "../etc", "main"), Err(HubError::Reference(_))));
    let faults = fixture.server.faults();
    faults.times(1, "api/acme", Fault::Busy { retry_after_s: 100 });
    assert!(matches!(look_up(&hub, REPO, "main"), Err(HubError::TooManyRequests { wait_s: Some(100) })));
    faults.times(1, "api/acme", Fault::Busy { retry_after_s: 1 });
    assert!(look_up(&hub, REPO, "main").is_ok(), "a short wait is waited out");
    faults.always("api/acme", Fault::Gated { token: "hf_right" });
    assert!(matches!(look_up(&hub, REPO, "main"), Err(HubError::Gated { .. })));
    let with_token = hub.clone().with_token(Some(AccessToken::new("hf_right").unwrap()));
    assert!(look_up(&with_token, REPO, "main").is_ok());
    assert!(look_up(&Hub::new("http://127.0.0.1:9"), REPO, "main").unwrap_err().to_string().contains("be reached"));
}

/// Gives the answers one after the other, a connection each, and keeps the requests. `{here}` is its own address.
fn serve(answers: Vec<String>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (seen, here) = (requests.clone(), origin.clone());
    thread::spawn(move || {
        for answer in answers {
            let (mut connection, _) = listener.accept().unwrap();
            seen.lock().unwrap().push(request(&mut connection));
            connection.write_all(answer.replace("{here}", &here).as_bytes()).unwrap();
        }
    });
    (origin, requests)
}

fn request(connection: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if connection.read(&mut byte).unwrap() == 0 {
            break;
        }
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap().to_lowercase()
}

fn json(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len())
}

const ABOUT: &str = r#"{"sha":"0123456789abcdef0123456789abcdef01234567","gated":"manual","cardData":{"license":"mit"},
    "gguf":{"architecture":"gemma3"}}"#;

#[test]
fn a_listing_of_several_pages_is_read_to_its_end() {
    let page = |name: &str| format!(r#"[{{"type":"file","path":"{name}","size":3}}]"#);
    let further = "Link: <{here}/api/models/acme/many/tree/x?cursor=2>; rel=\"next\"\r\n";
    let (origin, requests) = serve(vec![json("", ABOUT), json(further, &page("a.gguf")), json("", &page("b.gguf"))]);
    let found = look_up(&Hub::new(origin), "acme/many", "main").unwrap();
    assert_eq!(found.files.iter().map(|file| &*file.path).collect::<Vec<_>>(), ["a.gguf", "b.gguf"]);
    assert!(found.gated);
    assert_eq!((found.licence.as_deref(), found.architecture.as_deref()), (Some("mit"), Some("gemma3")));
    assert!(requests.lock().unwrap()[2].contains("cursor=2"));
}

#[test]
fn a_listing_does_not_lead_to_another_server() {
    let further = "Link: <http://127.0.0.1:9/api/models/acme/many/tree/x>; rel=\"next\"\r\n";
    let (origin, _) = serve(vec![json("", ABOUT), json(further, "[]")]);
    assert!(matches!(look_up(&Hub::new(origin), "acme/many", "main"), Err(HubError::NoListing)));
    for nonsense in ["<html>", "[1]", "{\"sha\":\"../..\"}"] {
        let (origin, _) = serve(vec![json("", nonsense)]);
        assert!(look_up(&Hub::new(origin), "acme/odd", "main").is_err(), "{nonsense}");
    }
}

#[test]
fn a_token_stays_with_the_hub_when_it_sends_one_on() {
    let (elsewhere, asked_elsewhere) = serve(vec![json("", "[]")]);
    // Another name of the same machine: to a client, another server.
    let elsewhere = elsewhere.replace("127.0.0.1", "localhost");
    let redirect =
        format!("HTTP/1.1 302 F\r\nLocation: {elsewhere}/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let (origin, asked) = serve(vec![json("", ABOUT), redirect]);
    let hub = Hub::new(origin).with_token(Some(AccessToken::new("hf_secret").unwrap()));
    look_up(&hub, "acme/moved", "main").unwrap();
    assert!(asked.lock().unwrap().iter().all(|request| request.contains("authorization: bearer hf_secret")));
    assert!(!asked_elsewhere.lock().unwrap()[0].contains("hf_secret"));
}
