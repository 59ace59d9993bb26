//! `tiller generate`: continues a text.

use crate::loaded::{DeviceFlags, Loaded};
use crate::model_file::ModelSource;
use crate::prompt_flags::PromptFlags;
use crate::sampling_flags::SamplingFlags;
use crate::steering_flags::SteeringFlags;
use crate::{output, recipe_file, sae_flags};
use anyhow::bail;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;
use tiller_engine::{Generation, Sampling, Written};
use tiller_model::{StreamDecoder, Tokenizer};

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO", required_unless_present = "recipe")]
    model: Option<ModelSource>,
    #[command(flatten)]
    prompt: PromptFlags,
    /// Take the edits, and whatever no flag says, from a shared experiment.
    #[arg(long, value_name = "FILE|LINK")]
    recipe: Option<String>,
    /// Of a shared experiment that changes features: the folder of the sparse autoencoder, as in public/sae/NAME.
    #[arg(long, value_name = "FOLDER", requires = "recipe")]
    sae: Option<PathBuf>,
    /// How many tokens to write at most [default: 64].
    #[arg(long, value_name = "N")]
    max_tokens: Option<u32>,
    #[command(flatten)]
    sampling: SamplingFlags,
    #[command(flatten)]
    steering: SteeringFlags,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const DEFAULT_MAX_TOKENS: u32 = 64;

#[derive(Serialize)]
struct Report {
    prompt_tokens: Vec<u32>,
    tokens: Vec<u32>,
    text: String,
    backend: &'static str,
    adapter: String,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let recipe = flags.recipe.as_deref().map(recipe_file::read).transpose()?;
    let of_recipe = recipe.as_ref().map(|recipe| ModelSource::Hub(recipe.model.clone()));
    let Some(model) = flags.model.or(of_recipe) else { bail!("no model is named: give one with --model") };
    let prompt = flags.prompt.given(recipe.as_ref().map(|recipe| recipe.prompt.clone()))?;
    let sampling = flags.sampling.sampling(recipe.as_ref().map_or(Sampling::GREEDY, |recipe| recipe.sampling));
    let of_recipe = recipe.as_ref().map(|recipe| recipe.max_tokens);
    let max_tokens = flags.max_tokens.or(of_recipe).unwrap_or(DEFAULT_MAX_TOKENS);

    let mut loaded = flags.device.load(&model).await?;
    let mut edits = match &recipe {
        Some(recipe) => sae_flags::resolve_edits(&mut loaded, recipe, flags.sae).await?,
        None => Vec::new(),
    };
    edits.extend(flags.steering.edit(loaded.session.engine.config()).await?);
    let prompt_tokens = prompt.tokens(&loaded.session)?;
    let what = loaded.session.generation(prompt_tokens.clone(), edits, &[true], sampling, max_tokens);

    let tokens = write(&mut loaded, &what, !flags.json).await?;
    if !flags.json {
        return output::text("\n");
    }
    let text = text(&loaded.session.tokenizer, &tokens);
    output::json(&Report { prompt_tokens, tokens, text, backend: loaded.backend(), adapter: loaded.adapter() })
}

/// Writes the one lane of `what`, shown as it comes where `stream` says so. Returns its tokens.
async fn write(loaded: &mut Loaded, what: &Generation, stream: bool) -> anyhow::Result<Vec<u32>> {
    let begun = Instant::now();
    let tokenizer = &loaded.session.tokenizer;
    let mut decoder = StreamDecoder::new(tokenizer);
    let mut shown = Ok(());
    let on_token = |written: Written| {
        if stream && shown.is_ok() && !tokenizer.is_end(written.drawn.token) {
            shown = output::text(&decoder.push(written.drawn.token));
        }
    };
    let (lanes, _) = loaded.session.engine.generate(what, &(), || begun.elapsed().as_secs_f64(), on_token).await?;
    shown?;
    if stream {
        output::text(&decoder.finish())?;
    }
    Ok(lanes.into_iter().next().map(|lane| lane.tokens).unwrap_or_default())
}

/// The text of what a model wrote, without the token that ended it.
pub fn text(tokenizer: &Tokenizer, tokens: &[u32]) -> String {
    let written = match tokens {
        [written @ .., last] if tokenizer.is_end(*last) => written,
        all => all,
    };
    tokenizer.decode(written)
}
