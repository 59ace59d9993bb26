//! Runs the registry on the default adapter, or on the one that `TILLER_ADAPTER` names. A word on the command line
//! runs only the cases whose names contain it.

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    use tiller_conformance::{cases, kernels_without_a_case};
    use tiller_kernels::Gpu;

    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let gpu = match pollster::block_on(Gpu::open()) {
        Ok(gpu) => gpu,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    println!("on {} ({})", gpu.adapter().name, gpu.adapter().backend);
    let mut failed = Vec::new();
    let mut run = 0;
    for case in cases().into_iter().filter(|case| case.name.contains(&wanted)) {
        run += 1;
        match pollster::block_on(case.run(&gpu)) {
            Ok(()) => println!("case {} ... ok", case.name),
            Err(what) => {
                println!("case {} ... FAILED: {what}", case.name);
                failed.push(case.name);
            }
        }
    }
    let untried = if wanted.is_empty() { kernels_without_a_case(&gpu) } else { Vec::new() };
    println!("{run} cases, {} failed {failed:?}; kernels without a case: {untried:?}", failed.len());
    if run == 0 || !failed.is_empty() || !untried.is_empty() {
        std::process::exit(1);
    }
}

#[cfg(target_arch = "wasm32")]
fn main() {}
