//! Whether a vector does what it is said to do wherever one would use it: in other contexts, in other words, at other
//! strengths, and not on words that only look alike.

use super::{TokenPair, random_direction};
use crate::InterpError;
use crate::evidence::{Estimate, Neutral, ending_log_probs};
use crate::probe::{Interval, wilson};
use crate::products::norm;
use serde::Serialize;
use std::collections::BTreeMap;
use tiller_engine::{Controls, Edit, Engine, Harvest, Positions, Site, TapRows};

/// What to test.
#[derive(Clone, Copy, Debug)]
pub struct RobustnessPlan<'a> {
    /// The block after which the vector is added, from a context's last token on.
    pub layer: u32,
    /// `[d_model]`, of any length but zero.
    pub direction: &'a [f32],
    /// Mean L2 norm of the residual stream there.
    pub typical_norm: f32,
    /// In multiples of it.
    pub strengths: &'a [f32],
    /// Texts after which the vector is to work, in tokens.
    pub contexts: &'a [Vec<u32>],
    /// For each context a number: those of one number say the same in other words.
    pub groups: &'a [usize],
    /// What could follow: `positive` is what the vector is to make likelier, beside `negative`. They take turns.
    pub endings: &'a [TokenPair],
    /// Words that have the concept, words that only look like them, and words that are as far from it as any: each a text
    /// of its own, read at its last token. All may be empty.
    pub words: &'a [Vec<u32>],
    pub look_alikes: &'a [Vec<u32>],
    pub unrelated: &'a [Vec<u32>],
    /// A neutral text, in tokens, whose perplexity is the cost.
    pub neutral: &'a [u32],
    /// How much more perplexity a strength may cost: 0.1 is a tenth more than the plain model's.
    pub most_cost: f64,
    /// One random direction of equal norm for each, at the best strength.
    pub seeds: &'a [u32],
}

/// One strength over all contexts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AtStrength {
    pub strength: f32,
    /// By how many nats the positive ending became likelier, beside the negative one.
    pub effect: Estimate,
    /// Share of contexts in which it became likelier at all, with its 95 % interval (Wilson 1927).
    pub right: f64,
    pub interval: Interval,
    /// Share of the groups in which it became likelier in every wording.
    pub right_in_all_words: f64,
    /// Of the neutral text.
    pub perplexity: f64,
}

/// A random direction at the best strength.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RandomShare {
    pub seed: u32,
    pub right: f64,
    pub effect: f64,
}

/// A word that only looks like those of the concept, and lies along the vector as they do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FalseFriend {
    /// Its place among the look-alikes.
    pub look_alike: usize,
    /// How far it lies along the vector: 0 as unrelated words do, 1 as the concept's words do.
    pub score: f64,
}

/// Why a vector is called fragile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fragility {
    /// No strength has an effect that is surely above a fifth of a nat at an acceptable cost.
    NoEffect,
    /// In more than a fifth of the contexts it does nothing or the contrary.
    Contexts,
    /// In more than a fifth of the contexts it depends on their wording.
    Wording,
    /// A random direction is right as often.
    Chance,
    /// The strengths that work do not span a factor of two.
    Window,
    /// Words that only look alike lie along it too.
    FalseFriends,
}

/// What a test comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Robustness {
    pub perplexity_plain: f64,
    /// In the order asked for.
    pub strengths: Vec<AtStrength>,
    /// Of those at an acceptable cost, the strength that is right in most contexts, and of equals has the largest effect.
    pub best: Option<AtStrength>,
    pub random: Vec<RandomShare>,
    /// The smallest and the largest size of a strength with an effect surely above a fifth of a nat at an acceptable cost.
    pub window: Option<(f32, f32)>,
    /// Descending by score; those above a half. `None` where no words were given, or the concept's own words do not lie
    /// along the vector, so that nothing can be said of others.
    pub false_friends: Option<Vec<FalseFriend>>,
    /// Nothing where the vector is robust.
    pub fragile: Vec<Fragility>,
}

/// Shares of contexts that a robust vector reaches.
const MOST_CONTEXTS: f64 = 0.8;
/// An effect below this, in nats, is none: it changes odds by less than a fifth.
const LEAST_EFFECT: f64 = 0.2;
/// By how many of their deviations the concept's words have to lie further along than unrelated ones.
const APART: f64 = 2.0;
/// What a robust vector's strengths span.
const WIDE: f32 = 2.0;
/// Of the concept's own words, how far along the vector a false friend lies (Coffee/Coffins: half of the largest).
const FIRES: f64 = 0.5;

