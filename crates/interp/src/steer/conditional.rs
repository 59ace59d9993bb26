//! When to steer: a condition on what the prompt is about (Lee et al. 2024, "Programming Refusal with Conditional
//! Activation Steering", CAST).

use super::{Contrast, Made, TokenPair, VectorMethod, random_direction};
use crate::InterpError;
use crate::probe::{Interval, wilson};
use crate::products::dot;
use serde::Serialize;
use tiller_engine::{Condition, Controls, Engine, Positions, Site, Test};

/// Prompts of each kind that are needed: two to choose by, two to report.
pub const FEWEST_CONDITION_PROMPTS: usize = 4;

/// The number of an activation that is compared with a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConditionTest {
    /// The cosine of h and `tanh(P h)`, P the projection onto the condition vector: CAST's own. It has no sign: what lies
    /// against the vector counts like what lies along it.
    #[default]
    CosineToProjection,
    /// The cosine of h and the condition vector.
    Cosine,
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct ConditionPlan<'a> {
    /// Prompts, as token ids, for which the condition is to hold. Those at even places make the vector and choose; what is
    /// reported is of the others. So with `other`.
    pub matching: &'a [Vec<u32>],
    /// Prompts for which it is not to hold.
    pub other: &'a [Vec<u32>],
    /// The blocks at whose outputs to look.
    pub layers: &'a [u32],
    pub test: ConditionTest,
    /// One random control for each: random vectors at every layer in the condition vectors' place, with the same search.
    pub seeds: &'a [u32],
}

/// A condition, as it was found, and how it does on prompts that had no part in finding it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoundCondition {
    /// The block at whose output the prompt's last token is looked at.
    pub layer: u32,
    /// `[d_model]`, of unit length.
    #[serde(skip)]
    pub vector: Vec<f32>,
    /// The component's share of the pairs' variance.
    pub explained: f64,
    pub test: ConditionTest,
    /// Holds above the threshold, or else below it.
    pub above: bool,
    pub threshold: f32,
    /// Mean L2 norm of the stream there, over the prompts' last tokens.
    pub typical_norm: f32,
    pub chosen_by: Gating,
    pub reported: Gating,
    /// Random vectors with the same search, on the prompts that report.
    pub random: Vec<RandomCondition>,
}

/// A random vector as a condition, with the layer, threshold and side that were best for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RandomCondition {
    pub layer: u32,
    #[serde(skip)]
    pub vector: Vec<f32>,
    pub above: bool,
    pub threshold: f32,
    pub reported: Gating,
}

/// How often a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gating {
    /// Share of the prompts that it is for, with its 95 % interval (Wilson 1927).
    pub matching: f64,
    pub matching_interval: Interval,
    /// Share of the others.
    pub other: f64,
    pub other_interval: Interval,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

