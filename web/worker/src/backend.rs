//! Which backend computes, and why.

use tiller_engine::{Gpu, GpuError};
use tiller_protocol::{BackendChoice, BackendReport};

/// The backend that was chosen.
pub enum Backend {
    /// The device that was opened to be looked at, until the first model takes it.
    Gpu {
        unused: Option<Gpu>,
    },
    Cpu,
}

impl Backend {
    /// A device for a model; `None` where the CPU computes. Each model gets a device of its own, so that nothing of the
    /// last one remains.
    pub async fn device(&mut self) -> Result<Option<Gpu>, GpuError> {
        match self {
            Backend::Cpu => Ok(None),
            Backend::Gpu { unused } => match unused.take().filter(|gpu| gpu.lost().is_none()) {
                Some(gpu) => Ok(Some(gpu)),
                None => Gpu::open().await.map(Some),
            },
        }
    }
}

/// Looks at what the browser has, and chooses.
pub async fn choose(choice: BackendChoice) -> (Backend, BackendReport) {
    let cpu = |note: Option<String>| {
        let report = BackendReport { backend: "cpu".into(), adapter: "WebAssembly".into(), software: false, note };
        (Backend::Cpu, report)
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
            (Backend::Gpu { unused: Some(gpu) }, report)
        }
    }
}
