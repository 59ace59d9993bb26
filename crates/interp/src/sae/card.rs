//! How far an SAE can be trusted: its card.

use super::PlacedSae;
use super::baselines::{best_scaled, by_components, with_random_directions};
use super::placed::Activations;
use super::spliced::{TextLoss, text_loss};
use crate::InterpError;
use crate::evidence::Estimate;
use serde::Serialize;
use tiller_engine::{Controls, Engine};

/// A feature that is active on more than this share of tokens is dense.
const DENSE: f64 = 0.1;
/// Activations that are held at once, as numbers.
const MOST_NUMBERS: usize = 128 << 20;

/// What to judge by.
#[derive(Clone, Copy, Debug)]
pub struct CardTexts<'a> {
    /// Texts that the SAE was not trained on.
    pub texts: &'a [Vec<u32>],
    /// Tokens whose activation is longer than so many times the median are left out, and left as they are: of some models
    /// a few have activations a hundred times as long as the rest (Sun et al. 2024, "Massive Activations"), and
    /// beside them nothing else would count.
    pub longest: Option<f64>,
    /// Of the random directions.
    pub seed: u32,
    /// Whether to run the model on reconstructions, which takes four runs more of each text.
    pub with_loss: bool,
}

/// How well an SAE writes down activations, and what the model makes of what it writes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SaeCard {
    pub texts: usize,
    /// Tokens that were encoded: all but each text's first, and those left out.
    pub tokens: usize,
    /// Tokens left out for the length of their activation.
    pub left_out: usize,
    pub features: usize,
    /// Features that are not 0, mean over tokens.
    pub l0: f64,
    /// Features that are 0 on every token here: of few tokens, many that are alive are.
    pub dead: usize,
    /// Features that are not 0 on more than a tenth of the tokens.
    pub dense: usize,
    /// Tokens on which each feature is not 0.
    pub active: Vec<u32>,
    pub sae: Reconstruction,
    /// As many principal components as L0, rounded, of these very activations.
    pub components: Reconstruction,
    /// The same SAE with random directions, brought to the scale that serves it best.
    pub random: Reconstruction,
    /// Of the random one.
    pub random_l0: f64,
    /// `None` where the model was not run on reconstructions.
    pub loss: Option<ModelLoss>,
}

/// How near reconstructions are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Reconstruction {
    /// Fraction of variance unexplained: `E|x - x'|^2 / E|x - E x|^2`. Explained variance is 1 less this.
    pub fvu: f64,
    /// `|x'| / |x|`, mean over tokens: below 1 where features are shrunk.
    pub length_ratio: f64,
    /// `None` where the model was not run.
    pub loss: Option<SplicedLoss>,
}

/// The model's own loss, and without the activation: nats a token, over all tokens from each text's third on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ModelLoss {
    pub clean: f64,
    /// With zeros in the activation's place.
    pub zero: f64,
    pub tokens: usize,
}

/// The model's loss with a reconstruction in the activation's place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SplicedLoss {
    pub cross_entropy: f64,
    /// What it is more than the model's own, mean over texts (not tokens).
    pub increase: Option<Estimate>,
    /// `(zero - spliced) / (zero - clean)`; `None` where zeros cost nothing.
    pub recovered: Option<f64>,
    /// Kullback-Leibler divergence of the spliced next-token distribution from the clean one, nats, mean over some places
    /// of each text.
    pub divergence: f64,
}

