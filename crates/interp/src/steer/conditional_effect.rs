//! What an edit under a condition does, on prompts that the condition is for and on others.

use super::TokenPair;
use super::conditional::{FoundCondition, Gating};
use crate::InterpError;
use crate::evidence::{Estimate, Neutral, ending_log_probs};
use serde::Serialize;
use tiller_engine::{Condition, Controls, Edit, Engine};

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct ConditionalPlan<'a> {
    pub condition: &'a FoundCondition,
    /// What is done where the condition holds, from the prompt's last token on; without a condition of its own.
    pub edit: &'a Edit,
    /// Prompts that had no part in finding the condition, of the kind that it is for.
    pub matching: &'a [Vec<u32>],
    /// And of others.
    pub other: &'a [Vec<u32>],
    /// What could follow a prompt: `positive` is what the edit is to make likelier, beside `negative`. They take turns.
    pub endings: &'a [TokenPair],
    /// A neutral text, in tokens, whose perplexity is the cost.
    pub neutral: &'a [u32],
}

/// What an edit does on prompts of both kinds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConditionalReport {
    /// Under the condition.
    pub gated: GatedEffect,
    /// Always, from the prompt's last token on.
    pub ungated: GatedEffect,
    /// Under the random conditions that were searched beside it.
    pub random: Vec<GatedEffect>,
    pub perplexity_plain: f64,
    /// Of the neutral text.
    pub perplexity_gated: f64,
    pub perplexity_ungated: f64,
}

/// By how many nats the positive ending became likelier after a prompt, beside the negative one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GatedEffect {
    pub matching: Estimate,
    pub other: Estimate,
    /// How often the edit acted, as the engine had it: it changed what follows.
    pub acted: Gating,
}

/// Measures `plan.edit` under its condition, always, and under random conditions.
///
/// A condition that is worth having leaves the effect on matching prompts as it is without one, and the effect on others
/// near zero. Errors where there are no prompts or endings, and as the engine's harvest.
pub async fn conditional_effect(
    engine: &mut Engine,
    plan: &ConditionalPlan<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<ConditionalReport, InterpError> {
    if plan.matching.is_empty() || plan.other.is_empty() || plan.endings.is_empty() {
        return Err(InterpError::NoQueries);
    }
    let when = |condition: Condition| plan.edit.clone().when(condition);
    let conditions = [plan.condition.always(), plan.condition.condition()].into_iter();
    let all: Vec<Edit> = conditions.chain(plan.condition.at_random()).map(when).collect();

    let prompts: Vec<(bool, &Vec<u32>)> = plan
        .matching
        .iter()
        .map(|prompt| (true, prompt))
        .chain(plan.other.iter().map(|prompt| (false, prompt)))
        .collect();
    // By edit, then by prompt: the gain.
    let mut gains = vec![Vec::with_capacity(prompts.len()); all.len()];
    for (n, (_, prompt)) in prompts.iter().enumerate() {
        let TokenPair { positive, negative } = &plan.endings[n % plan.endings.len()];
        let endings = [&positive[..], &negative[..]];
        let plain = ending_log_probs(engine, prompt, &endings, &[], controls).await?;
        for (edit, gains) in all.iter().zip(&mut gains) {
            let edits = std::slice::from_ref(edit);
            let found = ending_log_probs(engine, prompt, &endings, edits, controls).await?;
            gains.push((found != plain, found[0] - found[1] - (plain[0] - plain[1])));
        }
        progress(n as u64 + 1, prompts.len() as u64);
    }
    let effect = |gains: &[(bool, f64)]| {
        let of = |kind: bool| -> Vec<(bool, f64)> {
            let of_kind = prompts.iter().zip(gains).filter(|((matching, _), _)| *matching == kind);
            of_kind.map(|(_, gain)| *gain).collect()
        };
        let (matching, other) = (of(true), of(false));
        let estimate = |gains: &[(bool, f64)]| Estimate::of(&gains.iter().map(|gain| gain.1).collect::<Vec<f64>>());
        let acted = |gains: &[(bool, f64)]| gains.iter().filter(|gain| gain.0).count();
        Ok(GatedEffect {
            matching: estimate(&matching).ok_or(InterpError::Overdriven)?,
            other: estimate(&other).ok_or(InterpError::Overdriven)?,
            acted: Gating::of(acted(&matching), matching.len(), acted(&other), other.len()),
        })
    };
    let neutral = Neutral::read(engine, plan.neutral, controls, |_, _| {}).await?;
    let mut cost = [0.0; 2];
    for (edit, cost) in all.iter().zip(&mut cost) {
        *cost = neutral.cost(engine, std::slice::from_ref(edit), controls, |_, _| {}).await?.perplexity;
    }
    Ok(ConditionalReport {
        ungated: effect(&gains[0])?,
        gated: effect(&gains[1])?,
        random: gains[2..].iter().map(|gains| effect(gains)).collect::<Result<_, InterpError>>()?,
        perplexity_plain: neutral.perplexity,
        perplexity_ungated: cost[0],
        perplexity_gated: cost[1],
    })
}
