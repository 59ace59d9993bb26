//! How a direction is made of contrasting pairs.

use super::principal_component::first_component;

/// A way to make a direction of the pairs' activations, read at their last tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// The mean of the pairs' differences (Rimsky et al. 2023, "Steering Llama 2 via Contrastive Activation Addition";
    /// Marks and Tegmark 2023, "The Geometry of Truth", call the same direction mass-mean).
    #[default]
    MeanDifference,
    /// The first principal component of the pairs' differences, as repeng's `pca_diff` has it (Vogel 2024, after Zou et
    /// al. 2023, "Representation Engineering"): the mean difference is taken off before, so that the component is how
    /// differences vary, not what they share.
    PcaDifference,
    /// The first principal component of the texts with the middle of their pair taken off, as repeng's `pca_center` has
    /// it. These are plus and minus half the differences, whose mean is zero: what the differences share counts.
    PcaCenter,
}

/// A direction, and how much of what it was made of lies along it.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// `[width]`. Of a mean difference the length means something; components have length one.
    pub vector: Vec<f64>,
    /// Of a component, its share of the variance.
    pub explained: Option<f64>,
}

impl Method {
    pub const ALL: [Method; 3] = [Method::MeanDifference, Method::PcaDifference, Method::PcaCenter];

    /// As recipes and files have it.
    pub fn name(self) -> &'static str {
        match self {
            Method::MeanDifference => "mean-diff",
            Method::PcaDifference => "pca-diff",
            Method::PcaCenter => "pca-center",
        }
    }

    pub fn named(name: &str) -> Option<Method> {
        Method::ALL.into_iter().find(|method| method.name() == name)
    }

    /// The direction of the pairs' differences, `[pairs, width]`, positive less negative. It points to where most
    /// positive texts lie further along it than their negatives; of as many, where the mean difference points. `None`
    /// where there is none: the differences are zero, or (once their mean is off) do not vary.
    pub fn direction(self, differences: &[Vec<f64>]) -> Option<Made> {
        let n = differences.len() as f64;
        let mut mean = vec![0.0; differences.first()?.len()];
        for difference in differences {
            mean.iter_mut().zip(difference).for_each(|(sum, x)| *sum += x / n);
        }
        if self == Method::MeanDifference {
            return mean.iter().any(|x| *x != 0.0).then_some(Made { vector: mean, explained: None });
        }
        let centred: Vec<Vec<f64>>;
        let rows = match self {
            Method::PcaDifference => {
                centred = differences.iter().map(|row| row.iter().zip(&mean).map(|(x, m)| x - m).collect()).collect();
                // What rounding leaves of equal differences is no direction.
                let square = |rows: &[Vec<f64>]| rows.iter().flatten().map(|x| x * x).sum::<f64>();
                if square(&centred) <= 1e-24 * square(differences) {
                    return None;
                }
                &centred[..]
            }
            _ => differences,
        };
        let (mut vector, explained) = first_component(rows)?;
        let dot = |row: &[f64]| row.iter().zip(&vector).map(|(x, v)| x * v).sum::<f64>();
        let (along, against) = differences.iter().fold((0, 0), |(along, against), row| match dot(row) {
            score if score > 0.0 => (along + 1, against),
            score if score < 0.0 => (along, against + 1),
            _ => (along, against),
        });
        if against > along || (against == along && dot(&mean) < 0.0) {
            vector.iter_mut().for_each(|x| *x = -*x);
        }
        Some(Made { vector, explained: Some(explained) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        assert!(Method::ALL.into_iter().all(|method| Method::named(method.name()) == Some(method)));
        assert_eq!(Method::named("pca"), None);
    }

    #[test]
    fn the_first_component_of_what_is_shared_and_of_what_varies() {
        // All differ by (3, 0); what varies is along (0, 1).
        let differences: Vec<Vec<f64>> = [1.0, -1.0, 0.5, -0.25].iter().map(|&y| vec![3.0, y]).collect();
        let center = Method::PcaCenter.direction(&differences).unwrap();
        assert!(center.vector[0] > 0.99, "{center:?}");
        let difference = Method::PcaDifference.direction(&differences).unwrap();
        assert!(difference.vector[1].abs() > 0.999 && difference.explained > Some(0.999), "{difference:?}");
        assert_eq!(Method::MeanDifference.direction(&differences).unwrap().vector, [3.0, 0.0625]);
    }

    #[test]
    fn the_sign_is_the_majoritys() {
        // One pair of the three points the other way, and further.
        let differences = vec![vec![1.0, 0.1], vec![1.0, -0.1], vec![-5.0, 0.0]];
        assert!(Method::PcaCenter.direction(&differences).unwrap().vector[0] > 0.99);
    }

    #[test]
    fn pairs_that_do_not_differ_have_no_direction() {
        for method in Method::ALL {
            assert_eq!(method.direction(&[]), None);
            assert_eq!(method.direction(&[vec![0.0; 3], vec![0.0; 3]]), None);
        }
        let alike = vec![vec![0.1, 0.7]; 5];
        assert_eq!(Method::PcaDifference.direction(&alike), None);
        assert!(Method::PcaCenter.direction(&alike).is_some());
    }
}
