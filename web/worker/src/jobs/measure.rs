//! What the edits do and what they cost, with random controls.

use super::features::resolve_edits;
use super::{reading, session};
use crate::desk::Bench;
use crate::failure::Stop;
use crate::live::Live;
use tiller_interp::evidence::{self, CONTROL_SEEDS, Measurement};
use tiller_protocol::{Controlled, Event, Evidence, RunSpec};

pub async fn run(bench: &mut Bench, live: &Live, run: RunSpec) -> Result<Event, Stop> {
    let edits = resolve_edits(bench, live, &run).await?;
    let session = session(bench)?;
    let prompt = session.tokens(&run.prompt)?;
    let neutral = session.neutral()?;
    let what = Measurement { edits: &edits, prompt: &prompt, neutral: &neutral, seeds: &CONTROL_SEEDS };
    let found = evidence::measure(&mut session.engine, &what, live, reading(live)).await?;
    let controlled = |c: evidence::Controlled| Controlled { value: c.value, random: c.random };
    let evidence = Evidence {
        shift: controlled(found.shift),
        perplexity_plain: found.perplexity_plain,
        perplexity: controlled(found.perplexity),
        neutral_tokens: found.neutral_tokens as u32,
    };
    Ok(Event::Evidence { job: live.job, evidence })
}