/// Finds the layer, the threshold and the side of it that tell prompts of one kind from others, as CAST does: at each
/// layer the first principal component of the prompts' last tokens, each pair around its middle (`pca_pairwise`), and of
/// all that it can be compared with the threshold of the largest F1. Where CAST's search looks at input of a block, this
/// looks at the output of the block before, which is the same; where CAST averages over a prompt's tokens, this looks at
/// the last one, which is what a condition can see while the model writes.
///
/// Thresholds are the middles between neighbouring scores: all others divide the prompts in no other way. Of equal F1 the
/// threshold in the widest gap (in standard deviations of the scores) is taken, and of these the earlier layer's.
///
/// `progress` is told the tokens done and in all. Errors for fewer than [`FEWEST_CONDITION_PROMPTS`] of a kind, where no
/// layer gives a vector, and as [`Contrast::read`].
pub async fn find_condition(
    engine: &mut Engine,
    plan: &ConditionPlan<'_>,
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<FoundCondition, InterpError> {
    let pairs = plan.matching.len().min(plan.other.len());
    if pairs < FEWEST_CONDITION_PROMPTS {
        return Err(InterpError::TooFewPrompts { given: pairs, needed: FEWEST_CONDITION_PROMPTS });
    }
    let pair = |(positive, negative): (&Vec<u32>, &Vec<u32>)| TokenPair {
        positive: positive.clone(),
        negative: negative.clone(),
    };
    let pairs: Vec<TokenPair> = plan.matching.iter().zip(plan.other).map(pair).collect();
    let contrasts = Contrast::read(engine, &pairs, plan.layers, controls, progress).await?;
    let chooses = |pair: usize| pair.is_multiple_of(2);
    let halves: Vec<[Contrast; 2]> = contrasts
        .iter()
        .map(|contrast| [contrast.of_pairs(chooses), contrast.of_pairs(|pair| !chooses(pair))])
        .collect();

    let mut best: Option<(Threshold, &[Contrast; 2], Made)> = None;
    for half in &halves {
        let Some(made) = Made::of(VectorMethod::PcaCenter, &half[0]) else { continue };
        let found = Threshold::best(&scores(&half[0], &made.vector, plan.test));
        if best.as_ref().is_none_or(|(best, ..)| found.is_better(best)) {
            best = Some((found, half, made));
        }
    }
    let (threshold, half, made) = best.ok_or(InterpError::NoCondition)?;
    let gating =
        |half: &Contrast, vector: &[f64], threshold: &Threshold| threshold.gating(&scores(half, vector, plan.test));
    let random = plan.seeds.iter().map(|&seed| {
        let drawn = |layer: u32| -> Vec<f64> {
            let seed = u64::from(seed) | u64::from(layer) << 32;
            random_direction(seed, half[0].width()).into_iter().map(f64::from).collect()
        };
        let searched = halves.iter().map(|half| {
            let vector = drawn(half[0].layer);
            let threshold = Threshold::best(&scores(&half[0], &vector, plan.test));
            (threshold, half, vector)
        });
        let best = searched.reduce(|best, next| if next.0.is_better(&best.0) { next } else { best });
        let (threshold, half, vector) = best.expect("a layer was found above");
        RandomCondition {
            layer: half[0].layer,
            above: threshold.above,
            threshold: threshold.at as f32,
            reported: gating(&half[1], &vector, &threshold),
            vector: vector.iter().map(|&x| x as f32).collect(),
        }
    });
    Ok(FoundCondition {
        layer: half[0].layer,
        explained: made.explained.unwrap_or(0.0),
        test: plan.test,
        above: threshold.above,
        threshold: threshold.at as f32,
        typical_norm: half[0].typical_norm() as f32,
        chosen_by: gating(&half[0], &made.vector, &threshold),
        reported: gating(&half[1], &made.vector, &threshold),
        random: random.collect(),
        vector: made.vector.iter().map(|&x| x as f32).collect(),
    })
}

impl FoundCondition {
    /// As an edit takes it: looked at on the prompt's last token, and from then on as it was found there.
    pub fn condition(&self) -> Condition {
        latched(self.layer, self.test, &self.vector, self.above, self.threshold)
    }

    /// One that always holds from the prompt's last token on.
    pub(super) fn always(&self) -> Condition {
        latched(self.layer, ConditionTest::Cosine, &self.vector, true, BELOW_EVERY_COSINE)
    }

    /// The random ones, likewise.
    pub(super) fn at_random(&self) -> impl Iterator<Item = Condition> {
        let one =
            |random: &RandomCondition| latched(random.layer, self.test, &random.vector, random.above, random.threshold);
        self.random.iter().map(one)
    }
}

const BELOW_EVERY_COSINE: f32 = -2.0;

fn latched(layer: u32, test: ConditionTest, vector: &[f32], above: bool, threshold: f32) -> Condition {
    let vector = vector.into();
    Condition::Activation {
        site: Site::ResidPost(layer),
        test: match test {
            ConditionTest::CosineToProjection => Test::CosineToProjection { vector },
            ConditionTest::Cosine => Test::Cosine { vector },
        },
        above,
        threshold,
        positions: Positions::Last,
        latched: true,
    }
}

/// Of texts of both kinds: whether the condition is for it, and what is compared.
type Scored = Vec<(bool, f64)>;

fn scores(texts: &Contrast, vector: &[f64], test: ConditionTest) -> Scored {
    let wide = |h: &[f32]| h.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let score = |h: &[f32]| {
        let h = wide(h);
        let along = dot(&h, vector) / dot(vector, vector);
        let other = match test {
            ConditionTest::Cosine => vector.to_vec(),
            ConditionTest::CosineToProjection => vector.iter().map(|v| (along * v).tanh()).collect(),
        };
        let lengths = (dot(&h, &h) * dot(&other, &other)).sqrt();
        if lengths > 0.0 { dot(&h, &other) / lengths } else { 0.0 }
    };
    texts.pairs().flat_map(|(matching, other)| [(true, score(matching)), (false, score(other))]).collect()
}

/// A threshold, and how it divides the texts that it was chosen by.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Threshold {
    at: f64,
    above: bool,
    f1: f64,
    /// To the nearest scores on both sides, in standard deviations of all scores.
    gap: f64,
}