/// Encodes the texts' activations, and runs the texts with reconstructions in their place; beside it principal components,
/// and random directions. Metrics as SAELens and SAEBench have them (Karvonen et al. 2025), over all tokens at once.
///
/// `progress` is told the work done and in all, about in tokens. Errors when the SAE does not fit the model, there are
/// fewer than 8 tokens or too many, an activation or an output is not finite, or the work was cancelled.
pub async fn sae_card(
    engine: &mut Engine,
    sae: &PlacedSae<'_>,
    what: &CardTexts<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<SaeCard, InterpError> {
    sae.check(engine)?;
    let texts: Vec<Vec<u32>> = what.texts.iter().filter(|text| text.len() > 2).cloned().collect();
    let tokens: usize = texts.iter().map(Vec::len).sum();
    let (d_in, d_out) = (sae.sae.d_in, sae.sae.d_out());
    if tokens.saturating_mul(d_in + 4 * d_out) > MOST_NUMBERS {
        return Err(InterpError::TooManyActivations { texts: texts.len(), sites: 1, width: d_out });
    }
    // Reading, encoding twice, and five runs.
    let (read, total) = (tokens as u64, tokens as u64 * if what.with_loss { 8 } else { 3 });
    let found = sae.activations(engine, &texts, &[], controls, |done, _| progress(done, total)).await?;
    let rows = Rows::kept(&found, d_in, d_out, what.longest);
    const NEEDED: usize = 8;
    if rows.places.len() < NEEDED {
        return Err(InterpError::TooLittleText { tokens: rows.places.len(), needed: NEEDED });
    }

    let features = sae.encode(&rows.read, controls, |done| progress(read + done, total)).await?;
    let by_sae = rows.reconstruct(sae, &features);
    let mut active = vec![0u32; sae.sae.d_sae];
    features.iter().flatten().for_each(|&(feature, _)| active[feature as usize] += 1);
    let l0 = features.iter().map(Vec::len).sum::<usize>() as f64 / features.len() as f64;
    drop(features);

    let by_components = by_components(&rows.target, d_out, (l0.round() as usize).max(1), controls).await?;
    let random = with_random_directions(sae.sae, what.seed);
    let random = PlacedSae { sae: &random, ..*sae };
    let of_random = random.encode(&rows.read, controls, |done| progress(2 * read + done, total)).await?;
    let random_l0 = of_random.iter().map(Vec::len).sum::<usize>() as f64 / of_random.len() as f64;
    let by_random = best_scaled(&rows.reconstruct(&random, &of_random), &rows.target, d_out);

    let reconstructed = [by_sae, by_components, by_random];
    let mut losses = Vec::new();
    if what.with_loss {
        let mut before = 3 * read;
        for (n, text) in texts.iter().enumerate() {
            let zeros = vec![0.0; rows.target.len()];
            let replacements =
                reconstructed.iter().chain([&zeros]).map(|reconstructed| rows.of_text(n, reconstructed)).collect();
            let report = |done: u64, runs: u64| progress(before + done * 5 * text.len() as u64 / runs.max(1), total);
            losses.push(text_loss(engine, text, sae.target(), replacements, controls, report).await?);
            before += 5 * text.len() as u64;
        }
    }
    let [by_sae, by_components, by_random] = [0, 1, 2].map(|n| Reconstruction {
        fvu: unexplained(&reconstructed[n], &rows.target, d_out),
        length_ratio: length_ratio(&reconstructed[n], &rows.target, d_out),
        loss: spliced_loss(&losses, n + 1),
    });
    let tokens = rows.places.len();
    Ok(SaeCard {
        texts: texts.len(),
        tokens,
        left_out: rows.left_out,
        features: sae.sae.d_sae,
        l0,
        dead: active.iter().filter(|&&count| count == 0).count(),
        dense: active.iter().filter(|&&count| f64::from(count) > DENSE * tokens as f64).count(),
        active,
        sae: by_sae,
        components: by_components,
        random: by_random,
        random_l0,
        loss: mean_loss(&losses, 0).zip(mean_loss(&losses, ZERO)).map(|(clean, zero)| ModelLoss {
            clean,
            zero,
            tokens: losses.iter().map(|text| text.tokens).sum(),
        }),
    })
}

/// The run with zeros, among those of [`TextLoss`].
const ZERO: usize = 4;

/// The activations that count, `[n, width]`.
struct Rows {
    read: Vec<f32>,
    target: Vec<f32>,
    /// Text and position of each.
    places: Vec<(usize, u32)>,
    left_out: usize,
}

impl Rows {
    fn kept(found: &[Activations], d_in: usize, d_out: usize, longest: Option<f64>) -> Rows {
        let length = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let of_text =
            |of_text: &Activations| of_text.target.chunks_exact(d_out).skip(1).map(length).collect::<Vec<_>>();
        let mut lengths: Vec<f64> = found.iter().flat_map(of_text).collect();
        lengths.sort_unstable_by(f64::total_cmp);
        let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0.0);
        let bound = longest.map_or(f64::INFINITY, |longest| longest * median);
        let mut rows = Rows { read: Vec::new(), target: Vec::new(), places: Vec::new(), left_out: 0 };
        for (text, of_text) in found.iter().enumerate() {
            let both = of_text.read.chunks_exact(d_in).zip(of_text.target.chunks_exact(d_out));
            for (position, (read, target)) in (0..).zip(both).skip(1) {
                if length(target) > bound {
                    rows.left_out += 1;
                    continue;
                }
                rows.read.extend_from_slice(read);
                rows.target.extend_from_slice(target);
                rows.places.push((text, position));
            }
        }
        rows
    }

    fn reconstruct(&self, sae: &PlacedSae<'_>, features: &[Vec<(u32, f32)>]) -> Vec<f32> {
        let rows = self.read.chunks_exact(sae.sae.d_in).zip(self.target.chunks_exact(sae.sae.d_out()));
        rows.zip(features).flat_map(|((x, target), features)| sae.reconstruct(features, x, target)).collect()
    }

    /// A text's rows of `reconstructed`, by position.
    fn of_text(&self, text: usize, reconstructed: &[f32]) -> Vec<(u32, Vec<f32>)> {
        let width = reconstructed.len() / self.places.len();
        let placed = self.places.iter().zip(reconstructed.chunks_exact(width));
        placed.filter(|((of, _), _)| *of == text).map(|((_, position), row)| (*position, row.to_vec())).collect()
    }
}

