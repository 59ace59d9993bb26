//! How a model ties a concept to one of two others, read from features rather than from answers (after Li et al. 2025,
//! "BiasLens").

use super::PlacedSae;
use crate::InterpError;
use crate::probe::{Activations, FitOptions, Fitter, ProbeMethod};
use crate::products::norm;
use serde::Serialize;
use std::collections::BTreeMap;
use tiller_engine::{Controls, Engine, EngineError};

/// A concept's features: what changes where its direction is added to activations of neutral text.
#[derive(Clone, Debug, PartialEq)]
pub struct ConceptCode(BTreeMap<u32, f64>);

/// To which of two concepts a third is tied.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConceptBias {
    /// `cos(target, a) - cos(target, b)` of codes: above 0 where the target is tied to a.
    pub score: f64,
    pub cosine_a: f64,
    pub cosine_b: f64,
    /// The same by the directions themselves, without the SAE.
    pub by_direction: f64,
    /// Features that add most to the score, either way, the largest first, with what each adds.
    pub features: Vec<(u32, f64)>,
}

/// The direction of each concept: of a logistic regression that tells the activation at the last token of its texts from
/// that of `general` ones (a concept activation vector, Kim et al. 2018), `[d_in]` each. `None` where the texts do not
/// differ.
///
/// `progress` is told the tokens done and in all. Errors when the SAE does not fit the model, a text is empty or too long, an
/// activation is not finite, or the work was cancelled.
pub async fn concept_directions(
    engine: &mut Engine,
    sae: &PlacedSae<'_>,
    concepts: &[Vec<Vec<u32>>],
    general: &[Vec<u32>],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<Option<Vec<f32>>>, InterpError> {
    sae.check(engine)?;
    let d = sae.sae.d_in;
    let texts: Vec<Vec<u32>> = concepts.concat().into_iter().chain(general.iter().cloned()).collect();
    let found = sae.activations(engine, &texts, &[], controls, progress).await?;
    let last: Vec<&[f32]> = found.iter().map(|of_text| &of_text.read[of_text.read.len() - d..]).collect();
    let (of_concepts, of_general) = last.split_at(texts.len() - general.len());
    let mut directions = Vec::with_capacity(concepts.len());
    let mut first = 0;
    for concept in concepts {
        controls.pause().await;
        if controls.cancelled() {
            return Err(EngineError::Cancelled.into());
        }
        let own = &of_concepts[first..first + concept.len()];
        first += concept.len();
        let labels: Vec<bool> = own.iter().map(|_| true).chain(of_general.iter().map(|_| false)).collect();
        let activations = Activations::new(d, [own, of_general].concat().concat());
        let all: Vec<usize> = (0..labels.len()).collect();
        let fitter = Fitter::of(ProbeMethod::Logistic, FitOptions::default(), &activations, &all);
        let probe = fitter.probe(&labels, &[]);
        directions.push(probe.map(|probe| probe.readout.weights.iter().map(|&w| w as f32).collect()));
    }
    Ok(directions)
}

/// The code of the unit direction along `direction`, `[d_in]`: the mean over activations `[n, d_in]` of
/// `enc(h + length direction) - enc(h)`. Errors where the work was cancelled.
pub async fn concept_code(
    sae: &PlacedSae<'_>,
    activations: &[f32],
    direction: &[f32],
    length: f64,
    controls: &impl Controls,
) -> Result<ConceptCode, InterpError> {
    let d = sae.sae.d_in;
    if direction.len() != d {
        return Err(EngineError::Empty.into());
    }
    let scale = length / norm(direction).max(f64::MIN_POSITIVE);
    let moved: Vec<f32> = activations
        .chunks_exact(d)
        .flat_map(|row| row.iter().zip(direction).map(|(&x, &v)| (f64::from(x) + scale * f64::from(v)) as f32))
        .collect();
    let rows = (activations.len() / d).max(1) as f64;
    let mut code: BTreeMap<u32, f64> = BTreeMap::new();
    for (activations, sign) in [(&moved[..], 1.0), (activations, -1.0)] {
        for (feature, value) in sae.encode(activations, controls, |_| {}).await?.into_iter().flatten() {
            *code.entry(feature).or_default() += sign * f64::from(value) / rows;
        }
    }
    Ok(ConceptCode(code))
}

impl ConceptCode {
    fn norm(&self) -> f64 {
        self.0.values().map(|x| x * x).sum::<f64>().sqrt()
    }

    /// What each feature adds to the cosine.
    fn terms(&self, other: &ConceptCode) -> BTreeMap<u32, f64> {
        let norms = (self.norm() * other.norm()).max(f64::MIN_POSITIVE);
        let both = self.0.iter().filter_map(|(feature, x)| Some((*feature, x * other.0.get(feature)? / norms)));
        both.collect()
    }
}

/// Compares codes, and the directions behind them, `[d_in]` each. `top`: features that are named.
pub fn concept_bias(
    [target, a, b]: [&ConceptCode; 3],
    [of_target, of_a, of_b]: [&[f32]; 3],
    top: usize,
) -> ConceptBias {
    let (with_a, with_b) = (target.terms(a), target.terms(b));
    let (cosine_a, cosine_b) = (with_a.values().sum::<f64>(), with_b.values().sum::<f64>());
    let mut terms = with_a;
    with_b.into_iter().for_each(|(feature, term)| *terms.entry(feature).or_default() -= term);
    let mut features: Vec<(u32, f64)> = terms.into_iter().collect();
    features.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
    features.truncate(top);
    let cosine = |a: &[f32], b: &[f32]| {
        let product: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        product / (norm(a) * norm(b)).max(f64::MIN_POSITIVE)
    };
    let by_direction = cosine(of_target, of_a) - cosine(of_target, of_b);
    ConceptBias { score: cosine_a - cosine_b, cosine_a, cosine_b, by_direction, features }
}

/// Spearman's rank correlation; equal values share the mean of their ranks. 0 where one side does not vary.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let ranks = |x: &[f64]| -> Vec<f64> {
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.sort_by(|&i, &j| x[i].total_cmp(&x[j]));
        let mut ranks = vec![0.0; x.len()];
        let mut first = 0;
        for equal in order.chunk_by(|&i, &j| x[i] == x[j]) {
            let rank = first as f64 + (equal.len() as f64 - 1.0) / 2.0;
            equal.iter().for_each(|&i| ranks[i] = rank);
            first += equal.len();
        }
        ranks
    };
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    let norms = (product(&a, &a) * product(&b, &b)).sqrt();
    if norms > 0.0 { product(&a, &b) / norms } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::random_direction;
    use tiller_engine::Site;
    use tiller_sae::{Activation, Normalisation, Sae};

    #[test]
    fn a_concept_s_bias_grows_with_how_far_it_was_tied_to_the_one() {
        const D: usize = 48;
        let rows: Vec<f32> = (0..256).flat_map(|seed| random_direction(seed, D)).collect();
        let sae = Sae {
            d_in: D,
            d_sae: 256,
            w_enc: rows.clone(),
            b_enc: vec![0.0; 256],
            w_dec: rows,
            b_dec: vec![0.0; D],
            apply_b_dec_to_input: false,
            activation: Activation::TopK { k: 24 },
            normalisation: Normalisation::None,
            transcoder: None,
        };
        let placed = PlacedSae { sae: &sae, site: Site::ResidPost(0), site_out: None, centred: false };
        let neutral: Vec<f32> = (0..40).flat_map(|n| random_direction(9000 + n, D)).map(|x| 5.0 * x).collect();
        let code = |v: &[f32]| pollster::block_on(concept_code(&placed, &neutral, v, 2.5, &())).unwrap();
        let (a, b, own) = (random_direction(1000, D), random_direction(1001, D), random_direction(1002, D));
        let strengths = [0.0, 0.25, 0.5, 0.75, 1.0];
        let scores: Vec<f64> = strengths
            .iter()
            .map(|&s: &f64| {
                let target: Vec<f32> =
                    (0..D).map(|i| (s * f64::from(a[i]) + (1.0 - s) * f64::from(b[i])) as f32 + 0.7 * own[i]).collect();
                concept_bias([&code(&target), &code(&a), &code(&b)], [&target, &a, &b], 5).score
            })
            .collect();
        assert!(spearman(&scores, &strengths) >= 0.9, "{scores:?}");
        assert!(scores[0] < 0.0 && scores[4] > 0.0, "{scores:?}");
        let found = concept_bias([&code(&a), &code(&a), &code(&b)], [&a, &a, &b], 300);
        assert!((found.cosine_a - 1.0).abs() < 1e-9);
        let sum: f64 = found.features.iter().map(|(_, term)| term).sum();
        assert!((sum - found.score).abs() < 1e-9, "features add up to the score");
    }

    #[test]
    fn rank_correlation_is_that_of_scipy() {
        // scipy.stats.spearmanr([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]) is 0.8207826816681233.
        let found = spearman(&[1.0, 2.0, 3.0, 4.0, 5.0], &[5.0, 6.0, 7.0, 8.0, 7.0]);
        assert!((found - 0.8207826816681233).abs() < 1e-12, "{found}");
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
    }
}
