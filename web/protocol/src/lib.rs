//! What the page and its worker say to each other: [`Request`] one way, [`Event`] the other.
//!
//! The page only draws. The worker owns the engine, the hub client and the cache. Messages are plain data (structured
//! clones); byte strings travel as `Vec<u8>`.

use serde::{Deserialize, Serialize};
use tiller_recipe::{Direction, Edit, FeatureEdit, HubSae, Pair, Patching, Prompt, Vector};
pub use tiller_sites::{AccessToken, ModelRef, Positions, Sampling, Site, VectorNumbering};

mod failure;
mod features;
mod grid;
mod lens;
mod patching;
mod probes;
mod repository;
mod training;

pub use failure::{Failure, Remedy};
pub use features::{
    ContrastedFeature, FeatureCard, FeatureContrast, FeatureInText, FeatureLabel, FeatureLoss, FeatureSeen,
    FeatureText, Passage, SaeFileBytes, SaeInfo, SaeQuality, SaeSource, TokenFeatures,
};
pub use grid::{Estimate, GridCell, GridChoice, GridReading, GridReport};
pub use lens::{Followed, LensCell, LensLayer, LensText, LensTuning, Ranked, TunedPlace};
pub use patching::{
    AblatedLayer, Attention, Attribution, AttributionShare, Baseline, Effect, PatchCell, PatchPrompts, PatchStep,
};
pub use probes::{
    AfterErasure, CalibrationBin, ControlTask, ProbeErasure, ProbeLayer, ProbePrediction, ProbeScores, ProbeSpec,
    ProbeSummary, ProbedText, ProbedToken, ReadProbe,
};
pub use repository::{Choice, Fit, RepositoryListing, What};
pub use training::{
    FEWEST_TRAINING_TOKENS, MOST_TRAINING_LETTERS, MOST_TRAINING_TOKENS, TRAINED, TrainDevice, TrainEvent, TrainMethod,
    TrainRequest, TrainSpec, TrainStep, TrainedQuality, TrainingText,
};

/// Names one piece of work, chosen by the page; every event about that work carries it.
pub type JobId = u32;

/// Which backend is to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendChoice {
    /// WebGPU where there is a real one, else the CPU.
    #[default]
    Auto,
    /// WebGPU, even where it is software.
    Gpu,
    Cpu,
}

