//! `tiller run`: runs a shared experiment as the view that it opens would.

mod feature_change;
mod write;

use super::{ablate, attribute, lens, patch, probe, sae};
use crate::loaded::{DeviceFlags, Loaded};
use crate::model_file::ModelSource;
use crate::patching_flags::control_seeds;
use crate::sae_flags::{SaeFlags, resolve_edits};
use crate::tuned_lens::LensInUse;
use crate::{output, recipe_file};
use anyhow::bail;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use tiller_engine::Site;
use tiller_experiment::{ABLATION_NEUTRAL_TOKENS, finding, lens_texts, read_at};
use tiller_interp::lens::TuneOptions;
use tiller_interp::patch::{Ablation, Metric, Patching, Replacement};
use tiller_interp::probe::{ProbeMethod, SweepOptions};
use tiller_recipe::{Exhibit, Finding, PatchQuestion, Prompt, Recipe, Shelved, View};

#[derive(Args)]
pub struct Flags {
    /// A recipe's JSON file, a link, or the name of an experiment of the gallery.
    #[arg(value_name = "RECIPE.json|LINK|NAME")]
    recipe: String,
    /// Another place to take the model from: a GGUF file, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: Option<ModelSource>,
    /// Of edits: measure what they do and what they cost, beside random directions of equal norm; of changed features,
    /// what they do to the words of a feature's label.
    #[arg(long)]
    evidence: bool,
    /// Of features, looked at or changed: the folder of the sparse autoencoder, as in public/sae/NAME.
    #[arg(long, value_name = "FOLDER")]
    sae: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let recipe = match Exhibit::named(&flags.recipe) {
        Some(exhibit) => exhibit.recipe(),
        None => recipe_file::read(&flags.recipe)?,
    };
    if recipe.view == View::Vectors {
        return vectors(&recipe.shelf, flags.json);
    }
    let model = flags.model.unwrap_or_else(|| ModelSource::Hub(recipe.model.clone()));
    let mut loaded = flags.device.load(&model).await?;
    if let Some(backend) = recipe.backend.as_deref().filter(|&backend| backend != loaded.backend()) {
        let now = loaded.backend();
        eprintln!("tiller: this experiment was made on {backend} and runs on {now}: the last digits may differ");
    }
    match recipe.view {
        View::Steer | View::Models | View::Vectors => {
            write::run(&mut loaded, &recipe, flags.evidence, flags.sae, flags.json).await
        }
        View::Lens => read_lens(&mut loaded, &recipe, flags.json).await,
        View::Patch => intervene(&mut loaded, &recipe, flags.json).await,
        View::Probes => fit_probes(&mut loaded, &recipe, flags.json).await,
        View::Features => read_features(&mut loaded, &recipe, flags.evidence, flags.sae, flags.json).await,
    }
}

/// The lens at the prompt's last token; in JSON, at all of them.
async fn read_lens(loaded: &mut Loaded, recipe: &Recipe, json: bool) -> anyhow::Result<()> {
    const TOP: usize = 5;
    let session = &mut loaded.session;
    let tokens = session.tokens(&recipe.prompt)?;
    let edits = match recipe.lens.edited {
        true => session.resolve_edits(&recipe.vectors, &recipe.edits, &()).await?,
        false => Vec::new(),
    };
    let watched = recipe.lens.follow.iter().map(|text| session.one_token(text)).collect::<Result<Vec<u32>, _>>()?;
    let tuned = match recipe.lens.tuned {
        true => Some(LensInUse::trained(session, &lens_texts(session), &TuneOptions::default()).await?),
        false => None,
    };
    let first = if json { 0 } else { tokens.len().saturating_sub(1) };
    let asked = lens::Asked { positions: first..tokens.len(), tokens, watched, top: TOP, edits, tuned };
    let layers = lens::read(session, &asked).await?;
    let finding = recipe.lens.follow.first().and_then(|followed| finding::of_lens(&layers, followed));
    lens::show(loaded, &asked, &layers, finding, json)
}

