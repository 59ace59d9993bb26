//! The flags that name a model and where it runs, and loading it.

use crate::device::{self, Backend};
use crate::model_file::{ModelSource, OpenModel};
use crate::tuning;
use anyhow::Context;
use clap::{Args, value_parser};
use std::time::Instant;
use tiller_experiment::{DEFAULT_CONTEXT, Session};
use tiller_formats::Quant;

/// No machine that this program is for holds the keys and values of more tokens.
const MOST_CONTEXT: i64 = 1 << 20;

/// Where a model runs.
#[derive(Args, Clone, Copy, Debug)]
pub struct DeviceFlags {
    /// What computes; by default the GPU where there is one, else the CPU.
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// Tokens of context, over all texts that are written side by side.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_CONTEXT)]
    #[arg(value_parser = value_parser!(u32).range(1..=MOST_CONTEXT))]
    context: u32,
    /// Round the matrices of a folder or repository of safetensors to this format as they are loaded, as in q8_0.
    #[arg(long, value_name = "FORMAT", value_parser = quant)]
    quantise: Option<Quant>,
}

fn quant(name: &str) -> Result<Quant, String> {
    let found = Quant::ALL.into_iter().find(|quant| quant.name().eq_ignore_ascii_case(name));
    found.ok_or_else(|| format!("{name} is no format of weights: choose one of {}", Quant::names()))
}

/// A model that is ready to run.
pub struct Loaded {
    pub session: Session,
    /// The name of its file.
    pub file: String,
    /// Seconds from opening the file to being ready.
    pub load_seconds: f64,
}

impl DeviceFlags {
    /// Fetches the model's file where it is not on this machine, and loads it.
    pub async fn load(self, model: &ModelSource) -> anyhow::Result<Loaded> {
        let opened = model.open(self.quantise).await?;
        let begun = Instant::now();
        let gpu = device::open(self.backend).await?;
        let file = model.file_name();
        let session = match opened {
            OpenModel::Gguf(source) => Session::load(&source, gpu, self.context, &(), |_, _| {}).await,
            OpenModel::Repository(files) => Session::from_files(files, gpu, self.context, &(), |_, _| {}).await,
        };
        let session = session.with_context(|| format!("{file} could not be loaded"))?;
        let load_seconds = begun.elapsed().as_secs_f64();
        tuning::apply(&session).await;
        Ok(Loaded { session, file, load_seconds })
    }
}

impl Loaded {
    /// "gpu" or "cpu".
    pub fn backend(&self) -> &'static str {
        self.session.engine.backend().name()
    }

    pub fn adapter(&self) -> String {
        device::adapter(&self.session.engine)
    }
}
