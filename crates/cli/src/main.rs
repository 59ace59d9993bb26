//! The native program: the same engine as the page's, headless.
//!
//! A command is one file in `commands`; the flags that several share, and what they stand for, lie in files of their
//! own. Results go to stdout, everything else to stderr. An error is one sentence that says what to do.

mod activations_file;
mod commands;
mod described_features;
mod device;
mod loaded;
mod model_file;
mod output;
mod pairs_file;
mod patching_flags;
mod peak_memory;
mod prompt_flags;
mod recipe_file;
mod sae_flags;
mod sampling_flags;
mod steering_flags;
mod texts_file;
mod transfer_meter;
mod tuned_lens;
mod tuning;
mod vector_output;

use clap::error::{ContextKind, ErrorKind};
use clap::{Parser, Subcommand};
use commands::{
    ablate, attribute, bench, capture, cast, cav, function_vector, generate, grid, heads, layers, lens, link,
    model_diff, neurons, patch, probe, robustness, run, sae, snmf, vector,
};
use std::error::Error;
use std::process::ExitCode;

/// Read and change what happens inside a language model.
#[derive(Parser)]
#[command(name = "tiller", version)]
struct Tiller {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Continue a text, steered or not.
    Generate(generate::Flags),
    /// Write a text's activations to a safetensors file.
    Capture(capture::Flags),
    /// The next token as each layer would have it: the logit lens, or a tuned one.
    Lens(lens::Flags),
    /// What the neurons of an MLP write in the vocabulary's terms, which match some words, and what holding them does.
    Neurons(neurons::Flags),
    /// Put activations of one prompt's run into another's, one at a time: which carry the answer.
    Patch(patch::Flags),
    /// What each part of the model adds directly to a logit difference.
    Attribute(attribute::Flags),
    /// Take away every head and MLP, one at a time: what an answer and plain text lose.
    Ablate(ablate::Flags),
    /// What kind of head each head is, by where it looks in a random text that repeats itself.
    Heads(heads::Flags),
    /// Make steering vectors from contrasting pairs of texts.
    Vector(vector::Flags),
    /// Make a vector of the demonstrations of a task, and have prompts without any do the task by it.
    FunctionVector(function_vector::Flags),
    /// Steer only where the prompt is about something: find the condition, measure it, and write the experiment.
    Cast(Box<cast::Flags>),
    /// What one checkpoint has become of another, as a vector, and what adding it to the base does.
    ModelDiff(model_diff::Flags),
    /// Search the layer and the strength at which a vector steers best, on pairs of texts.
    Grid(grid::Flags),
    /// Steer at every layer, and hold against that the layers that cheap scores pick.
    Layers(layers::Flags),
    /// Fit probes to labelled texts at every layer, with their controls.
    Probe(probe::Flags),
    /// Whether an answer goes up along the direction of a concept: concept activation vectors beside random ones.
    Cav(cav::Flags),
    /// Whether a vector works in other contexts and words, at other strengths, and not on words that only look alike.
    Robustness(robustness::Flags),
    /// Sparse autoencoders: features of texts, what they write, training, judging.
    #[command(subcommand)]
    Sae(sae::Sae),
    /// The neurons of an MLP in a few sparse combinations: where each is active, and what steering by it does.
    Snmf(Box<snmf::Flags>),
    /// Run a shared experiment, plain and steered side by side.
    Run(run::Flags),
    /// Make a link of an experiment, short ones with its vectors in a compact code.
    Link(link::Flags),
    /// Measure loading, reading and writing.
    Bench(bench::Flags),
}

fn main() -> ExitCode {
    let tiller = match Tiller::try_parse() {
        Ok(tiller) => tiller,
        Err(error) => return misused(&error),
    };
    let done = match tiller.command {
        Command::Generate(flags) => pollster::block_on(generate::run(flags)),
        Command::Capture(flags) => pollster::block_on(capture::run(flags)),
        Command::Lens(flags) => pollster::block_on(lens::run(flags)),
        Command::Neurons(flags) => pollster::block_on(neurons::run(flags)),
        Command::Patch(flags) => pollster::block_on(patch::run(flags)),
        Command::Attribute(flags) => pollster::block_on(attribute::run(flags)),
        Command::Ablate(flags) => pollster::block_on(ablate::run(flags)),
        Command::Heads(flags) => pollster::block_on(heads::run(flags)),
        Command::Vector(flags) => pollster::block_on(vector::run(flags)),
        Command::FunctionVector(flags) => pollster::block_on(function_vector::run(flags)),
        Command::Cast(flags) => pollster::block_on(cast::run(*flags)),
        Command::ModelDiff(flags) => pollster::block_on(model_diff::run(flags)),
        Command::Grid(flags) => pollster::block_on(grid::run(flags)),
        Command::Layers(flags) => pollster::block_on(layers::run(flags)),
        Command::Probe(flags) => pollster::block_on(probe::run(flags)),
        Command::Cav(flags) => pollster::block_on(cav::run(flags)),
        Command::Robustness(flags) => pollster::block_on(robustness::run(flags)),
        Command::Sae(sae) => pollster::block_on(sae::run(sae)),
        Command::Snmf(flags) => pollster::block_on(snmf::run(*flags)),
        Command::Run(flags) => pollster::block_on(run::run(flags)),
        Command::Link(flags) => pollster::block_on(link::run(flags)),
        Command::Bench(flags) => pollster::block_on(bench::run(flags)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tiller: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Flags that cannot be understood, or a wish for help. Where a value is refused, why it is stands in one sentence,
/// which is clearer alone than in clap's frame.
fn misused(error: &clap::Error) -> ExitCode {
    let refused = (error.kind() == ErrorKind::ValueValidation).then(|| error.source()).flatten();
    let Some(reason) = refused else { error.exit() };
    let flag = error.get(ContextKind::InvalidArg).map_or(String::new(), |flag| format!("{flag}: "));
    eprintln!("tiller: {flag}{reason}");
    ExitCode::FAILURE
}
