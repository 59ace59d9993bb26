//! What a search over layers and strengths has found, and how it is shown and saved.

use crate::figures;
use serde::Serialize;
use tiller_protocol::{Estimate, GridCell, GridChoice, GridReading, GridReport};
use tiller_recipe::GRID_MOST_COST;

/// The cells that have been tried so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GridFindings {
    pub method: String,
    /// Those that are tried, ascending.
    pub layers: Vec<u32>,
    pub strengths: Vec<f32>,
    pub cells: Vec<GridCell>,
    pub report: Option<GridReport>,
}

impl GridFindings {
    pub fn cell(&self, layer: u32, strength: f32) -> Option<&GridCell> {
        self.cells.iter().find(|cell| cell.layer == layer && cell.strength == strength)
    }

    /// The effect that has the strongest colour.
    pub fn largest_effect(&self) -> f64 {
        let effects = self.cells.iter().filter_map(|cell| Some(cell.found?.effect.abs()));
        effects.fold(f64::MIN_POSITIVE, f64::max)
    }

    /// Once all is known: whether a cell costs more than a choice may.
    pub fn too_dear(&self, found: &GridReading) -> bool {
        let plain = self.report.as_ref().map(|report| report.perplexity_plain);
        plain.is_some_and(|plain| found.perplexity > (1.0 + GRID_MOST_COST) * plain)
    }

    pub fn csv(&self) -> String {
        let mut csv = "layer,strength,effect_nats,perplexity,kl_nats\n".to_string();
        for GridCell { layer, strength, found } in &self.cells {
            csv.push_str(&match found {
                Some(f) => format!("{layer},{strength},{},{},{}\n", f.effect, f.perplexity, f.divergence),
                None => format!("{layer},{strength},,,\n"),
            });
        }
        csv
    }
}

/// `+4.6 nats [+2.0, +7.2]`.
pub fn estimate(found: &Estimate) -> String {
    let signed = |value: f64| format!("{}{}", if value < 0.0 { "−" } else { "+" }, figures::quantity(value.abs()));
    match found.interval {
        Some((low, high)) => format!("{} nats [{}, {}]", signed(found.mean), signed(low), signed(high)),
        None => format!("{} nats", signed(found.mean)),
    }
}

/// Whether the effect on the other pairs is one: clearly above nothing, and above every random direction's.
pub fn verdict(chosen: &GridChoice) -> &'static str {
    let random = chosen.random.iter().map(|random| random.effect).fold(f64::NEG_INFINITY, f64::max);
    match chosen.effect.interval {
        Some((low, _)) if low > 0.0 && low > random => "The whole interval lies above every random direction.",
        Some((low, _)) if low > 0.0 && chosen.effect.mean > random => {
            "Above nothing, and its mean above every random direction; more pairs would narrow the interval."
        }
        _ => "Not told apart from random directions: on other pairs this choice shows no effect.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(mean: f64, interval: Option<(f64, f64)>, random: &[f64]) -> GridChoice {
        let reading = |&effect: &f64| GridReading { effect, perplexity: 20.0, divergence: 0.1 };
        GridChoice {
            layer: 8,
            strength: 0.2,
            effect: Estimate { mean, interval, examples: 6 },
            perplexity: 20.0,
            divergence: 0.1,
            random: random.iter().map(reading).collect(),
        }
    }

    #[test]
    fn what_random_directions_reach_is_no_effect() {
        assert!(verdict(&choice(4.0, Some((2.0, 6.0)), &[1.0, -3.0])).contains("above every random direction."));
        assert!(verdict(&choice(4.0, Some((0.5, 7.5)), &[1.0])).contains("more pairs"));
        for (mean, interval, random) in [
            (4.0, Some((-1.0, 9.0)), 0.0),
            (4.0, Some((2.0, 6.0)), 5.0),
            (4.0, None, 0.0),
            (-2.0, Some((-3.0, -1.0)), -9.0),
        ] {
            assert!(verdict(&choice(mean, interval, &[random])).contains("no effect"), "{mean} {interval:?} {random}");
        }
    }

    #[test]
    fn cells_without_numbers_are_empty_in_the_table() {
        let found = Some(GridReading { effect: 1.5, perplexity: 20.0, divergence: 0.25 });
        let cells =
            vec![GridCell { layer: 4, strength: 0.5, found }, GridCell { layer: 4, strength: 1.0, found: None }];
        let findings = GridFindings { cells, ..GridFindings::default() };
        assert_eq!(findings.csv(), "layer,strength,effect_nats,perplexity,kl_nats\n4,0.5,1.5,20,0.25\n4,1,,,\n");
        assert_eq!((findings.largest_effect(), findings.too_dear(&found.unwrap())), (1.5, false));
        let report = GridReport { perplexity_plain: 16.0, choosing: 5, chosen: None };
        assert!(GridFindings { report: Some(report), ..findings }.too_dear(&found.unwrap()));
    }
}
