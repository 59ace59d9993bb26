//! A model that is loaded, with its tokenizer and chat template.

use crate::{PromptError, prompt};
use tiller_engine::{Controls, Engine, EngineError, Generation, Gpu, Lane};
use tiller_formats::{ByteSource, Gguf, GgufError, Quant};
use tiller_model::{ChatTemplate, ChatTemplateError, ModelConfig, Tokenizer, TokenizerError};
use tiller_recipe::Prompt;
use tiller_sites::Sampling;

/// A model, ready for experiments.
pub struct Session {
    pub engine: Engine,
    pub tokenizer: Tokenizer,
    pub template: Option<ChatTemplate>,
    pub facts: ModelFacts,
    /// The tokens with which the model ends what it writes.
    end_tokens: Vec<u32>,
}

/// What one would say of a model in a line.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFacts {
    pub name: String,
    pub parameters: u64,
    /// The quantisation that most weights are in.
    pub quantisation: String,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    File(#[from] GgufError),
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    #[error(transparent)]
    Template(#[from] ChatTemplateError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Session {
    /// Loads a GGUF file: onto `gpu` if there is one, else into memory. `context`: tokens over all sequences that run
    /// side by side. `progress` is told the bytes loaded and in all.
    pub async fn load(
        source: &impl ByteSource,
        gpu: Option<Gpu>,
        context: u32,
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
    ) -> Result<Session, LoadError> {
        let gguf = Gguf::read(source).await?;
        // That its architecture cannot be run says more of a file than what its tokenizer lacks.
        ModelConfig::from_gguf(&gguf).map_err(EngineError::from)?;
        let tokenizer = Tokenizer::from_gguf(&gguf)?;
        let template = ChatTemplate::from_gguf(&gguf)?;
        let facts = facts(&gguf);
        let end_tokens = (0..tokenizer.vocab_size()).filter(|&id| tokenizer.is_end(id)).collect();
        let engine = match gpu {
            Some(gpu) => Engine::on_gpu(gpu, &gguf, source, context, controls, progress).await?,
            None => Engine::on_cpu(&gguf, source, context, controls, progress).await?,
        };
        Ok(Session { engine, tokenizer, template, facts, end_tokens })
    }

    pub fn tokens(&self, prompt: &Prompt) -> Result<Vec<u32>, PromptError> {
        prompt::tokens(prompt, &self.tokenizer, self.template.as_ref())
    }

    /// A generation from `prompt` on one lane for each of `steered`: with all edits, or with none.
    pub fn generation(
        &self,
        prompt: Vec<u32>,
        edits: Vec<tiller_engine::Edit>,
        steered: &[bool],
        sampling: Sampling,
        max_tokens: u32,
    ) -> Generation {
        let lane = |&steered: &bool| Lane {
            prompt: prompt.clone(),
            edits: if steered { (0..edits.len()).collect() } else { Vec::new() },
        };
        Generation {
            lanes: steered.iter().map(lane).collect(),
            sampling,
            max_tokens,
            end_tokens: self.end_tokens.clone(),
            alternatives: false,
            edits,
        }
    }
}

fn facts(gguf: &Gguf) -> ModelFacts {
    let elements = |quant: Quant| -> u64 {
        gguf.tensors.values().filter(|tensor| tensor.quant == quant).map(|tensor| tensor.elements() as u64).sum()
    };
    let most = Quant::ALL.into_iter().max_by_key(|&quant| elements(quant)).expect("there are quantisations");
    ModelFacts {
        name: gguf
            .metadata
            .find_str("general.name")
            .ok()
            .flatten()
            .unwrap_or("unnamed model")
            .chars()
            .take(200)
            .collect(),
        parameters: Quant::ALL.into_iter().map(elements).sum(),
        quantisation: most.to_string(),
    }
}