/// Tests a vector as the badge states it ([`Fragility`]): after every context, at every strength, beside random directions.
///
/// `progress` is told the contexts done, over all strengths and controls, and in all. Errors where there are no contexts,
/// endings or strengths, an output is not finite, and as the engine's harvest.
pub async fn robustness(
    engine: &mut Engine,
    plan: &RobustnessPlan<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<Robustness, InterpError> {
    if plan.contexts.is_empty() || plan.endings.is_empty() {
        return Err(InterpError::NoQueries);
    }
    if plan.strengths.is_empty() {
        return Err(InterpError::NoStrengths);
    }
    let length = norm(plan.direction).max(f64::MIN_POSITIVE);
    let unit: Vec<f32> = plan.direction.iter().map(|&x| (f64::from(x) / length) as f32).collect();
    let total = (plan.contexts.len() * (1 + plan.strengths.len() + plan.seeds.len())) as u64;
    let mut done = 0;
    let mut step = |contexts: usize| {
        done += contexts as u64;
        progress(done, total);
    };

    let neutral = Neutral::read(engine, plan.neutral, controls, |_, _| {}).await?;
    let plain = odds(engine, plan, None, controls).await?;
    step(plan.contexts.len());
    let mut strengths = Vec::with_capacity(plan.strengths.len());
    for &strength in plan.strengths {
        let edit = Edit::add(Site::ResidPost(plan.layer), unit.clone(), strength * plan.typical_norm);
        let gains = gains(&odds(engine, plan, Some(&edit), controls).await?, &plain);
        let cost = neutral.cost(engine, &[edit], controls, |_, _| {}).await?;
        strengths.push(at_strength(strength, &gains, plan.groups, cost.perplexity)?);
        step(plan.contexts.len());
    }
    let affordable = |at: &&AtStrength| at.perplexity <= (1.0 + plan.most_cost) * neutral.perplexity;
    let best = strengths
        .iter()
        .filter(affordable)
        .copied()
        .max_by(|a, b| a.right.total_cmp(&b.right).then(a.effect.mean.total_cmp(&b.effect.mean)));
    let sure = |at: &&AtStrength| at.effect.interval.is_some_and(|(low, _)| low > LEAST_EFFECT);
    let sizes = || strengths.iter().filter(affordable).filter(sure).map(|at| at.strength.abs());
    let window = sizes().min_by(f32::total_cmp).zip(sizes().max_by(f32::total_cmp));

    let mut random = Vec::new();
    if let Some(best) = best {
        for &seed in plan.seeds {
            let direction = random_direction(seed.into(), unit.len());
            let edit = Edit::add(Site::ResidPost(plan.layer), direction, best.strength * plan.typical_norm);
            let gains = gains(&odds(engine, plan, Some(&edit), controls).await?, &plain);
            let at = at_strength(best.strength, &gains, plan.groups, f64::NAN)?;
            random.push(RandomShare { seed, right: at.right, effect: at.effect.mean });
            step(plan.contexts.len());
        }
    }
    let false_friends = false_friends(engine, plan, &unit, controls).await?;
    let fragile = fragile(best, window, &random, false_friends.as_deref().unwrap_or_default());
    Ok(Robustness { perplexity_plain: neutral.perplexity, strengths, best, random, window, false_friends, fragile })
}

/// After each context, the log odds of its positive ending against its negative one.
async fn odds(
    engine: &mut Engine,
    plan: &RobustnessPlan<'_>,
    edit: Option<&Edit>,
    controls: &impl Controls,
) -> Result<Vec<f64>, InterpError> {
    let mut found = Vec::with_capacity(plan.contexts.len());
    for (n, context) in plan.contexts.iter().enumerate() {
        let TokenPair { positive, negative } = &plan.endings[n % plan.endings.len()];
        // What is written later than the context is read with the vector too.
        let last = context.len().saturating_sub(1) as u32;
        let longest = context.len() + positive.len().max(negative.len());
        let listed = Positions::Listed((last..longest as u32).collect());
        let edits: Vec<Edit> = edit.map(|edit| edit.clone().at(listed)).into_iter().collect();
        let log_probs = ending_log_probs(engine, context, &[positive, negative], &edits, controls).await?;
        found.push(log_probs[0] - log_probs[1]);
    }
    Ok(found)
}

fn gains(steered: &[f64], plain: &[f64]) -> Vec<f64> {
    steered.iter().zip(plain).map(|(steered, plain)| steered - plain).collect()
}

fn at_strength(strength: f32, gains: &[f64], groups: &[usize], perplexity: f64) -> Result<AtStrength, InterpError> {
    let effect = Estimate::of(gains).ok_or(InterpError::Overdriven)?;
    let right = gains.iter().filter(|&&gain| gain > 0.0).count();
    let mut in_all_words: BTreeMap<usize, bool> = BTreeMap::new();
    for (n, &gain) in gains.iter().enumerate() {
        // A context without a group is one of its own.
        let group = groups.get(n).copied().unwrap_or(usize::MAX - n);
        *in_all_words.entry(group).or_insert(true) &= gain > 0.0;
    }
    Ok(AtStrength {
        strength,
        effect,
        right: right as f64 / gains.len() as f64,
        interval: wilson(right, gains.len()),
        right_in_all_words: in_all_words.values().filter(|&&right| right).count() as f64 / in_all_words.len() as f64,
        perplexity,
    })
}

async fn false_friends(
    engine: &mut Engine,
    plan: &RobustnessPlan<'_>,
    unit: &[f32],
    controls: &impl Controls,
) -> Result<Option<Vec<FalseFriend>>, InterpError> {
    if plan.words.is_empty() || plan.look_alikes.is_empty() || plan.unrelated.is_empty() {
        return Ok(None);
    }
    let prompts = [plan.words, plan.look_alikes, plan.unrelated].concat();
    let mut along = vec![0.0; prompts.len()];
    let what = Harvest { prompts: &prompts, sites: &[Site::ResidPost(plan.layer)], rows: TapRows::Picks, edits: &[] };
    let sink = |reading: tiller_engine::Reading<'_>| {
        along[reading.prompt] = reading.values.iter().zip(unit).map(|(&x, &u)| f64::from(x) * f64::from(u)).sum();
    };
    engine.harvest(&what, controls, |_, _| {}, sink).await?;
    let (words, rest) = along.split_at(plan.words.len());
    let (look_alikes, unrelated) = rest.split_at(plan.look_alikes.len());
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (one, zero) = (mean(words), mean(unrelated));
    let variance =
        |values: &[f64], mean: f64| values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
    let deviation = ((variance(words, one) + variance(unrelated, zero)) / 2.0).sqrt();
    // What is no number lies nowhere.
    if !(one - zero > APART * deviation && one > zero) {
        return Ok(None);
    }
    let scored = look_alikes.iter().enumerate();
    let mut found: Vec<FalseFriend> =
        scored.map(|(look_alike, x)| FalseFriend { look_alike, score: (x - zero) / (one - zero) }).collect();
    found.retain(|friend| friend.score > FIRES);
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(Some(found))
}

