//! `tiller sae train`: a sparse autoencoder from activations.

use crate::activations_file::Activations;
use crate::device::{self, Backend};
use crate::output;
use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tiller_engine::SaeTraining;
use tiller_formats::{DiskFolder, Precision, ReadOptions, SaeFile, TrainedOn};
use tiller_sae::Sae;
use tiller_sae::train::{ActivationRows, Device, Fit, Method, Setup, TrainError, TrainOptions, fit, train};

#[derive(Args)]
pub struct Flags {
    /// Activations to train on, from `tiller sae harvest`.
    #[arg(long, value_name = "A.safetensors,..", value_delimiter = ',', required = true)]
    activations: Vec<PathBuf>,
    /// Activations of other texts, to judge by.
    #[arg(long, value_name = "A.safetensors,..", value_delimiter = ',', required = true)]
    held_out: Vec<PathBuf>,
    /// What keeps features sparse.
    #[arg(long, value_enum, default_value = "topk")]
    method: MethodFlag,
    /// Features that are active at once, for topk and batch-topk; at most, for matching-pursuit.
    #[arg(long, value_name = "N", default_value_t = 32)]
    k: usize,
    /// What a feature costs beside the squared error, for standard and jumprelu. Activations are scaled to a mean length of
    /// the root of their width.
    #[arg(long, value_name = "X", default_value_t = 2.0)]
    sparsity: f32,
    /// Around a threshold, within which it is learnt, for jumprelu.
    #[arg(long, value_name = "X", default_value_t = 0.2)]
    bandwidth: f32,
    /// How many features to learn.
    #[arg(long, value_name = "N", default_value_t = 4096)]
    features: usize,
    /// How many times each activation is seen.
    #[arg(long, value_name = "X", default_value_t = 8.0)]
    epochs: f64,
    /// Activations in a batch.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    batch: usize,
    /// Adam's, at its highest.
    #[arg(long, value_name = "X", default_value_t = 1e-3)]
    learning_rate: f32,
    /// Of the first weights and of the order of the activations.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// What makes the steps; by default the GPU where there is one, else the CPU. Matching pursuit is trained on the CPU.
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// How weights are stored; i8 has one scale for each feature, and only this program reads it.
    #[arg(long, value_enum, default_value = "f32")]
    precision: PrecisionFlag,
    /// The folder to write: SAELens's cfg.json and sae_weights.safetensors.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MethodFlag {
    Topk,
    BatchTopk,
    Standard,
    Jumprelu,
    MatchingPursuit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PrecisionFlag {
    F32,
    F16,
    I8,
}

#[derive(Serialize)]
struct Report {
    model: String,
    site: String,
    /// Which tokens were not read, and how many activations of the training and held-out texts are not used because they
    /// are several times as long as the median.
    left_out: String,
    left_out_by_length: [usize; 2],
    training_rows: usize,
    steps: usize,
    batch: usize,
    features: usize,
    seed: u64,
    backend: &'static str,
    adapter: String,
    /// On the held-out activations, before the weights are rounded and after.
    trained: FitReport,
    stored: FitReport,
    seconds: f64,
}

#[derive(Serialize)]
struct FitReport {
    rows: usize,
    explained_variance: f64,
    l0: f64,
    length_ratio: f64,
    dead: usize,
    /// Features that are active in more than a tenth of the activations.
    dense: usize,
}

impl From<&Fit> for FitReport {
    fn from(fit: &Fit) -> FitReport {
        FitReport {
            rows: fit.rows,
            explained_variance: fit.explained_variance,
            l0: fit.l0,
            length_ratio: fit.length_ratio,
            dead: fit.dead(),
            dense: fit.density.iter().filter(|&&density| density > 0.1).count(),
        }
    }
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let activations = Activations::read(&flags.activations).await?;
    let held_out = Activations::read(&flags.held_out).await?;
    let about = &activations.about;
    if (&held_out.about.model, &held_out.about.site) != (&about.model, &about.site) {
        bail!("the held-out activations are of another model or site: harvest them as the others");
    }
    let method = match flags.method {
        MethodFlag::Topk => Method::TopK { k: flags.k },
        MethodFlag::BatchTopk => Method::BatchTopK { k: flags.k },
        MethodFlag::Standard => Method::Standard { sparsity: flags.sparsity },
        MethodFlag::MatchingPursuit => Method::MatchingPursuit { k: flags.k },
        MethodFlag::Jumprelu => Method::JumpRelu { sparsity: flags.sparsity, bandwidth: flags.bandwidth },
    };
    let steps = (flags.epochs * activations.rows() as f64 / flags.batch.max(1) as f64).ceil() as usize;
    let options = TrainOptions {
        learning_rate: flags.learning_rate,
        seed: flags.seed,
        ..TrainOptions::new(method, flags.features, flags.batch, steps)
    };
    if flags.backend == Some(Backend::Gpu) && !method.suits_devices() {
        bail!("matching pursuit is trained on the CPU alone: leave --backend out, or choose another method");
    }
    let gpu = if method.suits_devices() { device::open(flags.backend).await? } else { None };
    let (backend, adapter) = match &gpu {
        Some(gpu) => ("gpu", gpu.adapter().name.clone()),
        None => ("cpu", device::processor()),
    };
    eprintln!("training on the {} ({adapter})", backend.to_uppercase());
    let mut on_gpu = gpu.map(|gpu| {
        move |setup: &Setup| -> Result<Box<dyn Device>, TrainError> { Ok(Box::new(SaeTraining::new(&gpu, setup)?)) }
    });
    let device = on_gpu.as_mut().map(|make| make as &mut dyn FnMut(&Setup) -> Result<Box<dyn Device>, TrainError>);
    let (begun, mut said) = (Instant::now(), Instant::now());
    let sae = train(&activations, &options, device, |progress| {
        if said.elapsed() > Duration::from_secs(10) || progress.step == progress.steps {
            said = Instant::now();
            eprintln!(
                "step {} of {}: {:.4} of the variance unexplained, {:.1} features at once, {} dead, {:.0} s",
                progress.step,
                progress.steps,
                progress.unexplained,
                progress.l0,
                progress.dead,
                begun.elapsed().as_secs_f64()
            );
        }
        ControlFlow::Continue(())
    })
    .await?;
    let seconds = begun.elapsed().as_secs_f64();
    let judged = |sae: &Sae| fit(sae, &held_out).context("the held-out activations are none: harvest some");
    let trained = judged(&sae)?;

