//! A direction made of contrasting pairs, by one of the methods.

use super::principal_component::first_component;
use super::{Contrast, VectorMethod};
use crate::probe::{Activations, FitOptions, Fitter, ProbeMethod};

/// A direction, and how much of what it was made of lies along it.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// `[width]`. Of a mean difference the length means something; all others have length one.
    pub vector: Vec<f64>,
    /// Of a component, its share of the variance.
    pub explained: Option<f64>,
}

impl Made {
    /// The direction of these pairs, by `method`. It points to the positive texts: a component, to where most of them lie
    /// further along it than their negatives, and of as many, where the mean difference points. `None` where there is
    /// none: the pairs do not differ, or (once their mean is off, or within the two sides) do not vary.
    pub fn of(method: VectorMethod, contrast: &Contrast) -> Option<Made> {
        match method {
            VectorMethod::MeanDifference => mean_difference(&contrast.differences()),
            VectorMethod::PcaDifference => {
                let differences = contrast.differences();
                component(&differences, &around_their_mean(&differences)?)
            }
            VectorMethod::PcaCenter => {
                let differences = contrast.differences();
                component(&differences, &differences)
            }
            VectorMethod::Lda => probe_direction(ProbeMethod::Lda, contrast),
            VectorMethod::Logistic => probe_direction(ProbeMethod::Logistic, contrast),
        }
    }
}

fn mean_difference(differences: &[Vec<f64>]) -> Option<Made> {
    let mean = mean(differences)?;
    mean.iter().any(|x| *x != 0.0).then_some(Made { vector: mean, explained: None })
}

fn mean(rows: &[Vec<f64>]) -> Option<Vec<f64>> {
    let mut mean = vec![0.0; rows.first()?.len()];
    for row in rows {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / rows.len() as f64);
    }
    Some(mean)
}

/// The rows less their mean; `None` where what is left is rounding, which is no direction.
fn around_their_mean(rows: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let mean = mean(rows)?;
    let centred: Vec<Vec<f64>> = rows.iter().map(|row| row.iter().zip(&mean).map(|(x, m)| x - m).collect()).collect();
    let square = |rows: &[Vec<f64>]| rows.iter().flatten().map(|x| x * x).sum::<f64>();
    (square(&centred) > 1e-24 * square(rows)).then_some(centred)
}

/// The first component of `rows`, turned to where most of `differences` point.
fn component(differences: &[Vec<f64>], rows: &[Vec<f64>]) -> Option<Made> {
    let (mut vector, explained) = first_component(rows)?;
    let dot = |row: &[f64]| row.iter().zip(&vector).map(|(x, v)| x * v).sum::<f64>();
    let (along, against) = differences.iter().fold((0, 0), |(along, against), row| match dot(row) {
        score if score > 0.0 => (along + 1, against),
        score if score < 0.0 => (along, against + 1),
        _ => (along, against),
    });
    if against > along || (against == along && dot(&mean(differences)?) < 0.0) {
        vector.iter_mut().for_each(|x| *x = -*x);
    }
    Some(Made { vector, explained: Some(explained) })
}

/// The weights, on raw activations, of a probe fitted to all the pairs' texts with the probes' own options; the score
/// rises along them by construction.
fn probe_direction(method: ProbeMethod, contrast: &Contrast) -> Option<Made> {
    let (rows, labels): (Vec<&[f32]>, Vec<bool>) =
        contrast.pairs().flat_map(|(positive, negative)| [(positive, true), (negative, false)]).unzip();
    let activations = Activations::new(contrast.width(), rows.concat());
    let texts: Vec<usize> = (0..labels.len()).collect();
    // Validation texts would only scale its probabilities.
    let probe = Fitter::of(method, FitOptions::default(), &activations, &texts).probe(&labels, &[])?;
    let norm = probe.readout.norm();
    Some(Made { vector: probe.readout.weights.iter().map(|w| w / norm).collect(), explained: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of these differences, all around zero.
    fn pairs(differences: &[[f32; 2]]) -> Contrast {
        let half = |sign: f32| differences.iter().flatten().map(|x| sign * x / 2.0).collect();
        Contrast::new(0, 2, half(1.0), half(-1.0))
    }

    #[test]
    fn the_first_component_of_what_is_shared_and_of_what_varies() {
        // All differ by (3, 0); what varies is along (0, 1).
        let contrast = pairs(&[1.0, -1.0, 0.5, -0.25].map(|y| [3.0, y]));
        let center = Made::of(VectorMethod::PcaCenter, &contrast).unwrap();
        assert!(center.vector[0] > 0.99, "{center:?}");
        let difference = Made::of(VectorMethod::PcaDifference, &contrast).unwrap();
        assert!(difference.vector[1].abs() > 0.999 && difference.explained > Some(0.999), "{difference:?}");
        assert_eq!(Made::of(VectorMethod::MeanDifference, &contrast).unwrap().vector, [3.0, 0.0625]);
    }

    #[test]
    fn the_sign_is_the_majoritys() {
        // One pair of the three points the other way, and further.
        let contrast = pairs(&[[1.0, 0.1], [1.0, -0.1], [-5.0, 0.0]]);
        assert!(Made::of(VectorMethod::PcaCenter, &contrast).unwrap().vector[0] > 0.99);
    }

    #[test]
    fn what_varies_within_the_sides_counts_for_less() {
        // The sides differ by (1, 0), and texts of both vary much along (1, 1) and little along (1, -1).
        let texts = |side: f32| -> Vec<f32> {
            let text = |n: usize| {
                let (along, across) = (5.0 * (n as f32 * 1.3).sin(), 0.2 * (n as f32 * 2.1).cos());
                [side * 1.0 + along + across, along - across]
            };
            (0..40).flat_map(text).collect()
        };
        let contrast = Contrast::new(0, 2, texts(1.0), texts(0.0));
        let mean = Made::of(VectorMethod::MeanDifference, &contrast).unwrap().vector;
        assert!(mean[0] > 0.999 && mean[1].abs() < 1e-6, "{mean:?}");
        for method in [VectorMethod::Lda, VectorMethod::Logistic] {
            let found = Made::of(method, &contrast).unwrap().vector;
            assert!((found[0].hypot(found[1]) - 1.0).abs() < 1e-12, "{found:?}");
            // Along (1, -1), where the sides differ and texts do not.
            assert!(found[0] > 0.6 && found[1] < -0.4, "{}: {found:?}", method.name());
        }
    }

    #[test]
    fn pairs_that_do_not_differ_have_no_direction() {
        let same = Contrast::new(0, 3, vec![0.5; 6], vec![0.5; 6]);
        assert!(VectorMethod::ALL.into_iter().all(|method| Made::of(method, &same).is_none()));
        let alike = pairs(&[[0.1, 0.7]; 5]);
        assert_eq!(Made::of(VectorMethod::PcaDifference, &alike), None);
        assert!(Made::of(VectorMethod::PcaCenter, &alike).is_some());
    }
}
