//! The server over real TCP, held against what the hub's clients rely on.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use tiller_localhub::{Config, Fault, Server, serve, sha256_of_file};
use ureq::http::Response;
use ureq::{Agent, Body};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const MODEL: &str = "/acme/tiny/resolve/main/tiny.gguf";

/// A server over a folder of its own, with one repository: a model, a small text, and a file in a folder.
struct Fixture {
    server: Server,
    folder: PathBuf,
    model: Vec<u8>,
}

impl Fixture {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = std::env::temp_dir().join(format!(
            "tiller-hub-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        let revision = folder.join("hub/acme/tiny").join(COMMIT);
        fs::create_dir_all(revision.join("extra")).unwrap();
        let model: Vec<u8> = (0..300_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
        fs::write(revision.join("tiny.gguf"), &model).unwrap();
        fs::write(revision.join("README.md"), "tiny").unwrap();
        fs::write(revision.join("extra/config.json"), "{}").unwrap();
        fs::write(folder.join("secret.txt"), "secret").unwrap();
        fs::create_dir_all(folder.join("dist")).unwrap();
        fs::write(folder.join("dist/index.html"), "<meta name=\"tiller-hub\" content=\"\"><p>page</p>").unwrap();
        fs::write(folder.join("dist/app.wasm"), b"\0asm").unwrap();
        let server = serve(Config::new(folder.join("hub")).with_page(folder.join("dist"))).unwrap();
        Self { server, folder, model }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.origin())
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let mut request = agent(10).get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.call().unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn agent(max_redirects: u32) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(max_redirects)
        .max_redirects_will_error(false)
        .build()
        .into()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn bytes(mut response: Response<Body>) -> Vec<u8> {
    response.body_mut().read_to_vec().unwrap()
}

#[test]
fn a_model_is_found_behind_a_redirect_that_says_what_it_is() {
    let hub = Fixture::new();
    let sum = sha256_of_file(&hub.folder.join("hub/acme/tiny").join(COMMIT).join("tiny.gguf")).unwrap();
    for redirect in [agent(0).get(hub.url(MODEL)).call().unwrap(), agent(0).head(hub.url(MODEL)).call().unwrap()] {
        assert_eq!(redirect.status(), 302);
        assert_eq!(header(&redirect, "x-repo-commit"), COMMIT);
        assert_eq!(header(&redirect, "x-linked-size"), "300000");
        assert_eq!(header(&redirect, "x-linked-etag"), format!("\"{sum}\""));
        assert_eq!(header(&redirect, "access-control-allow-origin"), "*");
        assert_eq!(header(&redirect, "location"), hub.url(&format!("/cdn/acme/tiny/{COMMIT}/tiny.gguf")));
    }
    let whole = hub.get(MODEL, &[]);
    assert_eq!(whole.status(), 200);
    assert_eq!(header(&whole, "content-length"), "300000");
    assert_eq!(header(&whole, "accept-ranges"), "bytes");
    assert_eq!(bytes(whole), hub.model);
}

#[test]
fn parts_of_a_file() {
    let hub = Fixture::new();
    let part = hub.get(MODEL, &[("range", "bytes=1000-1999")]);
    assert_eq!(part.status(), 206);
    assert_eq!(header(&part, "content-range"), "bytes 1000-1999/300000");
    let etag = header(&part, "etag").to_owned();
    assert_eq!(bytes(part), &hub.model[1000..2000]);

    let rest = hub.get(MODEL, &[("range", "bytes=299000-"), ("if-range", &etag)]);
    assert_eq!(rest.status(), 206);
    assert_eq!(bytes(rest), &hub.model[299_000..]);

    let other_version = hub.get(MODEL, &[("range", "bytes=299000-"), ("if-range", "\"another\"")]);
    assert_eq!(other_version.status(), 200);

    let behind = hub.get(MODEL, &[("range", "bytes=300000-")]);
    assert_eq!(behind.status(), 416);
    assert_eq!(header(&behind, "content-range"), "bytes */300000");

    let known = hub.get(MODEL, &[("if-none-match", &etag)]);
    assert_eq!(known.status(), 304);
    assert_eq!(bytes(known), b"");
}

#[test]
fn a_head_tells_the_size_and_sends_nothing() {
    let hub = Fixture::new();
    let head = agent(10).head(hub.url(MODEL)).call().unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "300000"));
    assert_eq!(hub.server.log().bytes_sent(""), 0);
}

#[test]
fn small_files_come_directly() {
    let hub = Fixture::new();
    let readme = agent(0).get(hub.url("/acme/tiny/resolve/main/README.md")).call().unwrap();
    assert_eq!(readme.status(), 200);
    assert_eq!(header(&readme, "x-repo-commit"), COMMIT);
    assert_eq!(bytes(readme), b"tiny");
}

#[test]
fn what_is_missing_has_the_hubs_code() {
    let hub = Fixture::new();
    for (path, code) in [
        ("/acme/none/resolve/main/tiny.gguf", "RepoNotFound"),
        ("/acme/tiny/resolve/v2/tiny.gguf", "RevisionNotFound"),
        ("/acme/tiny/resolve/main/none.gguf", "EntryNotFound"),
        ("/api/models/acme/none", "RepoNotFound"),
        ("/api/models/acme/tiny/tree/v2", "RevisionNotFound"),
        ("/api/models/acme/tiny/tree/main/none", "EntryNotFound"),
    ] {
        let answer = hub.get(path, &[]);
        assert_eq!((answer.status().as_u16(), header(&answer, "x-error-code")), (404, code), "{path}");
    }
}

#[test]
fn the_list_of_a_repository() {
    let hub = Fixture::new();
    let json = |path: &str| serde_json::from_slice::<serde_json::Value>(&bytes(hub.get(path, &[]))).unwrap();
    let paths = |list: &serde_json::Value| -> Vec<String> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|row| format!("{} {}", row["type"].as_str().unwrap(), row["path"].as_str().unwrap()))
            .collect()
    };
    let top = json("/api/models/acme/tiny/tree/main");
    assert_eq!(paths(&top), ["directory extra", "file README.md", "file tiny.gguf"]);
    assert_eq!(top[2]["size"], 300_000);
    assert_eq!(top[2]["lfs"]["size"], 300_000);
    assert_eq!(top[2]["lfs"]["oid"].as_str().unwrap().len(), 64);
    // As `printf tiny | git hash-object --stdin` says.
    assert_eq!(top[1]["oid"], "18a34fb35b429cbe726343d516d4830498c76359");
    let all = json(&format!("/api/models/acme/tiny/tree/{COMMIT}?recursive=true"));
    assert_eq!(paths(&all), ["directory extra", "file README.md", "file extra/config.json", "file tiny.gguf"]);
    assert_eq!(paths(&json("/api/models/acme/tiny/tree/main/extra")), ["file extra/config.json"]);
    let about = json("/api/models/acme/tiny");
    assert_eq!((&about["sha"], &about["siblings"][0]["rfilename"]), (&COMMIT.into(), &"README.md".into()));
}

