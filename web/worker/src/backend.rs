//! Which backend computes, and why.

use crate::lanes::Lanes;
use tiller_engine::{Engine, Gpu, GpuError};
use tiller_protocol::{BackendChoice, BackendReport};

/// The backend that was chosen.
pub enum Backend {
    /// The device that was opened to be looked at, until the first model takes it.
    Gpu { unused: Option<Gpu> },
    /// With the threads beside this one.
    Cpu(Option<Lanes>),
}

impl Backend {
    /// A device for a model; `None` where the CPU computes. Each model gets a device of its own, so that nothing of the
    /// last one remains.
    pub async fn device(&mut self) -> Result<Option<Gpu>, GpuError> {
        match self {
            Backend::Cpu(_) => Ok(None),
            Backend::Gpu { unused } => match unused.take().filter(|gpu| gpu.lost().is_none()) {
                Some(gpu) => Ok(Some(gpu)),
                None => Gpu::open().await.map(Some),
            },
        }
    }

    /// Has the threads that there are work for the engine of a model.
    pub fn staff(&self, engine: &mut Engine) {
        if let Backend::Cpu(Some(lanes)) = self {
            engine.work_with(lanes.team.clone());
        }
    }
}

/// Looks at what the browser has, and chooses.
pub async fn choose(choice: BackendChoice) -> (Backend, BackendReport) {
    let cpu = async |note: Option<String>| {
        let lanes = Lanes::start().await;
        let threads = lanes.as_ref().map_or(1, |lanes| lanes.team.threads() as u32);
        let report =
            BackendReport { backend: "cpu".into(), adapter: "WebAssembly".into(), software: false, threads, note };
        (Backend::Cpu(lanes), report)
    };
    if choice == BackendChoice::Cpu {
        return cpu(None).await;
    }
    match Gpu::open().await {
        Err(error) => cpu(Some(format!("The model runs on the CPU, which is slower: {error}"))).await,
        Ok(gpu) if gpu.adapter().software && choice == BackendChoice::Auto => {
            cpu(Some("The model runs on the CPU: this browser's WebGPU is itself only software.".into())).await
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
                threads: 1,
                note,
            };
            (Backend::Gpu { unused: Some(gpu) }, report)
        }
    }
}
