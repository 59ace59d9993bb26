//! How far an SAE can be trusted: its card.

use super::PlacedSae;
use super::baselines::{best_scaled, by_components, with_random_directions};
use super::dark_matter::{DarkMatter, LinearErrors};
use super::feature_lengths::{FeatureLengths, feature_lengths};
use super::reconstruction::{length_ratio, unexplained};
use super::rows::Rows;
use super::spliced::{TextLoss, text_loss};
use crate::InterpError;
use crate::evidence::Estimate;
use serde::Serialize;
use tiller_engine::{Controls, Engine, EngineError};

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
    /// Activations `[n, d_in]` of other texts, on which what the SAE leaves out is foreseen from the activation; empty
    /// where that is not asked for, or the SAE is a transcoder.
    pub fit_on: &'a [f32],
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
    /// `None` where nothing is written of any token.
    pub lengths: Option<FeatureLengths>,
    pub pursuit: Pursuit,
    /// `None` where there was nothing to fit on.
    pub dark_matter: Option<DarkMatter>,
    /// `None` where the model was not run on reconstructions.
    pub loss: Option<ModelLoss>,
}

/// The SAE's dictionary with the encoder that serves it best, by gradient pursuit: how much of what is left out is the
/// encoder's doing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pursuit {
    /// Tokens that were encoded again, evenly among all.
    pub tokens: usize,
    /// Fraction of variance unexplained by the SAE itself on these tokens.
    pub fvu_encoder: f64,
    /// The same by pursuit, with as many features of each token as the SAE has.
    pub fvu_pursuit: f64,
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
    /// `1 - divergence / that with zeros`; `None` where zeros make no difference.
    pub divergence_recovered: Option<f64>,
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
    let fit_on = if sae.sae.transcoder.is_some() { &[] } else { what.fit_on };
    // Reading, encoding twice, and the runs: plain, of each reconstruction, of zeros.
    let runs = if fit_on.is_empty() { 5 } else { 6 };
    let (read, total) = (tokens as u64, tokens as u64 * if what.with_loss { 3 + runs } else { 3 });
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
    let lengths = feature_lengths(sae, &rows, &features, controls).await?;
    let pursuit = pursuit(sae, &rows, &features, &by_sae, controls).await?;
    drop(features);
    let foreseen = foreseen(sae, &rows, &by_sae, fit_on, controls).await?;

    let by_components = by_components(&rows.target, d_out, (l0.round() as usize).max(1), controls).await?;
    let random = with_random_directions(sae.sae, what.seed);
    let random = PlacedSae { sae: &random, ..*sae };
    let of_random = random.encode(&rows.read, controls, |done| progress(2 * read + done, total)).await?;
    let random_l0 = of_random.iter().map(Vec::len).sum::<usize>() as f64 / of_random.len() as f64;
    let by_random = best_scaled(&rows.reconstruct(&random, &of_random), &rows.target, d_out);

    let zeros = vec![0.0; rows.target.len()];
    let mut reconstructed = vec![by_sae, by_components, by_random, zeros];
    let dark_matter = foreseen.map(|(dark_matter, with_linear)| {
        reconstructed.push(with_linear);
        dark_matter
    });
    let mut losses = Vec::new();
    if what.with_loss {
        let mut before = 3 * read;
        for (n, text) in texts.iter().enumerate() {
            let replacements = reconstructed.iter().map(|reconstructed| rows.of_text(n, reconstructed)).collect();
            let report = |done: u64, of: u64| progress(before + done * runs * text.len() as u64 / of.max(1), total);
            losses.push(text_loss(engine, text, sae.target(), replacements, controls, report).await?);
            before += runs * text.len() as u64;
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
        lengths,
        pursuit,
        dark_matter: dark_matter.map(|found| DarkMatter { loss: spliced_loss(&losses, LINEAR), ..found }),
        loss: mean_loss(&losses, 0).zip(mean_loss(&losses, ZERO)).map(|(clean, zero)| ModelLoss {
            clean,
            zero,
            tokens: losses.iter().map(|text| text.tokens).sum(),
        }),
    })
}

