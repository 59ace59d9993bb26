//! Transfers from a real server over TCP that breaks, lies and refuses to order.

mod served;

use served::{BYTES, FILE, Fixture, REPO, REVISION};
use std::fs;
use std::time::{Duration, Instant};
use tiller_hub::{Cancel, Hub, HubError, Phase, Store, obtain};
use tiller_localhub::Fault;
use tiller_sites::{AccessToken, ModelRef};

#[test]
fn a_file_comes_whole_and_a_second_time_without_a_request() {
    let fixture = Fixture::new();
    let (found, progress) = fixture.obtain(&fixture.file());
    assert_eq!(found.unwrap(), fixture.content);
    assert!(progress.iter().any(|p| p.phase == Phase::Downloading && p.total == Some(BYTES as u64)));
    assert_eq!(fixture.ranges(), [None]);

    let requests = fixture.server.log().entries().len();
    let (found, progress) = fixture.obtain(&fixture.file());
    assert_eq!(found.unwrap(), fixture.content);
    assert_eq!(progress.iter().map(|p| p.phase).collect::<Vec<_>>(), [Phase::Ready]);
    assert_eq!(fixture.server.log().entries().len(), requests);

    let listed = pollster::block_on(fixture.cache.list()).unwrap();
    assert_eq!((listed.len(), listed[0].bytes, listed[0].complete), (1, BYTES as u64, true));
}

#[test]
fn a_connection_that_breaks_goes_on_where_it_broke() {
    let fixture = Fixture::new();
    fixture.server.faults().times(2, FILE, Fault::Cut { after: 1_500_000 });
    let (found, progress) = fixture.obtain(&fixture.file());
    assert_eq!(found.unwrap(), fixture.content);
    let resumed: Vec<u64> =
        progress.iter().filter_map(|p| if let Phase::Resuming { at } = p.phase { Some(at) } else { None }).collect();
    assert_eq!(resumed.len(), 2, "{resumed:?}");
    assert!(resumed.iter().all(|&at| at > 0), "{resumed:?}");
    let expected: Vec<Option<String>> =
        std::iter::once(None).chain(resumed.iter().map(|at| Some(format!("bytes={at}-")))).collect();
    assert_eq!(fixture.ranges(), expected);
}

#[test]
fn a_stopped_transfer_keeps_what_came_and_goes_on_later() {
    let fixture = Fixture::new();
    let cancel = Cancel::new();
    // The server sends no more than half: the rest is left for the second call.
    fixture.server.faults().times(1, FILE, Fault::Cut { after: BYTES as u64 / 2 });
    let stop = cancel.clone();
    let (found, _) = fixture.obtain_until(&fixture.file(), &cancel, move |p| {
        if matches!(p.phase, Phase::Resuming { .. }) {
            stop.cancel();
        }
    });
    assert!(matches!(found, Err(HubError::Cancelled)), "{found:?}");
    let listed = pollster::block_on(fixture.cache.list()).unwrap();
    assert_eq!((listed.len(), listed[0].complete), (1, false));
    let left = listed[0].bytes;
    assert!(left > 0);

    fixture.server.log().clear();
    let (found, progress) = fixture.obtain(&fixture.file());
    assert_eq!(found.unwrap(), fixture.content);
    assert_eq!(fixture.ranges(), [Some(format!("bytes={left}-"))]);
    assert_eq!(progress[0].phase, Phase::Verifying, "what was left is hashed again");
}

#[test]
fn another_version_on_the_server_starts_over() {
    let fixture = Fixture::new();
    let file = ModelRef { bytes: None, sha256: None, ..fixture.file() };
    let cancel = Cancel::new();
    fixture.server.faults().times(1, FILE, Fault::Cut { after: 1_000_000 });
    let stop = cancel.clone();
    let (found, _) = fixture.obtain_until(&file, &cancel, move |p| {
        if matches!(p.phase, Phase::Resuming { .. }) {
            stop.cancel();
        }
    });
    assert!(found.is_err());
    let other: Vec<u8> = fixture.content.iter().rev().copied().collect();
    fs::write(&fixture.served, &other).unwrap();
    assert_eq!(fixture.obtain(&file).0.unwrap(), other);
}

