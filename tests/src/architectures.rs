//! Tiny models of every architecture, with what another implementation computes from them (`tests/golden/README.md`).

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tiller_engine::Gpu;
use tiller_experiment::Session;
use tiller_formats::{DiskFolder, FileSource, Quant};
use tiller_model::ModelFiles;

/// Every folder in `tests/golden/architectures`.
pub const ARCHITECTURES: [&str; 12] = [
    "llama3",
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3",
    "gpt2",
    "gpt_neox",
    "gpt_neox_sequential",
    "gpt_neo",
];

/// Those that are there as a GGUF file too.
pub const AS_GGUF: [&str; 5] = ["llama3", "mistral", "gemma3", "gpt2", "gpt_neox"];

/// Tokens of context, more than the golden prompts and what follows them.
pub const CONTEXT: u32 = 64;

/// What the reference computes.
pub struct Reference {
    pub prompt: Vec<u32>,
    /// The greedy tokens that follow.
    pub greedy: Vec<u32>,
    /// By the sites' names: shape and numbers.
    pub sites: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

#[derive(Deserialize)]
struct Document {
    greedy: Greedy,
}

#[derive(Deserialize)]
struct Greedy {
    prompt_ids: Vec<u32>,
    ids: Vec<u32>,
}

pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/architectures").join(name)
}

pub fn reference(name: &str) -> Reference {
    let read = |file: &str| std::fs::read(folder(name).join(file)).expect("the golden files are there");
    let Document { greedy } =
        serde_json::from_slice(&read("golden.json")).expect("golden.json is what the script writes");
    let bytes = read("golden.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("golden.safetensors is what the script writes");
    let numbers = |bytes: &[u8]| bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let sites = tensors.iter().map(|(name, t)| (name.to_string(), (t.shape().to_vec(), numbers(t.data())))).collect();
    Reference { prompt: greedy.prompt_ids, greedy: greedy.ids, sites }
}

/// Loads the model from its repository's files: on the GPU that is given, or else on the CPU.
pub fn load_repository(name: &str, gpu: Option<Gpu>, quantise: Option<Quant>) -> Session {
    pollster::block_on(async {
        let files = ModelFiles::from_repository(&DiskFolder::new(folder(name)), quantise).await;
        let files = files.unwrap_or_else(|error| panic!("{name}: {error}"));
        Session::from_files(files, gpu, CONTEXT, &(), |_, _| {}).await.unwrap_or_else(|error| panic!("{name}: {error}"))
    })
}

/// Loads the model from its GGUF file.
pub fn load_gguf(name: &str, gpu: Option<Gpu>) -> Session {
    let source = FileSource::open(folder(name).join("model.gguf")).expect("the GGUF file is there");
    let loading = Session::load(&source, gpu, CONTEXT, &(), |_, _| {});
    pollster::block_on(loading).unwrap_or_else(|error| panic!("{name}: {error}"))
}
