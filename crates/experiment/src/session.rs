//! A model that is loaded, with its tokenizer and chat template.

use crate::{PromptError, prompt};
use tiller_engine::{Controls, Engine, EngineError, Generation, Gpu, Lane};
use tiller_formats::{ByteSource, Quant};
use tiller_interp::evidence::{NEUTRAL_TEXT, OPENINGS};
use tiller_model::{ChatTemplate, Checkpoint, ModelFiles, ModelFilesError, Tokenizer};
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
    /// Those in which matrices are.
    pub quants: Vec<Quant>,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Files(#[from] ModelFilesError),
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
        Session::from_files(ModelFiles::from_gguf(source).await?, gpu, context, controls, progress).await
    }

    /// As [`Session::load`], of a model in any format.
    pub async fn from_files<C: Checkpoint>(
        files: ModelFiles<C>,
        gpu: Option<Gpu>,
        context: u32,
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
    ) -> Result<Session, LoadError> {
        let facts = ModelFacts {
            name: files.config.name.clone().unwrap_or_else(|| "unnamed model".into()),
            parameters: files.parameters(),
            quantisation: files.quantisation().to_string(),
            quants: quants(&files.checkpoint),
        };
        let ModelFiles { config, tokenizer, template, checkpoint } = files;
        let end_tokens = (0..tokenizer.vocab_size()).filter(|&id| tokenizer.is_end(id)).collect();
        let engine = match gpu {
            Some(gpu) => Engine::on_gpu(gpu, config, &checkpoint, context, controls, progress).await?,
            None => Engine::on_cpu(config, &checkpoint, context, controls, progress).await?,
        };
        Ok(Session { engine, tokenizer, template, facts, end_tokens })
    }

    pub fn tokens(&self, prompt: &Prompt) -> Result<Vec<u32>, PromptError> {
        prompt::tokens(prompt, &self.tokenizer, self.template.as_ref())
    }

    /// The text whose perplexity says what a change costs.
    pub fn neutral(&self) -> Result<Vec<u32>, PromptError> {
        self.tokens(&Prompt::Text(NEUTRAL_TEXT.into()))
    }

    /// Beginnings of sentences, after which the next word is looked at.
    pub fn openings(&self) -> Result<Vec<Vec<u32>>, PromptError> {
        OPENINGS.iter().map(|&opening| self.tokens(&Prompt::Text(opening.into()))).collect()
    }

    /// The tokens of two prompts that are to have as many; an error shows them.
    pub fn equal_tokens(&self, clean: &Prompt, corrupt: &Prompt) -> Result<[Vec<u32>; 2], PromptError> {
        prompt::equal_tokens(clean, corrupt, &self.tokenizer, self.template.as_ref())
    }

    /// The one token that `text` is; an error names those that it is made of.
    pub fn one_token(&self, text: &str) -> Result<u32, PromptError> {
        prompt::one_token(text, &self.tokenizer)
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
            features: None,
            edits,
        }
    }
}

/// The formats in which a model's matrices are stored, in the order in which [`Quant::ALL`] has them.
fn quants(checkpoint: &impl Checkpoint) -> Vec<Quant> {
    let occurs = |quant: &Quant| checkpoint.tensors().values().any(|t| t.shape.len() > 1 && t.quant == *quant);
    Quant::ALL.into_iter().filter(occurs).collect()
}