#[test]
fn other_bytes_than_the_reference_names_are_not_kept() {
    let fixture = Fixture::new();
    fixture.server.faults().always(FILE, Fault::Corrupt { at: 123_456 });
    let (found, _) = fixture.obtain(&fixture.file());
    assert!(matches!(found, Err(HubError::WrongBytes { .. })), "{found:?}");
    assert!(!fixture.kept());

    // And the hub's own checksum serves where the reference has none.
    let unnamed = ModelRef { sha256: None, ..fixture.file() };
    let (found, _) = fixture.obtain(&unnamed);
    assert!(matches!(found, Err(HubError::WrongBytes { .. })), "{found:?}");

    fixture.server.faults().clear();
    assert_eq!(fixture.obtain(&fixture.file()).0.unwrap(), fixture.content);
}

#[test]
fn a_file_of_another_length_is_refused_before_it_comes() {
    let fixture = Fixture::new();
    for bytes in [BYTES as u64 - 1, BYTES as u64 + 1] {
        let (found, _) = fixture.obtain(&ModelRef { bytes: Some(bytes), ..fixture.file() });
        assert!(matches!(found, Err(HubError::WrongLength { .. })), "{found:?}");
        assert!(!fixture.kept());
    }
}

#[test]
fn what_is_not_there_is_named() {
    let fixture = Fixture::new();
    let missing = ModelRef { file: "other.gguf".into(), bytes: None, sha256: None, ..fixture.file() };
    let (found, _) = fixture.obtain(&missing);
    assert!(found.unwrap_err().to_string().contains("other.gguf"));
    let hostile = ModelRef { file: "../../secret".into(), ..missing };
    assert!(matches!(fixture.obtain(&hostile).0, Err(HubError::Reference(_))));
}

#[test]
fn a_server_that_is_gone_is_said_to_be() {
    let fixture = Fixture::new();
    let file = fixture.file();
    let hub = Hub::new("http://127.0.0.1:9");
    let found = pollster::block_on(obtain(&hub, &fixture.cache, &file, &Cancel::new(), |_| {}));
    let message = found.err().expect("nobody listens there").to_string();
    assert!(message.contains("could not be reached") && message.contains("try again"), "{message}");
}

#[test]
fn a_cached_file_with_other_bytes_is_fetched_again() {
    let fixture = Fixture::new();
    let file = fixture.file();
    let path = fixture.cache.path(&file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, vec![7; BYTES]).unwrap();
    assert_eq!(fixture.obtain(&file).0.unwrap(), fixture.content);
}

#[test]
fn a_link_with_a_false_checksum_does_not_cost_the_cached_file() {
    let fixture = Fixture::new();
    let file = fixture.file();
    fixture.obtain(&file).0.unwrap();
    let false_link = ModelRef { sha256: Some("0".repeat(64)), ..file.clone() };
    let (found, _) = fixture.obtain(&false_link);
    assert!(matches!(found, Err(HubError::WrongBytes { .. })), "{found:?}");
    fixture.server.log().clear();
    assert_eq!(fixture.obtain(&file).0.unwrap(), fixture.content);
    assert!(fixture.server.log().entries().is_empty());
}

#[test]
fn a_reference_without_checksum_is_checked_against_the_hubs_listing() {
    let fixture = Fixture::new();
    let (found, progress) = fixture.obtain(&ModelRef { bytes: None, sha256: None, ..fixture.file() });
    assert_eq!(found.unwrap(), fixture.content);
    assert!(progress.iter().all(|p| p.phase != Phase::Downloading || p.total == Some(BYTES as u64)));
    let paths: Vec<String> = fixture.server.log().entries().into_iter().map(|entry| entry.path).collect();
    assert_eq!(paths[0], format!("/api/models/{REPO}/tree/{REVISION}"));
}