impl Threshold {
    fn best(scored: &Scored) -> Threshold {
        let mut sorted: Vec<f64> = scored.iter().map(|(_, score)| *score).collect();
        sorted.sort_by(f64::total_cmp);
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        let deviation = (sorted.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / sorted.len() as f64).sqrt();
        let mut best = Threshold { at: 0.0, above: true, f1: -1.0, gap: 0.0 };
        for neighbours in sorted.windows(2) {
            let (at, gap) = ((neighbours[0] + neighbours[1]) / 2.0, (neighbours[1] - neighbours[0]) / deviation);
            for above in [true, false] {
                let found = Threshold { at, above, f1: 0.0, gap };
                let found = Threshold { f1: found.gating(scored).f1, ..found };
                // Equal scores have no threshold between them.
                if gap > 0.0 && found.is_better(&best) {
                    best = found;
                }
            }
        }
        best
    }

    fn is_better(&self, other: &Threshold) -> bool {
        self.f1 > other.f1 || (self.f1 == other.f1 && self.gap > other.gap)
    }

    fn gating(&self, scored: &Scored) -> Gating {
        let holds = |score: f64| if self.above { score > self.at } else { score < self.at };
        let count = |kind: bool| {
            let of_kind = scored.iter().filter(|(matching, _)| *matching == kind);
            of_kind.fold((0, 0), |(held, all), (_, score)| (held + usize::from(holds(*score)), all + 1))
        };
        let ((right, matching), (wrong, other)) = (count(true), count(false));
        Gating::of(right, matching, wrong, other)
    }
}

impl Gating {
    /// Of counts: how many of the texts that it is for, and how many of the others, the condition held for.
    pub(super) fn of(right: usize, matching: usize, wrong: usize, other: usize) -> Gating {
        Gating {
            matching: right as f64 / matching as f64,
            matching_interval: wilson(right, matching),
            other: wrong as f64 / other as f64,
            other_interval: wilson(wrong, other),
            f1: 2.0 * right as f64 / (right + wrong + matching) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_of_the_largest_f1_lies_in_the_widest_gap() {
        let scored = |matching: &[f64], other: &[f64]| -> Scored {
            let matching = matching.iter().map(|&score| (true, score));
            matching.chain(other.iter().map(|&score| (false, score))).collect()
        };
        let found = Threshold::best(&scored(&[0.8, 0.9, 0.7], &[0.1, 0.2, 0.3]));
        assert_eq!((found.at, found.above, found.f1), (0.5, true, 1.0));
        let found = Threshold::best(&scored(&[0.1, 0.2, 0.3], &[0.8, 0.9, 0.7]));
        assert_eq!((found.at, found.above, found.f1), (0.5, false, 1.0));
        // One of the others among them: above 0.25 three of three and one wrong, 2*3/(3+1+3); above 0.85 two of three.
        let found = Threshold::best(&scored(&[0.3, 0.9, 1.0], &[0.8, 0.1, 0.2]));
        assert!((found.at - 0.25).abs() < 1e-12 && (found.f1 - 6.0 / 7.0).abs() < 1e-12, "{found:?}");
        // All alike: no threshold, and whatever is said holds for none or all.
        let found = Threshold::best(&scored(&[0.5, 0.5], &[0.5, 0.5]));
        assert_eq!(found.f1, -1.0);
    }

    #[test]
    fn scores_are_those_that_the_engine_compares() {
        let texts = Contrast::new(0, 2, vec![3.0, 4.0], vec![0.0, -2.0]);
        let cosine = scores(&texts, &[0.0, 1.0], ConditionTest::Cosine);
        assert_eq!(cosine, [(true, 0.8), (false, -1.0)]);
        // P h = (0, 4): tanh of it points along (0, 1); against the vector it points the other way, as h does.
        let projected = scores(&texts, &[0.0, 1.0], ConditionTest::CosineToProjection);
        assert!((projected[0].1 - 0.8).abs() < 1e-12 && (projected[1].1 - 1.0).abs() < 1e-12);
        // tanh flattens what is large: P h = (1.8, 2.4) + .. for v = (0.6, 0.8), h = 5 v.
        let texts = Contrast::new(0, 2, vec![3.0, 4.0], vec![1.0, 1.0]);
        let found = scores(&texts, &[0.6, 0.8], ConditionTest::CosineToProjection)[0].1;
        let (a, b) = (3f64.tanh(), 4f64.tanh());
        assert!((found - (3.0 * a + 4.0 * b) / (5.0 * (a * a + b * b).sqrt())).abs() < 1e-12);
    }
}
