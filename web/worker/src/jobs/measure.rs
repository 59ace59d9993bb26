//! What the edits do and what they cost, with random controls; and what changes of features do to a feature's words.

use super::features::{changed_words, resolve_edits};
use super::{reading, session};
use crate::desk::Bench;
use crate::failure::Stop;
use crate::live::Live;
use tiller_interp::evidence::{self, CONTROL_SEEDS, Measurement, WordSeeds, halves, word_effect};
use tiller_protocol::{Controlled, Event, Evidence, LabelWords, RunSpec};

pub async fn run(bench: &mut Bench, live: &Live, run: RunSpec) -> Result<Event, Stop> {
    let edits = resolve_edits(bench, live, &run).await?;
    let words = changed_words(bench, &run);
    let session = session(bench)?;
    let prompt = session.tokens(&run.prompt)?;
    let neutral = session.neutral()?;
    let what = Measurement { edits: &edits, prompt: &prompt, neutral: &neutral, seeds: &CONTROL_SEEDS };
    // A changed feature is held against others of its own kind.
    let seeds = WordSeeds { others: &CONTROL_SEEDS, random: &[] };
    // The other half chooses strengths, where one is chosen.
    let [_, openings] = halves(&session.openings()?);
    let (mut report, mut before) = (reading(live), 0);
    let after = if words.is_some() { seeds.reads(&openings) } else { 0 };
    let measuring = |done, total| {
        before = total;
        report(done, total + after);
    };
    let found = evidence::measure(&mut session.engine, &what, live, measuring).await?;
    let words = match words {
        Some((label, words)) => {
            let measuring = |done, total| report(before + done, before + total);
            let engine = &mut session.engine;
            let found = word_effect(engine, &edits, &words, &openings, seeds, live, measuring).await?;
            let rise = Controlled { value: found.effect.mean, random: found.others };
            let prompts = found.effect.examples as u32;
            Some(LabelWords { label, rise, interval: found.effect.interval, prompts })
        }
        None => None,
    };
    let controlled = |c: evidence::Controlled| Controlled { value: c.value, random: c.random };
    let evidence = Evidence {
        shift: controlled(found.shift),
        perplexity_plain: found.perplexity_plain,
        perplexity: controlled(found.perplexity),
        neutral_tokens: found.neutral_tokens as u32,
        words,
    };
    Ok(Event::Evidence { job: live.job, evidence })
}