/// `sum |x - x'|^2 / sum |x - mean x|^2`.
fn unexplained(reconstructed: &[f32], rows: &[f32], width: usize) -> f64 {
    let n = (rows.len() / width) as f64;
    let mut mean = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / n);
    }
    let (mut left, mut all) = (0.0, 0.0);
    for (x, r) in rows.chunks_exact(width).zip(reconstructed.chunks_exact(width)) {
        for i in 0..width {
            left += (f64::from(x[i]) - f64::from(r[i])).powi(2);
            all += (f64::from(x[i]) - mean[i]).powi(2);
        }
    }
    if all > 0.0 { left / all } else { 0.0 }
}

fn length_ratio(reconstructed: &[f32], rows: &[f32], width: usize) -> f64 {
    let length = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let both = rows.chunks_exact(width).zip(reconstructed.chunks_exact(width));
    let ratios: Vec<f64> =
        both.map(|(x, r)| (length(x), length(r))).filter(|(x, _)| *x > 0.0).map(|(x, r)| r / x).collect();
    ratios.iter().sum::<f64>() / ratios.len().max(1) as f64
}

/// Over all tokens; `None` where there were no runs.
fn mean_loss(losses: &[TextLoss], run: usize) -> Option<f64> {
    let tokens: usize = losses.iter().map(|text| text.tokens).sum();
    (tokens > 0).then(|| losses.iter().map(|text| text.loss[run]).sum::<f64>() / tokens as f64)
}

fn spliced_loss(losses: &[TextLoss], run: usize) -> Option<SplicedLoss> {
    let (clean, zero) = (mean_loss(losses, 0)?, mean_loss(losses, ZERO)?);
    let cross_entropy = mean_loss(losses, run)?;
    let increases: Vec<f64> =
        losses.iter().map(|text| (text.loss[run] - text.loss[0]) / text.tokens.max(1) as f64).collect();
    let compared: usize = losses.iter().map(|text| text.compared).sum();
    Some(SplicedLoss {
        cross_entropy,
        increase: Estimate::of(&increases),
        recovered: (zero > clean).then(|| (zero - cross_entropy) / (zero - clean)),
        divergence: losses.iter().map(|text| text.divergence[run]).sum::<f64>() / compared.max(1) as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unexplained_variance_is_of_what_varies() {
        let rows = [1.0, 10.0, 3.0, 10.0f32];
        assert_eq!(unexplained(&rows, &rows, 2), 0.0);
        assert_eq!(unexplained(&[2.0, 10.0, 2.0, 10.0], &rows, 2), 1.0);
        assert_eq!(unexplained(&[1.5, 10.0, 2.5, 10.0], &rows, 2), 0.25);
        assert!((length_ratio(&[0.5, 5.0, 3.0, 10.0], &rows, 2) - 0.75).abs() < 1e-12);
    }

    #[test]
    fn tokens_of_great_length_and_first_ones_are_left_out() {
        let text = Activations { read: vec![], target: vec![99.0, 1.0, 1.0, 2.0, 50.0] };
        let text = Activations { read: text.target.clone(), ..text };
        let rows = Rows::kept(&[text], 1, 1, Some(4.0));
        assert_eq!((rows.places, rows.left_out), (vec![(0, 1), (0, 2), (0, 3)], 1));
    }
}