/// From the page to the worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// First message: where the hub is, and which backend is wanted. Answered by [`Event::Ready`]. `checked`: the
    /// devices whose arithmetic was found right before ([`DeviceCheck::device`]); `tuned`: how devices were found to
    /// compute best.
    Start {
        hub: String,
        backend: BackendChoice,
        token: Option<AccessToken>,
        checked: Vec<String>,
        tuned: Vec<DeviceTuning>,
    },
    /// From now on, the hub is asked in the name of whoever this token belongs to.
    SetToken { token: Option<AccessToken> },
    /// What a repository offers: [`Event::Repository`] or [`Event::Failed`]. Waits for no other job.
    LookUp { job: JobId, repo: String, revision: String },
    /// Fetch (or find in the cache) and load a model. Progress, then [`Event::Loaded`] or [`Event::Failed`]; without
    /// leave to `download`, [`Event::NotHere`] where it would have to be fetched.
    Load { job: JobId, model: ModelRef, download: bool },
    /// Directions at every layer from contrasting pairs, by a method's name ("mean-diff"). Progress, then
    /// [`Event::Directions`].
    BuildVector { job: JobId, method: String, pairs: Vec<Pair> },
    /// Write: the plain and the steered run side by side, one batch. Streams [`Event::Token`], ends with
    /// [`Event::Written`]. A later `Write` cancels the one that runs.
    Write { job: JobId, run: RunSpec },
    /// Changes the strength of an edit of a run that is being written; acts on the very next token.
    SetStrength { job: JobId, edit: usize, strength: f32 },
    /// What the edits do and what they cost, with random controls. Progress, then [`Event::Evidence`].
    Measure { job: JobId, run: RunSpec },
    /// What each layer would say next, at every token of the run's prompt. [`Event::LensText`], an [`Event::LensLayer`]
    /// for each place in the model from the last to the first, then [`Event::LensRead`]. Through a tuned lens, if that is
    /// asked for: where this model has none yet it is trained first, with progress, and then [`Event::LensTuned`].
    ReadLens { job: JobId, run: RunSpec, follow: Vec<String>, tuned: bool },
    /// Every layer with every strength: [`Event::GridCell`] for each, then [`Event::GridSearched`]. Half of the pairs
    /// choose, the others report.
    SearchGrid { job: JobId, method: String, pairs: Vec<Pair>, layers: Vec<u32>, strengths: Vec<f32> },
    /// Which activations, or parts, the answer depends on. Streams [`Event::Patch`], ends with [`Event::Patched`].
    Patch { job: JobId, patching: Patching },
    /// Where the heads of a layer look in a raw text: an [`Event::Attention`].
    ReadAttention { job: JobId, text: String, layer: u32 },
    /// A probe at every block, with controls. Progress, an [`Event::ProbeLayer`] for each block, then
    /// [`Event::ProbesFitted`].
    FitProbes { job: JobId, spec: ProbeSpec },
    /// A probe on every token of the run's prompt, at a block's output; answered by [`Event::TextProbed`].
    ProbeText { job: JobId, block: u32, probe: ReadProbe, prompt: Prompt },
    /// Erases the labels at a block, and measures again; progress, then [`Event::ProbeErased`].
    EraseProbe { job: JobId, spec: ProbeSpec, block: u32 },
    /// Fetch or read a sparse autoencoder, in place of the one there is; answered by [`Event::SaeLoaded`].
    LoadSae { job: JobId, source: SaeSource },
    /// What the SAE finds in the run's prompt; progress, then [`Event::FeaturesRead`].
    ReadFeatures { job: JobId, run: RunSpec },
    /// Which features tell two texts apart; answered by [`Event::FeaturesContrasted`].
    ContrastFeatures { job: JobId, texts: [Prompt; 2] },
    /// One feature by itself; answered by [`Event::Feature`].
    LookAtFeature { job: JobId, feature: u32 },
    /// Takes a feature away where a corpus says that it fires. Answered by [`Event::FeatureAblated`].
    AblateFeature { job: JobId, feature: u32 },
    /// Trains an SAE on the user's own texts. Progress while they are read, then [`Event::Training`]s, of which the last
    /// ends the job.
    Train { job: JobId, what: TrainRequest },
    /// One file of the SAE that was trained here; answered by [`Event::File`].
    SaveTrained { job: JobId, file: String },
    /// Stops any job; it ends with [`Event::Cancelled`] (or `Written` for a run, with what was written so far).
    Cancel { job: JobId },
    /// Ask for [`Event::Cache`].
    ListCache,
    /// Remove one file from the cache; answered by [`Event::Cache`].
    Delete { model: ModelRef },
    /// A file of all these layers; answered by [`Event::File`].
    ExportVector { job: JobId, vector: VectorToSave },
    /// Read a GGUF control vector, or safetensors; answered by [`Event::VectorRead`], [`Event::NumberingUnclear`] or
    /// [`Event::Failed`]. `numbering`: what the user says the numbers in it mean.
    ImportVector { job: JobId, bytes: Vec<u8>, numbering: Option<VectorNumbering> },
}

/// What to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    pub prompt: Prompt,
    pub sampling: Sampling,
    pub max_tokens: u32,
    /// The vectors that the edits name by index.
    pub vectors: Vec<Vector>,
    pub edits: Vec<Edit>,
    /// Changes of features of the SAE that is loaded. For [`Request::SetStrength`] they follow the edits.
    pub feature_edits: Vec<FeatureEdit>,
    /// Whether each token comes with its features.
    pub follow_features: bool,
    /// Which runs to write.
    pub lanes: Vec<Lane>,
}

/// One of the two runs that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// The model as it is.
    Plain,
    /// With the edits.
    Steered,
}

