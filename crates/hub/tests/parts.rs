//! Long files, which come in parts that are requested side by side.

mod served;

use served::{FILE, Fixture};
use std::time::{Duration, Instant};
use tiller_hub::{Cancel, HubError, Phase, Store};
use tiller_localhub::{Fault, Logged};

/// Five parts and a bit.
const LONG: usize = 21_000_123;
const PART: usize = 4 << 20;

fn requests(fixture: &Fixture) -> Vec<Logged> {
    fixture.server.log().entries().into_iter().filter(|entry| entry.path.contains("/cdn/")).collect()
}

#[test]
fn a_long_file_comes_in_parts_that_flow_side_by_side() {
    let fixture = Fixture::of(LONG);
    // Each part takes a second: one after the other, all of them take five.
    fixture.server.faults().always(FILE, Fault::Throttle { bytes_per_second: PART as u64 });
    let begun = Instant::now();
    let (found, progress) = fixture.obtain(&fixture.file());
    assert!(found.unwrap() == fixture.content);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(requests(&fixture).len(), LONG.div_ceil(PART));
    assert!(requests(&fixture).iter().all(|request| request.status == 206));
    assert!(!progress.iter().any(|p| matches!(p.phase, Phase::Resuming { .. })), "nothing breaks");
    let received: Vec<u64> = progress.iter().map(|p| p.received).collect();
    assert!(received.is_sorted(), "progress never goes back while nothing breaks");
    assert_eq!(received.last(), Some(&(LONG as u64)));
}

#[test]
fn parts_that_break_off_go_on_where_they_broke() {
    let fixture = Fixture::of(LONG);
    fixture.server.faults().times(3, FILE, Fault::Cut { after: 1_000_000 });
    let (found, progress) = fixture.obtain(&fixture.file());
    assert!(found.unwrap() == fixture.content);
    assert!(progress.iter().any(|p| matches!(p.phase, Phase::Resuming { at } if at > 0)));
    let again = requests(&fixture).iter().map(|request| request.bytes_sent).sum::<u64>() - LONG as u64;
    // What was in the connections when they were given up; the parts themselves are kept.
    assert!(again < 8_000_000, "{again} bytes were sent a second time");
}

#[test]
fn a_server_that_knows_no_ranges_sends_the_file_in_one_piece() {
    let fixture = Fixture::of(LONG);
    fixture.server.faults().always(FILE, Fault::NoRanges);
    let (found, _) = fixture.obtain(&fixture.file());
    assert!(found.unwrap() == fixture.content);
    assert_eq!(requests(&fixture).len(), 1);
}

#[test]
fn what_came_without_a_gap_is_kept_when_parts_are_stopped() {
    let fixture = Fixture::of(LONG);
    fixture.server.faults().always(FILE, Fault::Throttle { bytes_per_second: PART as u64 });
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let (found, _) = fixture.obtain_until(&fixture.file(), &cancel, move |p| {
        if p.received > 10_000_000 {
            stop.cancel();
        }
    });
    assert!(matches!(found, Err(HubError::Cancelled)), "{:?}", found.err());
    let listed = pollster::block_on(fixture.cache.list()).unwrap();
    let left = listed[0].bytes;
    assert!((1_000_000..10_000_000).contains(&left), "{left} bytes are kept");

    fixture.server.faults().clear();
    fixture.server.log().clear();
    assert!(fixture.obtain(&fixture.file()).0.unwrap() == fixture.content);
    assert!(requests(&fixture)[0].range.as_ref().unwrap().starts_with(&format!("bytes={left}-")));
}

#[test]
fn a_damaged_part_is_found_out() {
    let fixture = Fixture::of(LONG);
    fixture.server.faults().always(FILE, Fault::Corrupt { at: 15_000_000 });
    let found = fixture.obtain(&fixture.file()).0;
    assert!(matches!(found, Err(HubError::WrongBytes { .. })), "{:?}", found.err());
    assert!(!fixture.kept());
}

#[test]
fn a_file_that_is_longer_than_was_said_is_refused() {
    let fixture = Fixture::of(LONG);
    let mut file = fixture.file();
    file.bytes = Some(LONG as u64 - 1);
    assert!(fixture.obtain(&file).0.is_err());
    file.bytes = Some(LONG as u64 + 1);
    assert!(fixture.obtain(&file).0.is_err());
}
