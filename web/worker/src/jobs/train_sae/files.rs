//! The files of what was trained: as SAELens lays them out, saved by the user or kept in the browser.

use super::{STRETCH, Site};
use crate::cache::Cache;
use crate::desk::Bench;
use crate::failure::Stop;
use crate::jobs::features::{CORPUS, LoadedSae, WEIGHTS};
use crate::live::Live;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use tiller_experiment::Session;
use tiller_formats::{Precision, SaeFile, TrainedOn};
use tiller_protocol::{Event, ModelRef};
use tiller_sites::KEPT_HERE;

/// The one version that there is of what was made here.
const REVISION: &str = "1";
/// Letters of the weights' sum in the name of their folder.
const SUM_LETTERS: usize = 16;

pub(super) fn trained_on(session: &Session, site: Site) -> TrainedOn {
    TrainedOn {
        model: Some(session.facts.name.clone()),
        site: Some(site.to_string()),
        prepend_bos: Some(session.tokenizer.begins_with_bos()),
        context: Some(STRETCH as u32),
        // Activations are read as the model has them.
        centred: Some(false),
        ..TrainedOn::default()
    }
}

/// All files of an SAE, and of what is known of its features from the texts.
fn files(session: &Session, loaded: &LoadedSae) -> BTreeMap<String, Vec<u8>> {
    let of = SaeFile { sae: loaded.sae().clone(), trained_on: trained_on(session, loaded.site()) };
    let mut files: BTreeMap<String, Vec<u8>> = of.to_saelens(Precision::F32);
    files.extend(serde_json::to_vec(loaded.corpus()).ok().map(|corpus| (CORPUS.to_string(), corpus)));
    files
}

/// A file of the SAE that is loaded.
pub fn save(bench: &mut Bench, live: &Live, file: &str) -> Result<Event, Stop> {
    let gone =
        || Stop::failed("There is nothing to save", "The sparse autoencoder is not here any more: train another.");
    let (Some(session), Some(loaded)) = (&bench.session, &bench.sae) else { return Err(gone()) };
    let bytes = files(session, loaded).remove(file).ok_or_else(gone)?;
    Ok(Event::File { job: live.job, name: file.into(), bytes })
}

/// Keeps the SAE that is loaded in the browser, and says under what name; `None` where it cannot be kept there.
pub(super) async fn keep(bench: &Bench) -> Option<ModelRef> {
    let files = files(bench.session.as_ref()?, bench.sae.as_ref()?);
    let weights = files.get(WEIGHTS[1])?;
    let sum: String = Sha256::digest(weights).iter().map(|byte| format!("{byte:02x}")).collect();
    let named = |name: &str, bytes: &[u8]| ModelRef {
        repo: KEPT_HERE.into(),
        revision: REVISION.into(),
        file: format!("{}/{name}", &sum[..SUM_LETTERS]),
        bytes: Some(bytes.len() as u64),
        sha256: None,
    };
    let of_weights = ModelRef { sha256: Some(sum.clone()), ..named(WEIGHTS[1], weights) };
    match keep_all(&bench.cache, &files, &of_weights, named).await {
        true => Some(of_weights),
        false => {
            // What there was room for is of no use alone.
            let _ = bench.cache.delete(&of_weights).await;
            None
        }
    }
}

async fn keep_all(
    cache: &Cache,
    files: &BTreeMap<String, Vec<u8>>,
    weights: &ModelRef,
    named: impl Fn(&str, &[u8]) -> ModelRef,
) -> bool {
    for (name, bytes) in files {
        let file = if name == WEIGHTS[1] { weights.clone() } else { named(name, bytes) };
        if cache.keep(&file, bytes).await.is_err() {
            return false;
        }
    }
    true
}