/// From the worker to the page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The worker runs; which backend it will use, and why.
    Ready(BackendReport),
    Progress {
        job: JobId,
        progress: Progress,
    },
    Loaded {
        job: JobId,
        model: ModelInfo,
    },
    /// The model is not in the cache, and nobody gave leave to fetch it.
    NotHere {
        job: JobId,
        model: ModelRef,
    },
    /// The GPU was lost while, or before, this job ran. The model is being loaded again (progress follows under the
    /// job's number), and the job then begins again from its start.
    DeviceLost {
        job: JobId,
        reason: String,
    },
    /// The model is back after [`Event::DeviceLost`].
    Restored {
        job: JobId,
        model: ModelInfo,
    },
    /// The first use of a GPU: whether it computes what the CPU computes.
    Checked(DeviceCheck),
    /// The first use of a GPU by such a model: how it computes best.
    Tuned(DeviceTuning),
    Repository {
        job: JobId,
        listing: RepositoryListing,
    },
    Directions {
        job: JobId,
        directions: Directions,
    },
    /// A vector from a file, and what the file calls it.
    VectorRead {
        job: JobId,
        name: Option<String>,
        directions: Directions,
    },
    /// The file numbers its directions so, and does not say from where blocks are counted: the user is asked, and the file
    /// is read again with the answer.
    NumberingUnclear {
        job: JobId,
        first: u32,
        last: u32,
    },
    /// The prompt of a run as tokens, before the first is written. A run that begins again says so by this.
    RunStarted {
        job: JobId,
        prompt: Vec<PromptToken>,
    },
    Token {
        job: JobId,
        lane: Lane,
        token: WrittenToken,
    },
    Written {
        job: JobId,
        summary: RunSummary,
    },
    Evidence {
        job: JobId,
        evidence: Evidence,
    },
    LensText {
        job: JobId,
        text: LensText,
    },
    LensLayer {
        job: JobId,
        layer: LensLayer,
    },
    LensTuned {
        job: JobId,
        tuning: LensTuning,
    },
    LensRead {
        job: JobId,
    },
    GridCell {
        job: JobId,
        cell: GridCell,
    },
    GridSearched {
        job: JobId,
        report: GridReport,
    },
    Patch {
        job: JobId,
        step: PatchStep,
    },
    Patched {
        job: JobId,
    },
    Attention {
        job: JobId,
        attention: Attention,
    },
    ProbeLayer {
        job: JobId,
        layer: ProbeLayer,
    },
    ProbesFitted {
        job: JobId,
        summary: ProbeSummary,
    },
    TextProbed {
        job: JobId,
        text: ProbedText,
    },
    ProbeErased {
        job: JobId,
        erasure: ProbeErasure,
    },
    SaeLoaded {
        job: JobId,
        sae: SaeInfo,
    },
    /// The SAE is not in the browser yet, and may not be fetched unasked.
    SaeNotHere {
        job: JobId,
        sae: HubSae,
    },
    /// The user's own file is of no known layout: what its tensors could be, as a `mapping.json`.
    SaeUnmapped {
        job: JobId,
        mapping: String,
    },
    FeaturesRead {
        job: JobId,
        text: FeatureText,
    },
    FeaturesContrasted {
        job: JobId,
        contrast: FeatureContrast,
    },
    Feature {
        job: JobId,
        card: FeatureCard,
    },
    FeatureAblated {
        job: JobId,
        loss: FeatureLoss,
    },
    Training {
        job: JobId,
        step: TrainEvent,
    },
    Cache(CacheReport),
    /// A file for the user to save.
    File {
        job: JobId,
        name: String,
        bytes: Vec<u8>,
    },
    Cancelled {
        job: JobId,
    },
    Failed {
        job: Option<JobId>,
        failure: Failure,
    },
}

/// Which backend computes, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackendReport {
    /// "gpu" or "cpu".
    pub backend: String,
    /// The adapter's name, or the CPU's kind.
    pub adapter: String,
    /// The adapter is a software one.
    pub software: bool,
    /// Threads that compute on the CPU; beside a GPU one.
    pub threads: u32,
    /// One sentence where something is not as one would wish (no WebGPU, software only), and what follows.
    pub note: Option<String>,
}

/// A comparison of the GPU with the CPU, on a small model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceCheck {
    /// Names the device, this program's version and the formats of weights that were compared.
    pub device: String,
    pub agrees: bool,
    /// The largest difference of a logit, as a share of the largest logit.
    pub difference: f32,
}

/// How a GPU was found to compute best, in the kernels' own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceTuning {
    /// Names the device, the kernels and what they had to multiply.
    pub device: String,
    pub tiers: String,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub stage: Stage,
    /// Bytes for [`Stage::Downloading`], [`Stage::Verifying`] and [`Stage::Loading`]; prompts or tokens otherwise.
    pub done: u64,
    /// `None` where it is not known.
    pub total: Option<u64>,
    /// Bytes a second, while downloading.
    pub rate: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Asking the hub or looking into the cache.
    Connecting,
    Downloading,
    /// The connection broke; trying again from where it stopped.
    Resuming,
    /// The hub has too much to do, and asked to be left alone for so long.
    Waiting {
        seconds: u32,
    },
    /// Another tab receives the same file; waiting for it.
    Elsewhere,
    /// Checking the checksum of what was stored.
    Verifying,
    /// From the cache to the device.
    Loading,
    /// Compiling shaders and writing one token to warm up.
    Compiling,
    /// Comparing the GPU with the CPU on a small model.
    Comparing,
    /// Running prompts through the model.
    Reading,
    /// Running one prompt under many changes; `done` counts runs.
    Patching,
    /// Training a lens; `done` and the total are shares of the work.
    Tuning,
}

