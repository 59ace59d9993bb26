//! `tiller capture`: writes a text's activations to a safetensors file.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::prompt_flags::PromptFlags;
use anyhow::anyhow;
use clap::Args;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use tiller_engine::{Harvest, Site, TapRows};

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|REPO")]
    model: ModelSource,
    #[command(flatten)]
    prompt: PromptFlags,
    /// The activations, under TransformerLens's names, as in blocks.0.hook_resid_post,logits.
    #[arg(long, value_name = "A,B,..", value_delimiter = ',', required = true)]
    sites: Vec<Site>,
    /// Where to write: one tensor a site, [tokens, width] f32, and `tokens`, i64.
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceFlags,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let mut sites = flags.sites;
    sites.sort_unstable();
    sites.dedup();
    let prompt = flags.prompt.given(None)?;
    let mut session = flags.device.load(&flags.model).await?.session;
    let prompts = [prompt.tokens(&session)?];
    let what = Harvest { prompts: &prompts, sites: &sites, rows: TapRows::All, edits: &[] };
    // Readings of a site come in the order of the tokens.
    let mut activations: BTreeMap<Site, Vec<u8>> = BTreeMap::new();
    let sink = |reading: tiller_engine::Reading<'_>| {
        let bytes = reading.values.iter().flat_map(|value| value.to_le_bytes());
        activations.entry(reading.site).or_default().extend(bytes);
    };
    session.engine.harvest(&what, &(), |_, _| {}, sink).await?;
    let [tokens] = prompts;
    save(&flags.out, &tokens, &activations)
}

fn save(path: &Path, tokens: &[u32], activations: &BTreeMap<Site, Vec<u8>>) -> anyhow::Result<()> {
    let ids: Vec<u8> = tokens.iter().flat_map(|&token| i64::from(token).to_le_bytes()).collect();
    let mut tensors = vec![("tokens".to_string(), TensorView::new(Dtype::I64, vec![tokens.len()], &ids)?)];
    for (site, bytes) in activations {
        let width = bytes.len() / size_of::<f32>() / tokens.len();
        tensors.push((site.to_string(), TensorView::new(Dtype::F32, vec![tokens.len(), width], bytes)?));
    }
    let about = HashMap::from([("made_by".to_string(), format!("tiller {}", env!("CARGO_PKG_VERSION")))]);
    let not_written = |error| anyhow!("{} could not be written ({error}): choose another place", path.display());
    safetensors::serialize_to_file(tensors, Some(about), path).map_err(not_written)
}