fn fragile(
    best: Option<AtStrength>,
    window: Option<(f32, f32)>,
    random: &[RandomShare],
    false_friends: &[FalseFriend],
) -> Vec<Fragility> {
    let mut fragile = Vec::new();
    match best {
        Some(best) if window.is_some() => {
            let shares = [(best.right, Fragility::Contexts), (best.right_in_all_words, Fragility::Wording)];
            fragile.extend(shares.iter().filter(|(share, _)| *share < MOST_CONTEXTS).map(|(_, why)| *why));
            if random.iter().any(|random| random.right >= best.right && random.effect >= best.effect.mean / 2.0) {
                fragile.push(Fragility::Chance);
            }
        }
        _ => fragile.push(Fragility::NoEffect),
    }
    if window.is_some_and(|(low, high)| high < WIDE * low) {
        fragile.push(Fragility::Window);
    }
    if !false_friends.is_empty() {
        fragile.push(Fragility::FalseFriends);
    }
    fragile
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_count_contexts_and_groups() {
        let at = at_strength(0.1, &[1.0, 2.0, -1.0, 3.0], &[0, 0, 1, 1], 10.0).unwrap();
        assert_eq!((at.right, at.right_in_all_words, at.effect.mean), (0.75, 0.5, 1.25));
        let alone = at_strength(0.1, &[1.0, -2.0, 1.0], &[], 10.0).unwrap();
        assert!((alone.right_in_all_words - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_badge_names_every_weakness() {
        let at = at_strength(0.1, &[2.0; 10], &[], 10.0).unwrap();
        let chance = RandomShare { seed: 1, right: 1.0, effect: 1.5 };
        let harmless = RandomShare { seed: 1, right: 0.5, effect: 0.1 };
        let friend = FalseFriend { look_alike: 0, score: 0.7 };
        assert_eq!(fragile(Some(at), Some((0.1, 0.3)), &[harmless], &[]), []);
        assert_eq!(fragile(None, None, &[], &[]), [Fragility::NoEffect]);
        let half = at_strength(0.1, &[2.0, -2.0, 2.0, -1.0], &[0, 0, 1, 1], 10.0).unwrap();
        assert_eq!(
            fragile(Some(half), Some((0.1, 0.15)), &[chance], &[friend]),
            [Fragility::Contexts, Fragility::Wording, Fragility::Chance, Fragility::Window, Fragility::FalseFriends]
        );
    }
}
