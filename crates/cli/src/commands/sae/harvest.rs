//! `tiller sae harvest`: the activations that a sparse autoencoder is trained on.

use crate::activations_file::{About, ActivationsWriter, Place};
use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::texts_file;
use anyhow::anyhow;
use clap::Args;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tiller_engine::{EngineError, Harvest, Reading, Site, TapRows};

/// Texts that are read before the next are turned into tokens.
const TEXTS_AT_ONCE: usize = 64;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// The activation, by its name, as in blocks.14.hook_resid_post.
    #[arg(long, value_name = "SITE")]
    site: Site,
    /// Texts, one on each line: {"text": ".."}, or {"turns": [{"role": "user", "content": ".."}]}.
    #[arg(long, value_name = "FILE.jsonl")]
    texts: PathBuf,
    /// Stop after about as many tokens [default: read all].
    #[arg(long, value_name = "N")]
    tokens: Option<usize>,
    /// Cut texts after as many tokens.
    #[arg(long, value_name = "N", default_value_t = 128)]
    longest: usize,
    /// Where to write: f16, as safetensors.
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceFlags,
}

/// The first token of a text is left out: its residual stream is many times as long as any other's, whatever the token
/// is, and would be all that an autoencoder learns (Sun et al. 2024, "Massive activations").
pub const LEFT_OUT: &str = "the first token of each text";

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let texts = texts_file::read(&flags.texts)?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &mut loaded.session;
    let width = session.engine.config().site_width(flags.site, 0) as usize;
    let mut out = ActivationsWriter::create(&flags.out, width)?;
    let (begun, mut said) = (Instant::now(), Instant::now());
    for (some, first) in texts.chunks(TEXTS_AT_ONCE).zip((0u32..).step_by(TEXTS_AT_ONCE)) {
        if flags.tokens.is_some_and(|most| out.rows() >= most) {
            break;
        }
        let mut prompts = Vec::with_capacity(some.len());
        for (text, number) in some.iter().zip(first + 1..) {
            let mut tokens = session.tokens(&text.prompt).map_err(|error| anyhow!("text {number}: {error}"))?;
            tokens.truncate(flags.longest.max(1));
            prompts.push(tokens);
        }
        // No prompt is without tokens: such a text is left out, and keeps its number.
        let numbers: Vec<u32> = (first..).zip(&prompts).filter(|(_, p)| !p.is_empty()).map(|(n, _)| n).collect();
        prompts.retain(|prompt| !prompt.is_empty());
        let what = Harvest { prompts: &prompts, sites: &[flags.site], rows: TapRows::All, edits: &[] };
        let mut failed = None;
        let sink = |reading: Reading<'_>| {
            if reading.position == 0 || failed.is_some() {
                return;
            }
            let token = prompts[reading.prompt][reading.position as usize];
            let place = Place { token, position: reading.position, text: numbers[reading.prompt] };
            failed = out.push(place, reading.values).err();
        };
        match session.engine.harvest(&what, &(), |_, _| {}, sink).await {
            Err(EngineError::Cancelled) | Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            let rate = out.rows() as f64 / begun.elapsed().as_secs_f64();
            eprintln!("{} tokens, {rate:.0} a second", out.rows());
        }
    }
    let about = About {
        model: session.facts.name.clone(),
        model_file: loaded.file,
        site: flags.site.to_string(),
        texts_file: flags.texts.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        left_out: LEFT_OUT.into(),
        prepend_bos: session.tokenizer.begins_with_bos().to_string(),
        longest: flags.longest.to_string(),
    };
    eprintln!("{} tokens in {:.0} s", out.rows(), begun.elapsed().as_secs_f64());
    out.finish(&about)
}
