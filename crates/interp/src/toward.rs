//! From the residual stream to the difference of two logits.

use tiller_engine::{NormKind, Readout};

/// The direction of the residual stream, before the final norm divides it, that raises one logit above another.
pub(crate) struct Toward {
    /// `gain * (W_U[a] - W_U[b])`, `[d_model]`: the final norm's gain is folded in, as the logits read the stream through
    /// it. Before a LayerNorm, which takes the mean off, it is centred.
    pub direction: Vec<f64>,
    /// What the final norm's bias gives.
    pub constant: f64,
}

impl Toward {
    pub fn new(answer: &Readout, wrong: &Readout, norm: NormKind) -> Toward {
        let pairs = answer.direction.iter().zip(&wrong.direction);
        let mut direction: Vec<f64> = pairs.map(|(&a, &b)| f64::from(a) - f64::from(b)).collect();
        if norm == NormKind::Layer {
            // (x - mean(x)) . d = x . (d - mean(d)).
            let mean = direction.iter().sum::<f64>() / direction.len() as f64;
            direction.iter_mut().for_each(|d| *d -= mean);
        }
        Toward { direction, constant: f64::from(answer.constant) - f64::from(wrong.constant) }
    }

    pub fn product(&self, values: &[f32]) -> f64 {
        self.direction.iter().zip(values).map(|(d, &x)| d * f64::from(x)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centring_the_direction_centres_what_it_reads() {
        let readout = |direction: &[f32], constant| Readout { direction: direction.to_vec(), constant };
        let toward = Toward::new(&readout(&[1.0, 2.0, 6.0], 0.5), &readout(&[0.0, 0.0, 3.0], 0.25), NormKind::Layer);
        // d = (1, 2, 3), x = (3, 0, 6) of mean 3: (0, -3, 3) . d = 3.
        assert!((toward.product(&[3.0, 0.0, 6.0]) - 3.0).abs() < 1e-12);
        assert_eq!(toward.constant, 0.25);
    }
}
