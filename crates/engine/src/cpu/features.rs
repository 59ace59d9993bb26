//! Features of sparse autoencoders, a row at a time but for the product with the encoder.

use super::matrix::{CpuMatrix, Way, multiply};
use super::pass::StepState;
use crate::EngineError;
use crate::edit::FeatureChanges;
use crate::features::{Dictionary, MOST_FEATURES};
use tiller_sae::Features;

/// Each activation of `[n, d_in]` as the SAE sees it, without its mean where it is centred.
fn seen(dictionary: &Dictionary, x: &[f32]) -> Vec<f32> {
    let mut x = x.to_vec();
    if dictionary.centred {
        for x in x.chunks_exact_mut(dictionary.sae.d_in) {
            let mean = (x.iter().map(|&x| f64::from(x)).sum::<f64>() / x.len() as f64) as f32;
            x.iter_mut().for_each(|number| *number -= mean);
        }
    }
    x
}

/// The features of each activation of `[n, d_in]`, by number.
pub(super) fn encode(
    dictionary: &Dictionary,
    x: &[f32],
    state: &StepState,
    way: Way,
) -> Result<Vec<Features>, EngineError> {
    let sae = &dictionary.sae;
    let encoder = state.encoders.of(dictionary, || {
        let (quant, rows) = dictionary.rows();
        let mut matrix = CpuMatrix::new(quant, sae.d_sae, sae.d_in);
        matrix.push_rows(0, &rows);
        Ok(matrix)
    })?;
    // What others hold of a matrix they keep: of parts, which come and go, they get nothing.
    let team = state.team.as_deref().filter(|_| sae.d_sae > MOST_FEATURES);
    let prepared = sae.prepare(&seen(dictionary, x));
    let mut hidden = multiply(&prepared, std::slice::from_ref(&*encoder), way, team);
    let features = hidden.chunks_exact_mut(sae.d_sae).map(|hidden| {
        hidden.iter_mut().zip(&sae.b_enc).for_each(|(h, b)| *h += b);
        sae.activate(hidden)
    });
    Ok(features.collect())
}

/// Changes the features of one activation.
pub(super) fn change(x: &mut [f32], what: &FeatureChanges, features: &Features, c: f32) {
    if c == 0.0 {
        return;
    }
    let unit = what.encoder.sae.unit_of(&seen(&what.encoder, x));
    let directions = what.directions.chunks_exact(x.len());
    let mut sum = vec![0.0; x.len()];
    for (&(feature, change), direction) in what.changes.iter().zip(directions) {
        let found = features.binary_search_by_key(&feature, |&(feature, _)| feature);
        let f = found.map_or(0.0, |at| features[at].1);
        let amount = c * unit * change.difference(f);
        sum.iter_mut().zip(direction).for_each(|(sum, d)| *sum += amount * d);
    }
    x.iter_mut().zip(sum).for_each(|(x, sum)| *x += sum);
}

/// The strongest features, descending, of equal ones the first: `most` pairs of number and value, zeros at the end.
pub(super) fn strongest(mut features: Features, most: u32) -> Vec<f32> {
    features.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut pairs: Vec<f32> = features.iter().take(most as usize).flat_map(|&(i, value)| [i as f32, value]).collect();
    pairs.resize(2 * most as usize, 0.0);
    pairs
}
