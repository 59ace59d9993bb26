//! What probes have found, and how it is drawn and saved.

mod chart;
mod table;

pub use chart::{Chart, chart_figure};
pub use table::csv;

use serde::Serialize;
use tiller_protocol::{ProbeLayer, ProbeSummary};
use tiller_recipe::LabelledText;

/// The layers that have been fitted so far, the first block first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Findings {
    /// The dataset.
    pub rows: Vec<LabelledText>,
    pub method: String,
    /// Once all layers are there.
    pub summary: Option<ProbeSummary>,
    pub layers: Vec<ProbeLayer>,
}

/// A test text that the probe gets wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    pub text: String,
    pub label: String,
    /// Of the positive class.
    pub probability: f32,
}

impl Findings {
    pub fn at(&self, block: u32) -> Option<&ProbeLayer> {
        self.layers.iter().find(|layer| layer.block == block)
    }

    /// The surest mistakes first.
    pub fn mistakes(&self, block: u32) -> Vec<Mistake> {
        let predictions = self.at(block).map(|layer| layer.predictions.as_slice()).unwrap_or_default();
        let wrong = predictions.iter().filter(|found| (found.probability > 0.5) != found.positive);
        let mut mistakes: Vec<Mistake> = wrong
            .filter_map(|found| {
                let row = self.rows.get(found.row as usize)?;
                Some(Mistake { text: row.text.clone(), label: row.label.clone(), probability: found.probability })
            })
            .collect();
        mistakes.sort_by(|a, b| (b.probability - 0.5).abs().total_cmp(&(a.probability - 0.5).abs()));
        mistakes
    }
}

/// `96 %`.
pub fn percent(share: f32) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// Texts by class and groups, in a sentence.
pub fn balance(rows: &[LabelledText]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for row in rows {
        match counts.iter_mut().find(|(label, _)| *label == row.label) {
            Some((_, count)) => *count += 1,
            None => counts.push((&row.label, 1)),
        }
    }
    let classes: Vec<String> = counts.iter().take(4).map(|(label, count)| format!("{count} {label}")).collect();
    let groups: std::collections::BTreeSet<&str> = rows.iter().filter_map(|row| row.group.as_deref()).collect();
    let groups = match groups.len() {
        0 => "no groups".to_string(),
        1 => "one group".to_string(),
        n => format!("{n} groups"),
    };
    let more = if counts.len() > 4 { ", and more labels" } else { "" };
    format!("{} texts: {}{more}; {groups}.", rows.len(), classes.join(", "))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tiller_protocol::{CalibrationBin, ControlTask, ProbePrediction, ProbeScores, ReadProbe};
    use tiller_recipe::Direction;

    /// Three blocks over four test texts, one of which would be markup.
    pub fn findings() -> Findings {
        let row = |text: &str, label: &str| LabelledText { text: text.into(), label: label.into(), group: None };
        let scores = |accuracy: f32| ProbeScores {
            texts: 4,
            accuracy,
            low: accuracy - 0.2,
            high: 1.0,
            balanced_accuracy: Some(accuracy),
            auc: Some(0.9),
            brier: 0.1,
            confusion: [2, 1, 1, 0],
            calibration: vec![CalibrationBin { texts: 4, probability: 0.4, positive: 0.5 }],
        };
        let layer = |block: u32, accuracy: f32| ProbeLayer {
            block,
            probe: ReadProbe { direction: Direction::along(&[1.0, 2.0]).unwrap(), norm: 2.0, bias: 0.5, slope: 1.0 },
            typical_norm: 30.0,
            validation: scores(accuracy),
            test: scores(accuracy),
            shuffled: vec![0.4, 0.6],
            control_task: (block != 1).then_some(ControlTask { accuracy: 0.5, texts: 3, selectivity: accuracy - 0.5 }),
            predictions: [(0, 0.9, false), (1, 0.8, true), (2, 0.1, false), (3, 0.45, true)]
                .map(|(row, probability, positive)| ProbePrediction { row, probability, positive })
                .to_vec(),
        };
        Findings {
            rows: vec![row("<b>\"one\"</b>", "no"), row("two", "yes"), row("three", "no"), row("=four", "yes")],
            method: "logistic".into(),
            summary: Some(ProbeSummary {
                classes: ["yes".into(), "no".into()],
                training: 8,
                validation: 4,
                test: 4,
                by_group: false,
                majority: 0.5,
                best: 1,
            }),
            layers: vec![layer(0, 0.5), layer(1, 1.0), layer(2, 0.75)],
        }
    }

    #[test]
    fn mistakes_are_what_is_on_the_wrong_side_the_surest_first() {
        let found = findings().mistakes(1);
        let texts: Vec<&str> = found.iter().map(|mistake| mistake.text.as_str()).collect();
        assert_eq!(texts, ["<b>\"one\"</b>", "=four"]);
        assert!(findings().mistakes(9).is_empty());
    }

    #[test]
    fn a_dataset_is_told_in_a_sentence() {
        assert_eq!(balance(&findings().rows), "4 texts: 2 no, 2 yes; no groups.");
    }
}
