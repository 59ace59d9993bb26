//! What a tuned lens's translators lose, and which way they would lose less.

use super::super::translators::Translator;
use super::Target;
use crate::InterpError;
use tiller_engine::{Controls, Engine, NormKind};

/// Bytes of logits that are held at a time.
const LOGITS_BYTES: usize = 64 << 20;

/// Of one translator, means over the positions of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct LensGradient {
    /// Kullback-Leibler divergence of the lens's distribution from the model's own, nats.
    pub loss: f64,
    /// `[d_model]`.
    pub by_scale: Vec<f64>,
    /// `[d_model]`.
    pub by_shift: Vec<f64>,
}

/// The gradient of the mean of `KL(model || lens)` by every translator. `residuals`: `[translators, targets, d_model]`,
/// as the blocks left them. Errors where the numbers are not finite, the device is lost, or the work was cancelled.
pub(super) async fn gradients(
    engine: &mut Engine,
    translators: &[Translator],
    residuals: &[f32],
    targets: &[Target],
    controls: &impl Controls,
) -> Result<Vec<LensGradient>, InterpError> {
    let (width, vocabulary) = (engine.config().width as usize, engine.config().vocab as usize);
    let (norm, cap) = (engine.config().norm, engine.config().logit_soft_cap);
    let batch = targets.len();
    let mut translated = residuals.to_vec();
    for (row, residual) in translated.chunks_exact_mut(width).enumerate() {
        translators[row / batch].apply(residual);
    }
    let none = LensGradient { loss: 0.0, by_scale: vec![0.0; width], by_shift: vec![0.0; width] };
    let mut found = vec![none; translators.len()];
    let rows_at_once = (LOGITS_BYTES / (4 * vocabulary)).max(1);
    for (part, rows) in translated.chunks(rows_at_once * width).enumerate() {
        let first = part * rows_at_once;
        let mut by_logits = vec![0.0f32; rows.len() / width * vocabulary];
        let mut losses = vec![f64::NAN; rows.len() / width];
        engine
            .unembed(
                rows,
                controls,
                |_, _| {},
                |row, logits| {
                    let gradient = &mut by_logits[row * vocabulary..(row + 1) * vocabulary];
                    losses[row] = targets[(first + row) % batch].divergence(logits, cap, gradient);
                },
            )
            .await?;
        if let Some(row) = losses.iter().position(|loss| !loss.is_finite()) {
            return Err(InterpError::NotFinite { site: translators[(first + row) / batch].site });
        }
        let by_normalized = engine.unembed_gradient(&by_logits, controls).await?;
        for (row, loss) in losses.into_iter().enumerate() {
            let part = row * width..(row + 1) * width;
            let by_input = through_norm(norm.kind, norm.epsilon, &rows[part.clone()], &by_normalized[part]);
            let at = &mut found[(first + row) / batch];
            let share = 1.0 / batch as f64;
            at.loss += share * loss;
            let residual = &residuals[(first + row) * width..(first + row + 1) * width];
            for (i, by_input) in by_input.into_iter().enumerate() {
                at.by_scale[i] += share * by_input * f64::from(residual[i]);
                at.by_shift[i] += share * by_input;
            }
        }
    }
    Ok(found)
}

/// The gradient by a norm's input `x`, of what has the gradient `by_output` by its output before the gain:
/// `(g - mean(g) - n mean(g n)) / s` with n the output and s what it divides by; an RMS norm takes no mean off.
fn through_norm(kind: NormKind, epsilon: f32, x: &[f32], by_output: &[f32]) -> Vec<f64> {
    let count = x.len() as f64;
    let mean_of = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count;
    let centred = kind == NormKind::Layer;
    let mean = if centred { mean_of(&mut x.iter().map(|&x| f64::from(x))) } else { 0.0 };
    let square = mean_of(&mut x.iter().map(|&x| (f64::from(x) - mean).powi(2)));
    let scale = (square + f64::from(epsilon)).sqrt();
    let normalized = |x: f32| (f64::from(x) - mean) / scale;
    let along = mean_of(&mut x.iter().zip(by_output).map(|(&x, &g)| normalized(x) * f64::from(g)));
    let common = if centred { mean_of(&mut by_output.iter().map(|&g| f64::from(g))) } else { 0.0 };
    x.iter().zip(by_output).map(|(&x, &g)| (f64::from(g) - common - normalized(x) * along) / scale).collect()
}
