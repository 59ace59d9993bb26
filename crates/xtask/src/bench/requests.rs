//! What the page says to its worker to load the model and to continue the prompt, as plain data.

use super::text::Text;
use anyhow::Result;
use serde_json::{Value, json};
use tiller_localhub::Packaged;
use tiller_protocol::{BackendChoice, Lane, ModelRef, Request, RunSpec, Sampling};
use tiller_recipe::Prompt;

/// `hub`: the address from which the model is fetched.
pub fn requests(model: &Packaged, text: &Text, tokens: u32, hub: String, gpu: bool) -> Result<Value> {
    let backend = if gpu { BackendChoice::Gpu } else { BackendChoice::Cpu };
    let model = ModelRef {
        repo: model.repo.into(),
        revision: model.revision.into(),
        file: model.file.into(),
        bytes: Some(model.size),
        sha256: Some(model.sha256.into()),
    };
    let run = RunSpec {
        prompt: Prompt::Text(text.prompt.clone()),
        sampling: Sampling::GREEDY,
        max_tokens: tokens,
        vectors: Vec::new(),
        edits: Vec::new(),
        feature_edits: Vec::new(),
        follow_features: false,
        lanes: vec![Lane::Plain],
    };
    Ok(json!({
        "start": Request::Start { hub, backend, token: None, checked: Vec::new(), tuned: Vec::new() },
        "load": Request::Load { job: 1, model, download: true },
        "write": Request::Write { job: 2, run },
    }))
}
