//! Choosing tiers by trying, on whatever adapter there is.
#![cfg(not(target_arch = "wasm32"))]

use std::cell::Cell;
use std::time::Instant;

use pollster::block_on;
use tiller_kernels::{Gpu, Quant, Reduction, Tiers, Tiles, Workload};

fn open() -> Gpu {
    block_on(Gpu::open()).unwrap_or_else(|error| panic!("{error}"))
}

const WORKLOAD: Workload = Workload { quant: Quant::Q8_0, width: 256, hidden: 512 };

#[test]
fn what_was_found_is_taken_and_takes_a_second_or_so() {
    let gpu = open();
    let clock = Instant::now();
    // The kernels are compiled beforehand, for either way.
    block_on(gpu.tune(WORKLOAD, || 0.0)).unwrap();
    let begun = clock.elapsed();
    let found = block_on(gpu.tune(WORKLOAD, || clock.elapsed().as_secs_f64())).unwrap();
    let took = clock.elapsed() - begun;
    println!("{found} on {} in {took:?}", gpu.adapter().name);
    assert_eq!(gpu.tiers(), found);
    assert_eq!(found.to_string().parse(), Ok(found));
    assert!(took.as_secs_f64() < 10.0, "{took:?}");
}

#[test]
fn where_nothing_wins_clearly_the_usual_stays() {
    let gpu = open();
    for tiles in Tiles::ALL {
        let usual = Tiers { tiles, reduction: Reduction::Workgroup };
        gpu.set_tiers(usual);
        // On a clock that stands, all ways take as long; on one that runs away, there is no time for enough rounds.
        let later = Cell::new(0.0);
        let runs_away = || later.replace(later.get() + 1000.0);
        assert_eq!(block_on(gpu.tune(WORKLOAD, || 0.0)), Ok(usual));
        assert_eq!(block_on(gpu.tune(WORKLOAD, runs_away)), Ok(usual));
    }
}

#[test]
fn every_format_can_be_timed_and_nothing_of_it_stays() {
    let gpu = open();
    let before = gpu.allocated_bytes();
    for quant in Quant::ALL {
        let workload = Workload { quant, ..WORKLOAD };
        block_on(gpu.tune(workload, || 0.0)).unwrap_or_else(|error| panic!("{quant}: {error}"));
    }
    assert_eq!(gpu.allocated_bytes(), before);
}

#[test]
fn a_workload_that_cannot_be_leaves_the_tiers_as_they_were() {
    let gpu = open();
    let before = gpu.tiers();
    // No whole number of blocks.
    let odd = Workload { width: 100, ..WORKLOAD };
    assert!(block_on(gpu.tune(odd, || 0.0)).is_err());
    assert_eq!(gpu.tiers(), before);
}

#[test]
fn a_choice_holds_for_one_device_and_one_workload() {
    let gpu = open();
    let key = WORKLOAD.key(&gpu);
    assert_eq!(key, WORKLOAD.key(&open()));
    assert!(key.contains(&gpu.adapter().name) && key.contains(&gpu.adapter().driver), "{key}");
    for other in [Workload { quant: Quant::F16, ..WORKLOAD }, Workload { hidden: 768, ..WORKLOAD }] {
        assert_ne!(other.key(&gpu), key);
    }
}