async fn intervene(loaded: &mut Loaded, recipe: &Recipe, json: bool) -> anyhow::Result<()> {
    let patching = &recipe.patch;
    let session = &loaded.session;
    let (answer, wrong) = (session.one_token(&patching.answer)?, session.one_token(&patching.wrong)?);
    let metric = Metric::LogitDifference { answer, wrong };
    let seeds = control_seeds(patching.controls);
    let text = |text: &str| Prompt::Text(text.into());
    match patching.question {
        PatchQuestion::Patching => {
            let [clean, corrupt] = session.equal_tokens(&text(&patching.clean), &text(&patching.corrupt))?;
            let (place, direction) = (patching.place, patching.direction);
            let (clean, corrupt) = (&clean[..], &corrupt[..]);
            let what = Patching { clean, corrupt, metric, place, direction, seeds: &seeds, unrelated: &[] };
            patch::run_on(loaded, &what, true, json).await
        }
        PatchQuestion::Attribution => {
            let tokens = session.tokens(&text(&patching.clean))?;
            attribute::run_on(loaded, &tokens, [answer, wrong], attribute::TOP, true, json).await
        }
        PatchQuestion::Ablation => {
            let prompt = &session.tokens(&text(&patching.clean))?;
            let mut neutral = session.neutral()?;
            neutral.truncate(ABLATION_NEUTRAL_TOKENS);
            let neutral = &[neutral];
            let replacement = Replacement::Mean;
            let what = Ablation { prompt, metric, neutral, replacement, seeds: &seeds, with_cost: true };
            ablate::run_on(loaded, &what, json).await
        }
    }
}

async fn fit_probes(loaded: &mut Loaded, recipe: &Recipe, json: bool) -> anyhow::Result<()> {
    let what = recipe.probe.clone().unwrap_or_default();
    let Ok(method) = what.method.parse::<ProbeMethod>() else {
        bail!("the experiment's probe is fitted by {}, which is not known here: get a newer version", what.method)
    };
    let rows = what.data.rows();
    let texts = loaded.session.probe_texts(&rows)?;
    let sites = (0..loaded.session.engine.config().layers).map(Site::ResidPost).collect();
    let options = SweepOptions { method, read: read_at(what.read), ..SweepOptions::default() };
    let asked = probe::Asked { rows, texts, sites, options, erase: false, with_finding: true };
    probe::run_on(loaded, asked, json).await
}

/// The features of the prompt. What is found is of the changes of features, where there are some and evidence is asked
/// for, and else of the feature that is looked at.
async fn read_features(
    loaded: &mut Loaded,
    recipe: &Recipe,
    with_evidence: bool,
    sae: Option<PathBuf>,
    json: bool,
) -> anyhow::Result<()> {
    let Some(folder) = sae else {
        bail!("this experiment looks at features of a sparse autoencoder: name its folder with --sae")
    };
    let mut finding = None;
    if with_evidence && !recipe.feature_edits.is_empty() {
        let edits = resolve_edits(loaded, recipe, Some(folder.clone())).await?;
        finding = feature_change::found(loaded, recipe, &edits, Some(&folder)).await?;
    }
    let opened = SaeFlags::of(folder).open(loaded).await?;
    let tokens = loaded.session.tokens(&recipe.prompt)?;
    sae::features::run_on(loaded, &opened, &tokens, sae::features::TOP, recipe.features.feature, finding, json).await
}

#[derive(Serialize)]
struct Cosines<'a> {
    names: Vec<&'a str>,
    /// Row by row; `None` where two are of different models.
    cosines: Vec<Vec<Option<f64>>>,
    finding: Option<Finding>,
}

/// The vectors on the shelf, and the cosine of every two. It needs no model.
fn vectors(shelf: &[Shelved], json: bool) -> anyhow::Result<()> {
    let cosine =
        |a: &Shelved, b: &Shelved| a.vector.direction.cosine(&b.vector.direction).filter(|_| a.model == b.model);
    let cosines: Vec<Vec<_>> = shelf.iter().map(|a| shelf.iter().map(|b| cosine(a, b)).collect()).collect();
    let names: Vec<&str> = shelf.iter().map(|shelved| shelved.vector.name.as_str()).collect();
    let finding = finding::of_shelf(shelf);
    if json {
        return output::json(&Cosines { names, cosines, finding });
    }
    let mut table = String::new();
    for ((n, name), row) in names.iter().enumerate().zip(&cosines) {
        let row: Vec<String> =
            row.iter().map(|cosine| cosine.map_or("    -".into(), |cosine| format!("{cosine:+.2}"))).collect();
        table += &format!("{:>2}  {}  {name}\n", n + 1, row.join("  "));
    }
    output::text(&(table + &output::finding(&finding)))
}
