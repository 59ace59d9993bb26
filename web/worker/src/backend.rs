//! Which backend computes, and why.

use tiller_engine::Gpu;
use tiller_protocol::{BackendChoice, BackendReport};

/// The backend that was chosen. A GPU device is opened anew for every model, so that nothing of the last one remains.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    Gpu,
    Cpu,
}

/// Looks at what the browser has, and chooses.
pub async fn choose(choice: BackendChoice) -> (Chosen, BackendReport) {
    let cpu = |note: Option<String>| {
        let report = BackendReport { backend: "cpu".into(), adapter: "WebAssembly".into(), software: false, note };
        (Chosen::Cpu, report)
    };
    if choice == BackendChoice::Cpu {
        return cpu(None);
    }
    match Gpu::open().await {
        Err(error) => cpu(Some(format!("The model runs on the CPU, which is slower: {error}"))),
        Ok(gpu) if gpu.adapter().software && choice == BackendChoice::Auto => {
            cpu(Some("The model runs on the CPU: this browser's WebGPU is itself only software.".into()))
        }
        Ok(gpu) => {
            let adapter = gpu.adapter();
            let note = adapter
                .software
                .then(|| "This browser's WebGPU is only software; it runs because it was asked for.".to_string());
            let report = BackendReport {
                backend: "gpu".into(),
                adapter: adapter.name.clone(),
                software: adapter.software,
                note,
            };
            (Chosen::Gpu, report)
        }
    }
}
