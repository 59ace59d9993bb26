//! `tiller function-vector`: a task as a vector.

use crate::loaded::{DeviceFlags, Loaded};
use crate::model_file::ModelSource;
use crate::patching_flags::control_seeds;
use crate::{output, vector_output};
use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum, value_parser};
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tiller_experiment::{ControlVectorFile, VectorAtLayer};
use tiller_interp::function_vector::{Answered, Baseline, FunctionPlan, FunctionReport, function_vector};
use tiller_recipe::{FUNCTION_TASKS, FunctionTask, WordPair, word_pairs};

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// Pairs of words: CSV with the columns input and output, or the name of a task that comes along (country-capital,
    /// singular-plural, antonym, english-french, present-past, lowercase-uppercase). Every other pair makes the vector and
    /// chooses; what is reported is of the rest.
    #[arg(long, value_name = "FILE.csv|NAME")]
    task: String,
    /// What is taken off the mean after demonstrations: the mean after demonstrations with their outputs exchanged, or
    /// after bare queries.
    #[arg(long, value_enum, default_value = "shuffled")]
    baseline: BaselineFlag,
    /// Demonstrations before a query.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = value_parser!(u8).range(2..))]
    demonstrations: u8,
    /// The blocks after which to try the vector, from 0 [default: every third].
    #[arg(long, value_name = "0,1,..", value_delimiter = ',')]
    layers: Option<Vec<u32>>,
    /// How strongly, in multiples of the vector itself.
    #[arg(long, value_name = "S,S,..", value_delimiter = ',', default_values_t = [1.0, 2.0])]
    strengths: Vec<f32>,
    /// Random directions beside it.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u8).range(1..=64))]
    controls: u8,
    /// Where to write the vector of the chosen layer: a GGUF control vector, or safetensors where the name
    /// ends so.
    #[arg(long, value_name = "FILE.gguf|FILE.safetensors")]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum BaselineFlag {
    Shuffled,
    Bare,
}

#[derive(Serialize)]
struct Report<'a> {
    task: &'a str,
    pairs: usize,
    demonstrations: u8,
    baseline: Baseline,
    /// Of the tokens that the vector writes.
    writes_texts: Vec<String>,
    #[serde(flatten)]
    found: &'a FunctionReport,
    backend: &'static str,
    adapter: String,
}

/// The longest file that is taken for pairs of words.
const LONGEST: u64 = 1 << 20;

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    if !flags.strengths.iter().all(|strength| strength.is_finite()) {
        bail!("a strength is no number that a vector can be multiplied by: give finite ones");
    }
    let pairs = pairs(&flags.task)?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &mut loaded.session;
    let task = session.function_prompts(&pairs, flags.demonstrations.into())?;
    let layers = flags.layers.unwrap_or_else(|| (1..session.engine.config().layers).step_by(3).collect());
    let seeds = control_seeds(flags.controls);
    let baseline = match flags.baseline {
        BaselineFlag::Shuffled => Baseline::Shuffled,
        BaselineFlag::Bare => Baseline::Bare,
    };
    let plan = FunctionPlan { baseline, layers: &layers, strengths: &flags.strengths, seeds: &seeds };
    let found = function_vector(&mut session.engine, &task, &plan, &(), |_, _| {}).await?;
    if let Some(out) = &flags.out {
        save(out, &found, &flags.task, &loaded)?;
    }
    let session = &loaded.session;
    let texts: Vec<String> = found.writes.iter().map(|written| session.tokenizer.token_text(written.token)).collect();
    if !flags.json {
        return output::text(&summary(&found, &texts));
    }
    output::json(&Report {
        task: &flags.task,
        pairs: pairs.len(),
        demonstrations: flags.demonstrations,
        baseline,
        writes_texts: texts,
        found: &found,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    })
}

fn pairs(named: &str) -> anyhow::Result<Vec<WordPair>> {
    if let Some(task) = FunctionTask::named(named) {
        return Ok(task.pairs());
    }
    let names = FUNCTION_TASKS.map(|task| task.name).join(", ");
    let unreadable = |error| anyhow!("{named} could not be read ({error}): give a CSV file, or one of {names}");
    let length = std::fs::metadata(named).map_err(unreadable)?.len();
    if length > LONGEST {
        bail!("{named} has {length} bytes, too many for pairs of words: give a shorter file");
    }
    word_pairs(&std::fs::read_to_string(named).map_err(unreadable)?).with_context(|| format!("{named} cannot be used"))
}

fn save(path: &Path, found: &FunctionReport, task: &str, loaded: &Loaded) -> anyhow::Result<()> {
    let direction = found.direction.clone();
    let FunctionReport { layer, norm, typical_norm, .. } = *found;
    let layers = vec![VectorAtLayer { layer, direction, norm, typical_norm }];
    let file = ControlVectorFile { method: "function-vector".into(), layers };
    vector_output::save(path, &file, &format!("demonstrations of {task}"), loaded)
}

fn summary(found: &FunctionReport, writes: &[String]) -> String {
    let shown =
        |answered: &Answered| format!("{:4.0} % right, {:6.2} nats", 100.0 * answered.accuracy, answered.log_prob);
    let FunctionReport { layer, strength, queries, gain, lens, .. } = found;
    // Writing to a string does not fail.
    let mut text = format!("{queries} queries that had no part in making the vector, at layer {layer}, {strength}x\n");
    let _ = writeln!(text, "  after demonstrations           {}", shown(&found.demonstrated));
    let _ = writeln!(text, "  after shuffled demonstrations  {}", shown(&found.shuffled));
    let _ = writeln!(text, "  without any                    {}", shown(&found.plain));
    let _ = writeln!(text, "  without any, with the vector   {}", shown(&found.steered));
    for random in &found.random {
        let _ = writeln!(text, "  with a random direction        {}", shown(random));
    }
    let _ = write!(text, "The vector adds {:+.2} nats to the answer", gain.mean);
    if let Some((low, high)) = gain.interval {
        let _ = write!(text, " [{low:+.2}, {high:+.2}]");
    }
    let random: Vec<String> = found.answers_written_by_random.iter().map(usize::to_string).collect();
    let _ = writeln!(
        text,
        ".\nAt this layer, the logit lens has {:.0} % of the answers first.\nThe vector writes {:?}: {} begin an answer (random \
         directions: {}).",
        100.0 * lens,
        writes,
        found.answers_written,
        random.join(", ")
    );
    text
}
