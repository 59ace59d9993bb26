//! The findings as a table of text.

use super::Findings;
use crate::csv::line;

/// A line for each layer, with a heading. Shares are from 0 to 1.
pub fn csv(found: &Findings) -> String {
    let heading = [
        "block",
        "test_accuracy",
        "low",
        "high",
        "test_balanced_accuracy",
        "test_auc",
        "test_brier",
        "validation_accuracy",
        "validation_auc",
        "shuffled_least",
        "shuffled_mean",
        "shuffled_most",
        "control_task",
        "selectivity",
    ];
    let mut lines = line(&heading.map(String::from));
    let shown = |value: Option<f32>| value.map(|value| value.to_string()).unwrap_or_default();
    for layer in &found.layers {
        let (test, shuffled) = (&layer.test, &layer.shuffled);
        let mean = (!shuffled.is_empty()).then(|| shuffled.iter().sum::<f32>() / shuffled.len() as f32);
        let task = layer.control_task;
        lines += &line(&[
            layer.block.to_string(),
            test.accuracy.to_string(),
            test.low.to_string(),
            test.high.to_string(),
            shown(test.balanced_accuracy),
            shown(test.auc),
            test.brier.to_string(),
            layer.validation.accuracy.to_string(),
            shown(layer.validation.auc),
            shown(shuffled.iter().copied().reduce(f32::min)),
            shown(mean),
            shown(shuffled.iter().copied().reduce(f32::max)),
            shown(task.map(|task| task.accuracy)),
            shown(task.map(|task| task.selectivity)),
        ]);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::tests::findings;

    #[test]
    fn each_layer_is_a_line() {
        let csv = csv(&findings());
        let lines: Vec<&str> = csv.split("\r\n").collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[3], "2,0.75,0.55,1,0.75,0.9,0.1,0.75,0.9,0.4,0.5,0.6,0.5,0.25");
        assert!(lines[2].ends_with("0.6,,"), "{}", lines[2]);
    }
}