#[test]
fn a_page_from_elsewhere_may_ask() {
    let hub = Fixture::new();
    let mut connection = TcpStream::connect(hub.server.address()).unwrap();
    write!(
        connection,
        "OPTIONS {MODEL} HTTP/1.1\r\nHost: h\r\nOrigin: http://elsewhere\r\nAccess-Control-Request-Method: GET\r\n\
         Access-Control-Request-Headers: range\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let answer = answer.to_lowercase();
    assert!(answer.starts_with("http/1.1 204"), "{answer}");
    for line in
        ["access-control-allow-origin: *", "access-control-allow-headers: range", "access-control-allow-methods: get"]
    {
        assert!(answer.contains(line), "{line} is not in {answer}");
    }
    let get = hub.get(MODEL, &[("origin", "http://elsewhere")]);
    assert!(header(&get, "access-control-expose-headers").contains("X-Linked-Size"));
}

#[test]
fn the_page_learns_where_its_hub_is() {
    let hub = Fixture::new();
    let page = hub.get("/", &[]);
    assert_eq!(header(&page, "cache-control"), "no-cache");
    let expected = format!("<meta name=\"tiller-hub\" content=\"{}\"><p>page</p>", hub.server.origin());
    assert_eq!(String::from_utf8(bytes(page)).unwrap(), expected);
    let wasm = hub.get("/app.wasm", &[]);
    assert_eq!(header(&wasm, "content-type"), "application/wasm");
    let again = hub.get("/app.wasm", &[("if-none-match", header(&wasm, "etag"))]);
    assert_eq!(again.status(), 304);
    assert_eq!(hub.get("/none.js", &[]).status(), 404);
}

#[test]
fn the_page_is_isolated_unless_it_is_not_to_be() {
    let hub = Fixture::new();
    let open =
        serve(Config::new(hub.folder.join("hub")).with_page(hub.folder.join("dist")).without_isolation()).unwrap();
    for path in ["/", "/app.wasm"] {
        let isolated = hub.get(path, &[]);
        let answer = agent(10).get(format!("{}{path}", open.origin())).call().unwrap();
        for (name, value) in tiller_localhub::ISOLATION {
            assert_eq!(header(&isolated, name), value);
            assert!(!answer.headers().contains_key(name), "{name} at {path}");
        }
    }
}

/// Files of models too, and what is missing: a frame or a script that is refused shows an error of its own.
#[test]
fn an_isolated_page_may_embed_whatever_is_served() {
    let hub = Fixture::new();
    for path in ["/", "/app.wasm", "/none.js", MODEL] {
        let answer = agent(5).get(hub.url(path)).call().unwrap();
        assert_eq!(header(&answer, "cross-origin-resource-policy"), "cross-origin", "{path}");
    }
}

/// Written to the socket as it stands: an HTTP client would tidy the path first.
#[test]
fn no_path_leaves_its_folder() {
    let hub = Fixture::new();
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/acme/tiny/resolve/main/../../../../secret.txt",
        "/acme/tiny/resolve/main/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fsecret.txt",
        "/acme/%2e%2e/resolve/%2e%2e/secret.txt",
        "/acme/tiny/resolve/%2e%2e%2f%2e%2e%2f%2e%2e/secret.txt",
        "/cdn/acme/tiny/main/.tiny.gguf.sha256",
        "/api/models/acme/tiny/tree/main/%2e%2e",
    ] {
        let mut connection = TcpStream::connect(hub.server.address()).unwrap();
        write!(connection, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
}

#[test]
fn a_cut_connection_can_be_resumed() {
    let hub = Fixture::new();
    hub.server.faults().times(1, "tiny.gguf", Fault::Cut { after: 200_000 });
    let mut first = Vec::new();
    let cut = hub.get(MODEL, &[]).body_mut().as_reader().read_to_end(&mut first);
    assert!(cut.is_err(), "the client must notice that the body is short");
    assert!(first.len() <= 200_000 && hub.model.starts_with(&first));
    let received = first.len() as u64;
    first.extend(bytes(hub.get(MODEL, &[("range", &format!("bytes={received}-"))])));
    assert!(first == hub.model);
    let sent: Vec<u64> = hub.server.log().entries().iter().map(|entry| entry.bytes_sent).filter(|&n| n > 0).collect();
    assert_eq!(sent, [200_000, 300_000 - received]);
}

#[test]
fn a_corrupted_byte_and_nothing_else() {
    let hub = Fixture::new();
    hub.server.faults().times(1, "tiny.gguf", Fault::Corrupt { at: 150_001 });
    let damaged = bytes(hub.get(MODEL, &[("range", "bytes=100000-199999")]));
    let differ: Vec<usize> = (0..100_000).filter(|&i| damaged[i] != hub.model[100_000 + i]).collect();
    assert_eq!(differ, [50_001]);
    assert!(bytes(hub.get(MODEL, &[])) == hub.model);
}

#[test]
fn a_status_on_order() {
    let hub = Fixture::new();
    hub.server.faults().times(1, "tiny.gguf", Fault::Status(404));
    hub.server.faults().times(1, "README", Fault::Status(503));
    assert_eq!(header(&hub.get(MODEL, &[]), "x-error-code"), "EntryNotFound");
    assert_eq!(hub.get("/acme/tiny/resolve/main/README.md", &[]).status(), 503);
    assert_eq!(hub.get(MODEL, &[]).status(), 200);
}

#[test]
fn a_slow_line() {
    let hub = Fixture::new();
    hub.server.faults().always("tiny.gguf", Fault::Throttle { bytes_per_second: 600_000 });
    let start = Instant::now();
    assert!(bytes(hub.get(MODEL, &[])) == hub.model);
    let seconds = start.elapsed().as_secs_f64();
    assert!((0.3..5.0).contains(&seconds), "half a second's worth took {seconds} s");
}

#[test]
fn the_log_tells_what_was_asked_and_sent() {
    let hub = Fixture::new();
    bytes(hub.get(MODEL, &[("range", "bytes=0-99")]));
    let entries = hub.server.log().entries();
    let seen: Vec<_> = entries
        .iter()
        .map(|e| (e.method.as_str(), e.path.as_str(), e.range.as_deref(), e.status, e.bytes_sent))
        .collect();
    let cdn = format!("/cdn/acme/tiny/{COMMIT}/tiny.gguf");
    assert_eq!(seen, [("GET", MODEL, Some("bytes=0-99"), 302, 0), ("GET", cdn.as_str(), Some("bytes=0-99"), 206, 100)]);
    hub.server.log().clear();
    assert_eq!(hub.server.log().bytes_sent(""), 0);
}

#[test]
fn a_stopped_server_is_gone() {
    let hub = Fixture::new();
    let address = hub.server.address();
    let second = serve(Config::new(&hub.folder)).unwrap();
    let other = second.address();
    second.stop();
    assert!(TcpStream::connect(address).is_ok());
    assert!(TcpStream::connect(other).is_err());
}