    let trained_on = TrainedOn {
        model: Some(about.model.clone()),
        site: Some(about.site.clone()),
        texts: Some(about.texts_file.clone()),
        prepend_bos: about.prepend_bos.parse().ok(),
        context: about.longest.parse().ok(),
        ..TrainedOn::default()
    };
    let precision = match flags.precision {
        PrecisionFlag::F32 => Precision::F32,
        PrecisionFlag::F16 => Precision::F16,
        PrecisionFlag::I8 => Precision::I8,
    };
    let unwritten = |error| anyhow!("{} could not be written ({error}): choose another place", flags.out.display());
    std::fs::create_dir_all(&flags.out).map_err(unwritten)?;
    for (name, bytes) in (SaeFile { sae, trained_on }).to_saelens(precision) {
        std::fs::write(flags.out.join(name), bytes).map_err(unwritten)?;
    }
    // What is written is what is judged.
    let stored = SaeFile::read(&DiskFolder::new(&flags.out), &ReadOptions::default()).await?;
    let report = Report {
        model: about.model.clone(),
        site: about.site.clone(),
        left_out: about.left_out.clone(),
        left_out_by_length: [activations.left_out, held_out.left_out],
        training_rows: activations.rows(),
        steps,
        batch: flags.batch,
        features: flags.features,
        seed: flags.seed,
        backend,
        adapter,
        trained: (&trained).into(),
        stored: (&judged(&stored.sae)?).into(),
        seconds,
    };
    if flags.json {
        return output::json(&report);
    }
    let FitReport { rows, explained_variance, l0, length_ratio, dead, dense } = &report.stored;
    output::text(&format!(
        "{} of {}, without {} and the {} longest activations: {} activations, {steps} steps in {seconds:.0} s on {}\n\
         on {rows} held-out activations: {:.2} % of the variance explained ({:.2} % before weights were rounded)\n\
         {l0:.1} of {} features at once, {dead} never, {dense} in more than a tenth; reconstructions {length_ratio:.3} as long\n",
        report.site,
        report.model,
        report.left_out,
        report.left_out_by_length[0],
        report.training_rows,
        report.adapter,
        100.0 * explained_variance,
        100.0 * report.trained.explained_variance,
        report.features,
    ))
}
