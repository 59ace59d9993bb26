//! Which backend computes.

use clap::ValueEnum;
use tiller_engine::{Engine, Gpu, GpuError};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    Cpu,
    Gpu,
}

/// The GPU, where it is to be used: when asked for, or when nothing is asked for and there is a real one. A software
/// adapter is slower than the CPU backend, so it has to be asked for.
pub async fn open(wanted: Option<Backend>) -> Result<Option<Gpu>, GpuError> {
    match wanted {
        Some(Backend::Cpu) => Ok(None),
        Some(Backend::Gpu) => Gpu::open().await.map(Some),
        None => Ok(Gpu::open().await.ok().filter(|gpu| !gpu.adapter().software)),
    }
}

/// What computes, in words: the adapter's name, or the processor's kind.
pub fn adapter(engine: &Engine) -> String {
    match engine.gpu() {
        Some(gpu) => gpu.adapter().name.clone(),
        None => processor(),
    }
}

/// The processor's kind.
pub fn processor() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} with {threads} threads", std::env::consts::ARCH)
}
