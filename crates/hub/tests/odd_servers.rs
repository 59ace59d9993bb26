//! Answers that no good server gives: more bytes than were promised, no ranges, ranges of something else.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use tempfile::TempDir;
use tiller_formats::ByteSource;
use tiller_hub::{Cancel, DiskStore, Hub, HubError, Store, obtain};
use tiller_sites::ModelRef;

/// sha256 of "abcdefghij".
const SUM: &str = "72399361da6a7754fec986dca5b7cbaf1c810a28ded4abaf56b2106d06cb78b0";

fn file() -> ModelRef {
    ModelRef {
        repo: "acme/odd".into(),
        revision: "main".into(),
        file: "odd.gguf".into(),
        bytes: Some(10),
        sha256: Some(SUM.into()),
    }
}

/// Gives the answers one after the other, a connection each, and keeps the requests.
fn serve(answers: Vec<&'static str>) -> (Hub, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hub = Hub::new(format!("http://{}", listener.local_addr().unwrap()));
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = requests.clone();
    thread::spawn(move || {
        for answer in answers {
            let (mut connection, _) = listener.accept().unwrap();
            seen.lock().unwrap().push(request(&mut connection));
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    (hub, requests)
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

fn fetch(hub: &Hub, folder: &TempDir) -> Result<Vec<u8>, HubError> {
    let store = DiskStore::new(folder.path());
    pollster::block_on(async {
        let found = obtain(hub, &store, &file(), &Cancel::new(), |_| {}).await?;
        Ok(found.read_at(0, found.len() as usize).await.unwrap())
    })
}

fn is_empty(folder: &TempDir) -> bool {
    pollster::block_on(DiskStore::new(folder.path()).list()).unwrap().is_empty()
}

const CUT: &str = "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabcd";
const WHOLE: &str = "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabcdefghij";

#[test]
fn a_body_without_a_length_that_goes_on_and_on_is_refused() {
    let (hub, _) = serve(vec!["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcdefghijklmnop"]);
    let folder = TempDir::new().unwrap();
    let found = fetch(&hub, &folder);
    assert!(matches!(found, Err(HubError::WrongLength { expected: 10, .. })), "{found:?}");
    assert!(is_empty(&folder));
}

#[test]
fn a_server_without_ranges_sends_the_whole_file_again() {
    let (hub, requests) = serve(vec![CUT, WHOLE]);
    assert_eq!(fetch(&hub, &TempDir::new().unwrap()).unwrap(), b"abcdefghij");
    let requests = requests.lock().unwrap();
    assert!(!requests[0].contains("\r\nrange:"), "{}", requests[0]);
    assert!(requests[1].contains("\r\nrange: bytes=4-\r\n"), "{}", requests[1]);
    assert!(requests[1].contains("\r\nif-range: \"v1\"\r\n"), "{}", requests[1]);
}

#[test]
fn a_range_of_something_else_is_not_appended() {
    for other in [
        "HTTP/1.1 206 P\r\nETag: \"v2\"\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\nConnection: close\r\n\r\nEFGHIJ",
        "HTTP/1.1 206 P\r\nETag: \"v1\"\r\nContent-Range: bytes 3-9/10\r\nContent-Length: 7\r\nConnection: close\r\n\r\ndefghij",
        "HTTP/1.1 206 P\r\nETag: \"v1\"\r\nContent-Range: bytes 4-9/11\r\nContent-Length: 7\r\nConnection: close\r\n\r\nefghijk",
        "HTTP/1.1 416 R\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ] {
        let (hub, requests) = serve(vec![CUT, other, WHOLE]);
        assert_eq!(fetch(&hub, &TempDir::new().unwrap()).unwrap(), b"abcdefghij", "{other}");
        assert!(!requests.lock().unwrap()[2].contains("\r\nrange:"));
    }
}

#[test]
fn a_server_that_always_breaks_is_given_up_and_what_came_is_kept() {
    const MORE: &str = "HTTP/1.1 206 P\r\nETag: \"v1\"\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n";
    let (hub, _) = serve(vec![CUT, MORE, MORE, MORE, MORE]);
    let folder = TempDir::new().unwrap();
    let found = fetch(&hub, &folder);
    assert!(matches!(found, Err(HubError::Broken { tries: 5, received: 4 })), "{found:?}");
    let kept = pollster::block_on(DiskStore::new(folder.path()).list()).unwrap();
    assert_eq!((kept.len(), kept[0].bytes, kept[0].complete), (1, 4, false));
}
