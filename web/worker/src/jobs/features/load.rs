//! Where a sparse autoencoder comes from, and whether it fits the loaded model.

use super::LoadedSae;
use super::corpus::Corpus;
use crate::cached_folder::CachedFolder;
use crate::desk::Bench;
use crate::failure::Stop;
use crate::host;
use crate::jobs::{session, telling};
use crate::live::Live;
use std::collections::BTreeMap;
use std::sync::Arc;
use tiller_engine::Site;
use tiller_experiment::SaePlace;
use tiller_formats::{ByteSource, Folder, ReadOptions, SaeFile, SaeFileError, propose_mapping, site_of_folder};
use tiller_protocol::{Event, ModelRef, SaeFileBytes, SaeInfo, SaeQuality, SaeSource, TRAINED};
use tiller_recipe::{HubSae, Unsaid};
use tiller_sae::{Activation, Sae};

/// What a shipped SAE lies in, beside the page.
pub const WEIGHTS: [&str; 2] = ["cfg.json", "sae_weights.safetensors"];
/// What is known of its features from a corpus.
pub const CORPUS: &str = "features.json";
/// What the tensors of a file of no known layout are.
const MAPPING: &str = "mapping.json";
/// How good it is.
const CARD: &str = "card.json";
/// What lies beside an SAE is read up to this length.
const LONGEST_BESIDE: u64 = 16 << 20;

pub async fn load(bench: &mut Bench, live: &Live, source: SaeSource) -> Result<Event, Stop> {
    bench.sae = None;
    session(bench)?;
    let (name, found) = match source {
        SaeSource::Shipped(name) => {
            let files = shipped(&name).await.map_err(|reason| {
                let message = format!("{reason}; check the connection and try again.");
                Stop::failed("The sparse autoencoder could not be fetched", message)
            })?;
            let found = read(&files, &Unsaid::default()).await;
            (name, found)
        }
        SaeSource::Hub { sae, download } => match of_hub(bench, live, &sae, download).await? {
            Some(found) => (name_on_hub(&sae), Ok(found)),
            None => return Ok(Event::SaeNotHere { job: live.job, sae }),
        },
        SaeSource::Files { name, files, unsaid } => {
            let files: BTreeMap<String, Vec<u8>> =
                files.into_iter().map(|SaeFileBytes { name, bytes }| (name, bytes)).collect();
            bench.unmapped = None;
            match read(&files, &unsaid).await {
                Err(SaeFileError::NoSae) => {
                    let config = session(bench)?.engine.config();
                    // Where nothing is said, most read the residual stream.
                    let site = unsaid.site.as_ref().and_then(|site| site.parse().ok());
                    let site = site.filter(|&site| config.check_site(site).is_ok());
                    let width = site.map_or(config.width, |site: Site| config.site_width(site, 0));
                    let mapping = propose(&files, &unsaid, width as usize).await.map_err(unusable)?;
                    // The mapping says it now, and may be changed.
                    let unsaid = Unsaid { site: None, ..unsaid };
                    bench.unmapped = Some(Unmapped { name, files, unsaid });
                    return Ok(Event::SaeUnmapped { job: live.job, mapping });
                }
                found => (name, found),
            }
        }
        SaeSource::Mapped { mapping } => {
            let Some(Unmapped { name, files, unsaid }) = &mut bench.unmapped else {
                return Err(Stop::failed(UNUSABLE, "its files are no longer at hand: open them again"));
            };
            files.insert(MAPPING.into(), mapping.into_bytes());
            (name.clone(), read(files, unsaid).await)
        }
    };
    let Found { file, corpus, quality } = found.map_err(unusable)?;
    let sae = install(bench, name, file, corpus, quality)?;
    bench.unmapped = None;
    Ok(Event::SaeLoaded { job: live.job, sae })
}

/// The user's own files, of no known layout.
pub struct Unmapped {
    name: String,
    files: BTreeMap<String, Vec<u8>>,
    unsaid: Unsaid,
}

/// What the tensors could be of the one safetensors file among these.
async fn propose(files: &BTreeMap<String, Vec<u8>>, unsaid: &Unsaid, width: usize) -> Result<String, SaeFileError> {
    let mut weights = files.iter().filter(|(name, _)| name.ends_with(".safetensors"));
    match (weights.next(), weights.next()) {
        (Some((name, bytes)), None) => propose_mapping(name, bytes, unsaid.site.as_deref(), width).await,
        _ => Err(SaeFileError::NoSae),
    }
}

/// Puts an SAE in its place, where the features that are looked at come from.
pub fn install(
    bench: &mut Bench,
    name: String,
    file: SaeFile,
    corpus: Corpus,
    quality: Option<SaeQuality>,
) -> Result<SaeInfo, Stop> {
    let session = session(bench)?;
    let with_bos = session.tokenizer.begins_with_bos();
    let place = SaePlace::find(&file.sae, &file.trained_on, session.engine.config(), &session.facts.name, with_bos)
        .map_err(unusable)?;
    let loaded = LoadedSae { sae: Arc::new(file.sae), place, corpus, typical_norm: None };
    let sae = SaeInfo {
        name,
        features: loaded.sae.d_sae as u32,
        site: loaded.place.site.to_string(),
        architecture: architecture(&loaded.sae),
        notes: loaded.place.notes.clone(),
        labels: loaded.corpus.labels().take(loaded.sae.d_sae).collect(),
        neuronpedia: file.trained_on.neuronpedia,
        quality,
    };
    bench.sae = Some(loaded);
    Ok(sae)
}

