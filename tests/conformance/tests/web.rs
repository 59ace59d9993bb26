//! Runs the registry in a browser, in a dedicated worker as the page does, and compiles every kernel there: a browser
//! refuses some WGSL that the native validator accepts.
#![cfg(target_arch = "wasm32")]

use tiller_conformance::cases;
use tiller_kernels::{Gpu, Quant};
use wasm_bindgen_test::{console_log, wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

#[wasm_bindgen_test]
async fn every_kernel_compiles_in_every_format() {
    let gpu = Gpu::open().await.unwrap_or_else(|error| panic!("{error}"));
    let mut total = 0;
    let compiled = gpu.compile(&Quant::ALL, |_, of| total = of).await;
    console_log!("{total} kernels on {} ({})", gpu.adapter().name, gpu.adapter().backend);
    assert_eq!(compiled, Ok(()));
    assert!(total >= 3 * Quant::ALL.len());
}

#[wasm_bindgen_test]
async fn every_case_agrees_with_its_twin() {
    let gpu = Gpu::open().await.unwrap_or_else(|error| panic!("{error}"));
    let cases = cases();
    assert!(cases.len() > 70, "the registry has only {} cases", cases.len());
    let mut failed = Vec::new();
    for case in cases {
        match case.run(&gpu).await {
            Ok(()) => console_log!("case {} ... ok", case.name),
            Err(what) => failed.push(format!("{}: {what}", case.name)),
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
