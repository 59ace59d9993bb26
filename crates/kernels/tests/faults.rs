//! What goes wrong with a device is told, with what to do about it; nothing panics and nothing waits for ever.
#![cfg(not(target_arch = "wasm32"))]

#[cfg(unix)]
use std::process::{Command, Output};

use pollster::block_on;
use tiller_kernels::{
    Draw, Gpu, GpuError, Handicap, KvCache, Latch, Matrix, Plan, Quant, Recorder, Row, Step, Store, TapRows, Text,
    Vector, Want,
};

fn open() -> Gpu {
    block_on(Gpu::open()).unwrap_or_else(|error| panic!("{error}"))
}

/// A table of one row of `cols` floats.
fn table(gpu: &Gpu, cols: u32) -> Matrix {
    let table = Matrix::new(gpu, Quant::F32, 1, cols).unwrap();
    table.write_rows(0, bytemuck::cast_slice(&vec![0.5f32; cols as usize])).unwrap();
    table
}

/// A plan that taps the embedding `taps` times.
fn tapping(gpu: &Gpu, table: &Matrix, capacity: u32, taps: usize) -> Result<Plan, GpuError> {
    let mut recorder = Recorder::new(gpu, capacity);
    let x = recorder.embed(table);
    for _ in 0..taps {
        recorder.tap(&x, TapRows::All);
    }
    drop(x);
    recorder.finish()
}

const ROWS: [Row; 1] = [Row { token: 0, position: 0, kv_start: 0, edits: 0 }];
const STEP: Step = Step { rows: &ROWS, picks: &[], sampling: Draw::GREEDY, coefficients: &[] };
const TAPS: Want = Want { records: false, alternatives: false, taps: true, store_from: None };

#[test]
fn a_lost_device_says_so_wherever_it_is_used() {
    let gpu = open();
    let table = table(&gpu, 8);
    let vector = Vector::new(&gpu, &[1.0]).unwrap();
    let store = Store::new(&gpu, 4, 8).unwrap();
    let plan = tapping(&gpu, &table, 4, 1).unwrap();
    assert_eq!(block_on(plan.read(plan.submit(&STEP, TAPS).unwrap())).unwrap().taps, [[0.5; 8]]);
    let under_way = plan.submit(&STEP, TAPS).unwrap();
    let silent = plan.submit(&STEP, Want::default()).unwrap();
    assert_eq!(block_on(gpu.settled()), Ok(()));
    assert_eq!(gpu.lost(), None);

    gpu.lose();

    assert!(gpu.lost().is_some());
    let errors = [
        ("settled", block_on(gpu.settled()).err()),
        ("compile", block_on(gpu.compile(&[Quant::F32], |_, _| ())).err()),
        ("a matrix", Matrix::new(&gpu, Quant::F32, 3, 3).err()),
        ("rows of a matrix", table.write_rows(0, &[0; 32]).err()),
        ("a vector", Vector::new(&gpu, &[1.0]).err()),
        ("a vector's numbers", vector.write(&[2.0]).err()),
        ("a cache", KvCache::new(&gpu, 1, 4, 4).err()),
        ("a latch", Latch::new(&gpu, 4).err()),
        ("a text", Text::new(&gpu, 4).err()),
        ("a store", Store::new(&gpu, 4, 4).err()),
        ("a store's rows", block_on(store.read(0, 1)).err()),
        ("a recording", tapping(&gpu, &table, 4, 1).err()),
        ("a step", plan.submit(&STEP, TAPS).err()),
        ("a step under way", block_on(plan.read(under_way)).err()),
        ("a step that brings nothing back", block_on(plan.read(silent)).err()),
    ];
    for (what, error) in errors {
        assert!(matches!(error, Some(GpuError::Lost(_))), "{what}: {error:?}");
        assert!(error.is_some_and(|error| error.to_string().ends_with("load the model again.")), "{what}");
    }
    // A second time changes nothing.
    gpu.lose();
    assert!(gpu.lost().is_some());
}