/// The run with zeros, among those of [`TextLoss`], and that with what is foreseen of the errors.
const ZERO: usize = 4;
const LINEAR: usize = 5;

/// Tokens that are encoded by pursuit: each takes as many products with the whole dictionary as it has features.
const PURSUED: usize = 512;

async fn pursuit(
    sae: &PlacedSae<'_>,
    rows: &Rows,
    features: &[Vec<(u32, f32)>],
    by_sae: &[f32],
    controls: &impl Controls,
) -> Result<Pursuit, InterpError> {
    let (d_in, d_out) = (sae.sae.d_in, sae.sae.d_out());
    let chosen: Vec<usize> = (0..features.len()).step_by(features.len().div_ceil(PURSUED)).collect();
    let (mut target, mut by_encoder, mut by_pursuit) = (Vec::new(), Vec::new(), Vec::new());
    const AT_ONCE: usize = 32;
    for some in chosen.chunks(AT_ONCE) {
        controls.pause().await;
        if controls.cancelled() {
            return Err(EngineError::Cancelled.into());
        }
        let place = |&n: &usize| (&rows.read[n * d_in..][..d_in], &rows.target[n * d_out..][..d_out]);
        let unbiased: Vec<f32> = some.iter().map(place).flat_map(|(x, target)| sae.unbiased(target, x)).collect();
        let most: Vec<usize> = some.iter().map(|&n| features[n].len()).collect();
        for (n, found) in some.iter().zip(sae.sae.pursue_gradient(&unbiased, &most)) {
            let (x, of_target) = place(n);
            target.extend_from_slice(of_target);
            by_encoder.extend_from_slice(&by_sae[n * d_out..][..d_out]);
            by_pursuit.extend(sae.reconstruct(&found, x, of_target));
        }
    }
    Ok(Pursuit {
        tokens: chosen.len(),
        fvu_encoder: unexplained(&by_encoder, &target, d_out),
        fvu_pursuit: unexplained(&by_pursuit, &target, d_out),
    })
}

/// What is foreseen of the errors by a map that was fitted on other texts, and the reconstructions with that added.
async fn foreseen(
    sae: &PlacedSae<'_>,
    rows: &Rows,
    by_sae: &[f32],
    fit_on: &[f32],
    controls: &impl Controls,
) -> Result<Option<(DarkMatter, Vec<f32>)>, InterpError> {
    if fit_on.is_empty() {
        return Ok(None);
    }
    let d = sae.sae.d_in;
    let left = |x: &[f32], written: &[f32]| x.iter().zip(written).map(|(x, y)| x - y).collect::<Vec<f32>>();
    let features = sae.encode(fit_on, controls, |_| {}).await?;
    let rows_of = fit_on.chunks_exact(d).zip(&features);
    let errors: Vec<f32> = rows_of.flat_map(|(x, features)| left(x, &sae.reconstruct(features, x, x))).collect();
    drop(features);
    let Some(fitted) = LinearErrors::fit(fit_on, &errors, d, controls).await? else { return Ok(None) };
    let (r2_vector, r2_length) = fitted.r_squared(&rows.read, &left(&rows.target, by_sae));
    let (linear, _) = fitted.foresee(&rows.read);
    let with_linear: Vec<f32> = by_sae.iter().zip(&linear).map(|(x, y)| x + y).collect();
    let fvu = unexplained(&with_linear, &rows.target, d);
    Ok(Some((DarkMatter { fitted_on: fit_on.len() / d, r2_vector, r2_length, fvu, loss: None }, with_linear)))
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
    let divergence = |run: usize| losses.iter().map(|text| text.divergence[run]).sum::<f64>() / compared.max(1) as f64;
    Some(SplicedLoss {
        cross_entropy,
        increase: Estimate::of(&increases),
        recovered: (zero > clean).then(|| (zero - cross_entropy) / (zero - clean)),
        divergence: divergence(run),
        divergence_recovered: (divergence(ZERO) > 0.0).then(|| 1.0 - divergence(run) / divergence(ZERO)),
    })
}