fn unusable(error: impl ToString) -> Stop {
    Stop::failed(UNUSABLE, error)
}

const UNUSABLE: &str = "The sparse autoencoder cannot be used";

/// What there is of an SAE.
struct Found {
    file: SaeFile,
    corpus: Corpus,
    quality: Option<SaeQuality>,
}

/// Reads an SAE, and what is known of its features where that lies beside it.
async fn read(folder: &impl Folder, unsaid: &Unsaid) -> Result<Found, SaeFileError> {
    let Unsaid { site, site_out, input_scale } = unsaid.clone();
    let file = SaeFile::read(folder, &ReadOptions { site, site_out, input_scale }).await?;
    // What cannot be read of these is left out: the features are there without.
    let beside = async |name| -> Result<Option<Vec<u8>>, SaeFileError> {
        let Some(file) = folder.open(name).await?.filter(|file| file.len() <= LONGEST_BESIDE) else { return Ok(None) };
        Ok(Some(file.read_at(0, file.len() as usize).await?))
    };
    let corpus = beside(CORPUS).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let quality = beside(CARD).await?.and_then(|bytes| quality(&bytes));
    Ok(Found { file, corpus, quality })
}

/// From the cache, or from the hub; `None` where it would have to be fetched, and may not.
async fn of_hub(bench: &Bench, live: &Live, sae: &HubSae, download: bool) -> Result<Option<Found>, Stop> {
    if sae.weights.is_kept_here() {
        return kept_here(bench, sae).await.map(Some);
    }
    let folder = CachedFolder::new((&bench.cache, &bench.hub, &live.transfer), &sae.weights, download, telling(live));
    let found = read(&folder, &sae.unsaid).await.map_err(unusable);
    let Some((mut found, _)) = folder.finish(found).await? else { return Ok(None) };
    if found.file.trained_on.site.is_none() {
        let place = sae.weights.file.rsplit_once('/').map_or("", |(place, _)| place);
        found.file.trained_on.site = site_of_folder(&sae.weights.repo, place);
    }
    Ok(Some(found))
}

/// One that was trained in this browser.
async fn kept_here(bench: &Bench, HubSae { weights, unsaid }: &HubSae) -> Result<Found, Stop> {
    let folder = weights.file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut files = BTreeMap::new();
    for name in WEIGHTS.into_iter().chain([CORPUS]) {
        let file = match name == WEIGHTS[1] {
            true => weights.clone(),
            false => ModelRef { file: format!("{folder}/{name}"), bytes: None, sha256: None, ..weights.clone() },
        };
        if let Some(bytes) = bench.cache.kept(&file).await? {
            files.insert(name.to_string(), bytes);
        }
    }
    if files.is_empty() {
        let message = "It was trained in another browser, or has been deleted from this one: ask whoever has it for its \
                       saved files, and open them under \"Use another sparse autoencoder\".";
        return Err(Stop::failed("The sparse autoencoder is not here", message));
    }
    read(&files, unsaid).await.map_err(unusable)
}

/// The repository, and the folder in it.
fn name_on_hub(sae: &HubSae) -> String {
    if sae.weights.is_kept_here() {
        return TRAINED.into();
    }
    let ModelRef { repo, file, .. } = &sae.weights;
    match file.rsplit_once('/') {
        Some((folder, _)) => format!("{repo}/{folder}"),
        None => repo.clone(),
    }
}

fn architecture(sae: &Sae) -> String {
    match &sae.activation {
        Activation::Relu => "ReLU".into(),
        Activation::TopK { k } => format!("TopK, k = {k}"),
        Activation::JumpRelu { .. } => "JumpReLU".into(),
        Activation::Gated { .. } => "gated".into(),
        Activation::MatchingPursuit { .. } => "matching pursuit".into(),
    }
}

/// The files of an SAE that comes with the page.
async fn shipped(name: &str) -> Result<BTreeMap<String, Vec<u8>>, String> {
    // A link names it.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !name.chars().all(plain) || name.starts_with('.') {
        return Err(format!("no sparse autoencoder called {name:?} comes with this page"));
    }
    let mut files = BTreeMap::new();
    for file in WEIGHTS {
        files.insert(file.to_string(), host::fetch(&format!("sae/{name}/{file}")).await?);
    }
    for file in [CORPUS, CARD] {
        if let Ok(bytes) = host::fetch(&format!("sae/{name}/{file}")).await {
            files.insert(file.into(), bytes);
        }
    }
    Ok(files)
}

/// What a card says, as far as the page shows it.
fn quality(card: &[u8]) -> Option<SaeQuality> {
    let card: serde_json::Value = serde_json::from_slice(card).ok()?;
    let number = |path: &str| card.pointer(path)?.as_f64().map(|number| number as f32);
    Some(SaeQuality {
        explained_variance: number("/held_out/as_stored/explained_variance")?,
        l0: number("/held_out/as_stored/l0")?,
        dead: number("/held_out/as_stored/dead")? as u32,
        loss: number("/loss/sae/loss/increase/mean")?,
        loss_interval: (number("/loss/sae/loss/increase/interval/0")?, number("/loss/sae/loss/increase/interval/1")?),
        recovered: number("/loss/sae/loss/recovered")?,
        recovered_by_components: number("/loss/principal_components/loss/recovered")?,
        recovered_by_random: number("/loss/random_directions/loss/recovered")?,
    })
}