#[test]
fn a_second_device_works_after_the_first_was_lost() {
    open().lose();
    let gpu = open();
    let plan = tapping(&gpu, &table(&gpu, 3), 1, 1).unwrap();
    assert_eq!(block_on(plan.read(plan.submit(&STEP, TAPS).unwrap())).unwrap().taps, [[0.5; 3]]);
}

#[test]
fn an_adapter_that_refuses_its_own_limits_is_opened_with_the_least() {
    for handicap in [Handicap::LimitsRefused, Handicap::LeastLimits] {
        let gpu = block_on(Gpu::open_with(handicap)).unwrap();
        assert_eq!(gpu.binding_limit(), 128 << 20, "{handicap:?}");
    }
}

#[test]
fn an_adapter_that_refuses_every_limit_is_told_with_its_reason() {
    let error = block_on(Gpu::open_with(Handicap::AllLimitsRefused)).unwrap_err();
    assert!(matches!(&error, GpuError::DeviceRefused(reason) if reason.contains("max_compute_invocations")), "{error}");
    assert!(error.to_string().ends_with("use the CPU backend."), "{error}");
}

#[test]
fn results_larger_than_any_buffer_are_refused_before_they_are_computed() {
    let gpu = block_on(Gpu::open_with(Handicap::LeastLimits)).unwrap();
    // Three taps of 100 MB, each within a binding; together beyond the 256 MiB of a buffer.
    let (capacity, cols) = (100, 250_000);
    let plan = tapping(&gpu, &table(&gpu, cols), capacity, 3).unwrap();
    let rows = vec![ROWS[0]; capacity as usize];
    let error = plan.submit(&Step { rows: &rows, ..STEP }, TAPS).unwrap_err();
    let bytes = 3 * 4 * u64::from(capacity * cols);
    assert_eq!(error, GpuError::TooLarge { what: "results".to_owned(), bytes, limit: 256 << 20 });
    assert!(error.to_string().contains("300000000 bytes"), "{error}");
    // Nothing is broken by it.
    assert_eq!(block_on(plan.read(plan.submit(&STEP, TAPS).unwrap())).unwrap().taps.len(), 3);
}

/// Runs [`filling_a_device_in_a_process_of_its_own`] by way of a command of the shell that changes its surroundings.
#[cfg(unix)]
fn fill_after(command: &str) -> String {
    let this = std::env::current_exe().unwrap();
    let test = "--exact filling_a_device_in_a_process_of_its_own --ignored --nocapture";
    let script = format!("{command} && exec '{}' {test}", this.display());
    let Output { stdout, stderr, .. } = Command::new("sh").args(["-c", &script]).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr))
}

#[test]
#[ignore = "run by the tests below, in surroundings where it comes to an error soon"]
fn filling_a_device_in_a_process_of_its_own() {
    let gpu = match block_on(Gpu::open()) {
        Ok(gpu) => gpu,
        Err(error) => return println!("{error:?}: {error}"),
    };
    let mut filled = Vec::new();
    while filled.len() < 1000 {
        match Matrix::new(&gpu, Quant::F32, 1 << 10, 1 << 15) {
            Ok(matrix) => filled.push(matrix),
            Err(error) => return println!("after {}: {error:?}: {error}", filled.len()),
        }
    }
}

#[test]
#[cfg(unix)]
fn an_adapter_that_is_not_there_is_told_with_those_that_are() {
    let said = fill_after("export TILLER_ADAPTER='no such adapter'");
    let name = open().adapter().name.clone();
    assert!(said.contains("DeviceRefused") && said.contains("no such adapter") && said.contains(&name), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn without_a_driver_the_error_names_what_to_install() {
    let said = fill_after("export VK_DRIVER_FILES=/nonexistent.json");
    assert!(said.contains("NoAdapter: ") && said.contains("install a Vulkan"), "{said}");
}

/// A software adapter has the memory of the process; another has its own, which fills up sooner or later.
#[test]
#[cfg(target_os = "linux")]
fn exhausted_memory_is_told_with_what_it_was_for() {
    let software = open().adapter().software;
    let said = fill_after(if software { "ulimit -v 6000000" } else { "true" });
    assert!(said.contains("OutOfMemory(\"134217728 bytes for a matrix\")"), "{said}");
    assert!(said.contains("load a smaller model"), "{said}");
}