#[test]
fn what_the_hub_refuses_is_said_and_a_busy_hub_is_asked_again() {
    let fixture = Fixture::new();
    let file = fixture.file();
    let refused_with = |status| {
        fixture.server.faults().times(1, FILE, Fault::Status(status));
        fixture.obtain(&file).0.unwrap_err()
    };
    for status in [401, 403] {
        assert!(matches!(refused_with(status), HubError::Gated { .. }));
    }
    assert!(matches!(refused_with(404), HubError::NotFound { .. }));
    assert!(matches!(refused_with(418), HubError::Status { status: 418, .. }));
    fixture.server.faults().times(1, FILE, Fault::Status(503));
    let (found, progress) = fixture.obtain(&file);
    assert_eq!(found.unwrap(), fixture.content);
    assert!(progress.iter().any(|p| p.phase == Phase::Resuming { at: 0 }));
}

#[test]
fn a_hub_that_asks_to_be_left_alone_is_left_alone_for_as_long() {
    let fixture = Fixture::new();
    fixture.server.faults().times(1, FILE, Fault::Busy { retry_after_s: 1 });
    let begun = Instant::now();
    let (found, progress) = fixture.obtain(&fixture.file());
    assert_eq!(found.unwrap(), fixture.content);
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(progress.iter().any(|p| matches!(p.phase, Phase::Waiting { seconds } if seconds >= 1.0)));

    fixture.server.faults().times(1, "other.gguf", Fault::Busy { retry_after_s: 900 });
    fs::write(fixture.served.with_file_name("other.gguf"), "other").unwrap();
    let other = ModelRef { file: "other.gguf".into(), bytes: None, sha256: None, ..fixture.file() };
    let begun = Instant::now();
    let refused = fixture.obtain(&other).0.unwrap_err();
    assert!(refused.to_string().contains("15 minutes"), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(5), "nobody is kept waiting for so long");
}

#[test]
fn a_gated_file_comes_to_who_shows_the_right_token() {
    let fixture = Fixture::new();
    fixture.server.faults().always(FILE, Fault::Gated { token: "hf_right" });
    let obtained = |token: Option<&str>| {
        let token = token.map(|token| AccessToken::new(token).unwrap());
        let hub = Hub::new(fixture.server.origin()).with_token(token);
        fixture.obtain_from(&hub, &fixture.file(), &Cancel::new(), |_| {}).0
    };
    assert!(matches!(obtained(None), Err(HubError::Gated { .. })));
    let refused = obtained(Some("hf_wrong")).unwrap_err();
    assert!(matches!(refused, HubError::TokenRefused { .. }));
    assert!(!refused.to_string().contains("hf_wrong"));
    assert_eq!(obtained(Some("hf_right")).unwrap(), fixture.content);
}

#[test]
fn a_file_that_somebody_else_receives_is_waited_for() {
    let fixture = Fixture::new();
    let file = fixture.file();
    let mut theirs = Some(pollster::block_on(fixture.cache.append(&file)).unwrap());
    // They give up when this one has begun to wait.
    let (found, progress) = fixture.obtain_until(&file, &Cancel::new(), |p| {
        if p.phase == Phase::Elsewhere {
            drop(theirs.take());
        }
    });
    assert_eq!(found.unwrap(), fixture.content);
    assert_eq!(progress[0].phase, Phase::Elsewhere);
}

#[test]
fn two_who_want_the_same_file_at_once_fetch_it_once() {
    let fixture = Fixture::new();
    let file = fixture.file();
    fixture.server.faults().times(1, FILE, Fault::Throttle { bytes_per_second: 4_000_000 });
    std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| fixture.obtain(&file).0.unwrap()));
        for found in both {
            assert_eq!(found.join().unwrap(), fixture.content);
        }
    });
    assert_eq!(fixture.ranges(), [None]);
}

#[test]
fn more_left_over_than_the_file_is_long_starts_over() {
    let fixture = Fixture::new();
    let file = fixture.file();
    let path = fixture.cache.path(&file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path.with_extension("gguf.part"), vec![1; BYTES + 5]).unwrap();
    assert_eq!(fixture.obtain(&file).0.unwrap(), fixture.content);
}
