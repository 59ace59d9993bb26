//! Writing the plain and the steered run side by side.

use super::features::{reading_of, resolve_edits};
use super::session;
use crate::desk::Bench;
use crate::failure::Stop;
use crate::host;
use crate::live::Live;
use tiller_engine::{LaneEnd, Written};
use tiller_experiment::strength_unit;
use tiller_model::StreamDecoder;
use tiller_protocol::{Alternative, End, Event, Lane, PromptToken, RunSpec, RunSummary, WrittenToken};

pub async fn run(bench: &mut Bench, live: &Live, run: RunSpec) -> Result<Event, Stop> {
    let edits = resolve_edits(bench, live, &run).await?;
    let features = reading_of(bench, &run);
    let session = session(bench)?;
    let prompt = session.tokens(&run.prompt)?;
    let of_vectors = run.edits.iter().map(|edit| (strength_unit(&run.vectors, edit), edit.strength));
    let of_features = run.feature_edits.iter().map(|edit| (1.0, edit.strength));
    live.set_edits(of_vectors.chain(of_features).collect());

    let tokenizer = &session.tokenizer;
    let shown = prompt.iter().map(|&id| PromptToken { id, text: tokenizer.token_text(id) }).collect();
    host::send(Event::RunStarted { job: live.job, prompt: shown });

    let steered: Vec<bool> = run.lanes.iter().map(|&lane| lane == Lane::Steered).collect();
    let prompt_tokens = prompt.len() as u32;
    let mut what = session.generation(prompt, edits, &steered, run.sampling, run.max_tokens);
    what.alternatives = true;
    what.features = features;
    let mut decoders: Vec<StreamDecoder> = run.lanes.iter().map(|_| StreamDecoder::new(tokenizer)).collect();
    let on_token = |written: Written| {
        let Written { lane, index, drawn, strengths, mut features } = written;
        let alternative = |&(id, log_prob): &(u32, f32)| Alternative { text: tokenizer.token_text(id), log_prob };
        let token = WrittenToken {
            index,
            id: drawn.token,
            text: decoders[lane].push(drawn.token),
            log_prob: drawn.log_prob,
            alternatives: drawn.alternatives.iter().map(alternative).collect(),
            strengths: live.strengths_of(&strengths),
            features: features.pop().unwrap_or_default(),
        };
        host::send(Event::Token { job: live.job, lane: run.lanes[lane], token });
    };
    let (results, timing) = session.engine.generate(&what, live, host::seconds, on_token).await?;

    let end = |end| match end {
        LaneEnd::EndToken => End::EndToken,
        LaneEnd::MaxTokens => End::MaxTokens,
        LaneEnd::ContextFull => End::ContextFull,
        LaneEnd::Stopped => End::Stopped,
    };
    let summary = RunSummary {
        ends: run.lanes.iter().zip(&results).map(|(&lane, result)| (lane, end(result.end))).collect(),
        prompt_tokens,
        tokens_per_second: timing.decode_rate().unwrap_or(0.0),
        seconds_to_first_token: (timing.first_token - timing.started).max(0.0),
    };
    Ok(Event::Written { job: live.job, summary })
}
