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
use tiller_model::is_over_keys;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    #[command(flatten)]
    prompt: PromptFlags,
    /// The activations, under TransformerLens's names, as in blocks.0.hook_resid_post,logits.
    #[arg(long, value_name = "A,B,..", value_delimiter = ',', required = true)]
    sites: Vec<Site>,
    /// Where to write: one tensor a site, [tokens, width] f32 (attention scores and patterns [heads, queries, keys]), and
    /// `tokens`, i64.
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
    let mut activations: BTreeMap<Site, Vec<Vec<f32>>> = BTreeMap::new();
    let sink = |reading: tiller_engine::Reading<'_>| {
        activations.entry(reading.site).or_default().push(reading.values.to_vec());
    };
    session.engine.harvest(&what, &(), |_, _| {}, sink).await?;
    let heads = session.engine.config().heads as usize;
    let arrays = activations.into_iter().map(|(site, rows)| (site, Array::new(site, rows, heads))).collect();
    let [tokens] = prompts;
    save(&flags.out, &tokens, &arrays)
}

/// An activation as it is written.
struct Array {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Array {
    /// `rows`: by token. Scores and patterns come as `[heads, position + 1]`; what a token cannot see has a score of minus
    /// infinity and a weight of 0.
    fn new(site: Site, rows: Vec<Vec<f32>>, heads: usize) -> Array {
        let tokens = rows.len();
        let bytes = |values: &mut dyn Iterator<Item = f32>| values.flat_map(f32::to_le_bytes).collect();
        if !is_over_keys(site) {
            let shape = vec![tokens, rows.first().map_or(0, Vec::len)];
            return Array { shape, bytes: bytes(&mut rows.into_iter().flatten()) };
        }
        let unseen = if matches!(site, Site::AttnScores(_)) { f32::NEG_INFINITY } else { 0.0 };
        let value = |head: usize, query: usize, key: usize| match key <= query {
            true => rows[query][head * (query + 1) + key],
            false => unseen,
        };
        let places = (0..heads).flat_map(|h| (0..tokens).flat_map(move |q| (0..tokens).map(move |k| (h, q, k))));
        // Beyond a sliding window the engine's scores are merely very low.
        let infinite = |value: f32| if value < -1e29 { f32::NEG_INFINITY } else { value };
        let mut values = places.map(|(head, query, key)| infinite(value(head, query, key)));
        Array { shape: vec![heads, tokens, tokens], bytes: bytes(&mut values) }
    }
}

fn save(path: &Path, tokens: &[u32], activations: &BTreeMap<Site, Array>) -> anyhow::Result<()> {
    let ids: Vec<u8> = tokens.iter().flat_map(|&token| i64::from(token).to_le_bytes()).collect();
    let mut tensors = vec![("tokens".to_string(), TensorView::new(Dtype::I64, vec![tokens.len()], &ids)?)];
    for (site, Array { shape, bytes }) in activations {
        tensors.push((site.to_string(), TensorView::new(Dtype::F32, shape.clone(), bytes)?));
    }
    let about = HashMap::from([("made_by".to_string(), format!("tiller {}", env!("CARGO_PKG_VERSION")))]);
    let not_written = |error| anyhow!("{} could not be written ({error}): choose another place", path.display());
    safetensors::serialize_to_file(tensors, Some(about), path).map_err(not_written)
}