/// What is loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    pub reference: ModelRef,
    pub name: String,
    pub architecture: String,
    pub layers: u32,
    pub width: u32,
    pub vocabulary: u32,
    pub parameters: u64,
    /// The quantisation most weights are in, as GGUF names it ("Q4_1").
    pub quantisation: String,
    /// Tokens of context for one run.
    pub context: u32,
    pub has_chat_template: bool,
    /// Bytes on the device.
    pub device_bytes: u64,
    /// Bytes of WebAssembly memory. It never shrinks, so this is the most that loading took.
    pub heap_bytes: u64,
    /// Written tokens that come back from the device at once; 1 on the CPU.
    pub tokens_a_reading: usize,
    pub seconds: f64,
    /// Whether the file was in the cache already.
    pub from_cache: bool,
    /// One sentence where the file is not kept as one would wish, and what follows.
    pub note: Option<String>,
}

/// A vector, and what its file is to say of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VectorToSave {
    pub name: String,
    pub method: String,
    /// Repository and file.
    pub model: String,
    /// Pairs that it was made of; 0 where it was made otherwise.
    pub pairs: u32,
    pub layers: Vec<LayerDirection>,
    pub format: VectorFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VectorFormat {
    /// A GGUF control vector.
    Gguf,
    Safetensors,
}

/// Directions at every layer, with what helps to choose one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Directions {
    pub method: String,
    pub layers: Vec<LayerDirection>,
    /// The layer that the page proposes; `None` where the file says nothing to judge by (an imported vector).
    pub suggested: Option<u32>,
    pub pairs: u32,
}

/// The direction at one layer (the residual stream at the block's output).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerDirection {
    pub layer: u32,
    pub direction: Direction,
    /// L2 length of the mean difference.
    pub norm: f32,
    /// Mean L2 norm of the residual stream over the examples.
    pub typical_norm: f32,
    /// How well held-out pairs separate; `None` for an imported vector or a single pair.
    pub separability: Option<Separability>,
}

/// Held-out separability: each pair is scored along the direction built from the *other* pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Separability {
    /// Difference of the class means over their pooled standard deviation (d').
    pub d_prime: f32,
    /// Share of pairs whose positive text lies further along the direction than the negative one, 0 to 1.
    pub accuracy: f32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptToken {
    pub id: u32,
    pub text: String,
}

/// A token as it was written, with what else was likely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenToken {
    /// Counts from 0 after the prompt.
    pub index: u32,
    pub id: u32,
    /// What this token adds to the text; empty where it only holds part of a character.
    pub text: String,
    /// Natural log of the probability before temperature.
    pub log_prob: f32,
    /// The most probable tokens, descending, this one possibly among them.
    pub alternatives: Vec<Alternative>,
    /// The strengths of the edits when it was written.
    pub strengths: Vec<f32>,
    /// The features of the token before it, which it was drawn after, with their values; descending. Empty where they
    /// were not asked for.
    pub features: Vec<(u32, f32)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    pub text: String,
    pub log_prob: f32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Why each lane ended.
    pub ends: Vec<(Lane, End)>,
    pub prompt_tokens: u32,
    /// Tokens a lane, a second, while decoding.
    pub tokens_per_second: f64,
    pub seconds_to_first_token: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The model ended its turn.
    EndToken,
    MaxTokens,
    /// The context is full.
    ContextFull,
    Stopped,
}

/// What the edits do to the next word, and what they cost, each beside random directions of equal norm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Kullback-Leibler divergence of the steered next-token distribution from the plain one after the prompt, nats.
    pub shift: Controlled,
    /// Perplexity of a fixed neutral text without edits.
    pub perplexity_plain: f64,
    /// The same with the edits.
    pub perplexity: Controlled,
    /// Tokens of the neutral text.
    pub neutral_tokens: u32,
    /// Of changes of features: what they do to the words of the first whose label names some.
    pub words: Option<LabelWords>,
}

/// What changes of features do to the odds that the next word is one that a feature's label names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelWords {
    pub label: String,
    /// By how many nats the log odds rise, mean over beginnings of sentences; beside as long steps along other features.
    pub rise: Controlled,
    /// The 95 % interval of the mean.
    pub interval: Option<(f64, f64)>,
    /// Beginnings of sentences.
    pub prompts: u32,
}

/// A number beside the same number for random directions of equal norm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Controlled {
    pub value: f64,
    /// One for each random seed.
    pub random: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CacheReport {
    pub entries: Vec<CacheEntry>,
    /// Bytes used by this page's storage and granted to it, where the browser says.
    pub used: Option<u64>,
    pub quota: Option<u64>,
    /// `false` where the browser refuses storage: files then live only as long as the tab.
    pub persistent: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CacheEntry {
    pub model: ModelRef,
    /// Bytes stored.
    pub bytes: u64,
    /// `false` for a download that was cut.
    pub complete: bool,
    /// `false` for a file that is gone when the tab is closed.
    pub outlives_tab: bool,
}
