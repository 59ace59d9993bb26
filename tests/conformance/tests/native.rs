//! Runs the registry on the default adapter, or on the one that `TILLER_ADAPTER` names: as if it had no subgroups, then
//! with them where it has them, and again with the limits that every adapter has and with matrices in many small parts. A
//! word on the command line runs only the cases whose names
//! contain it.

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    use pollster::block_on;
    use tiller_kernels::{Gpu, Handicap, Reduction, Tiers};

    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let open = |opened: Result<Gpu, _>| match opened {
        Ok(gpu) => gpu,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let gpu = open(block_on(Gpu::open_with(Handicap::NoSubgroups)));
    println!("on {} ({}), without subgroups", gpu.adapter().name, gpu.adapter().backend);
    let mut fine = !gpu.has_subgroups() && run_every_kernel(&gpu, &wanted);

    let gpu = open(block_on(Gpu::open()));
    if gpu.has_subgroups() {
        println!("with subgroups");
        gpu.set_tiers(Tiers { reduction: Reduction::Subgroup, ..gpu.tiers() });
        fine &= run_every_kernel(&gpu, &wanted);
    }

    println!("with the least limits, in parts of {SMALL_PART} bytes");
    fine &= run(&open(block_on(Gpu::open_with(Handicap::LeastLimits))), &wanted, SMALL_PART);
    if !fine {
        std::process::exit(1);
    }
}

/// Some tens of rows of the matrices in the cases, and less than one of the widest.
#[cfg(not(target_arch = "wasm32"))]
const SMALL_PART: u64 = 16 << 10;

/// The same as [`run`]; and whether, where all cases are wanted, every kernel has one.
#[cfg(not(target_arch = "wasm32"))]
fn run_every_kernel(gpu: &tiller_kernels::Gpu, wanted: &str) -> bool {
    let fine = run(gpu, wanted, u64::MAX);
    let untried = if wanted.is_empty() { tiller_conformance::kernels_without_a_case(gpu) } else { Vec::new() };
    println!("kernels without a case: {untried:?}");
    fine && untried.is_empty()
}

/// Runs the cases whose names contain `wanted`; whether there were some and all agreed.
#[cfg(not(target_arch = "wasm32"))]
fn run(gpu: &tiller_kernels::Gpu, wanted: &str, part: u64) -> bool {
    let mut failed = Vec::new();
    let mut run = 0;
    for case in tiller_conformance::cases().into_iter().filter(|case| case.name.contains(wanted)) {
        run += 1;
        match pollster::block_on(case.run_in_parts(gpu, part)) {
            Ok(()) => println!("case {} ... ok", case.name),
            Err(what) => {
                println!("case {} ... FAILED: {what}", case.name);
                failed.push(case.name);
            }
        }
    }
    println!("{run} cases, {} failed {failed:?}", failed.len());
    run > 0 && failed.is_empty()
}

#[cfg(target_arch = "wasm32")]
fn main() {}
