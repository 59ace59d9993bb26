//! Accuracy by layer, beside what it has to be held against.

use super::{Findings, percent};
use crate::svg::{ACCENT, INK, LINE, SOFT, document, text};

/// What is drawn against the layers; all are shares.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    pub blocks: Vec<u32>,
    pub accuracy: Vec<f64>,
    pub auc: Vec<Option<f64>>,
    /// The least and the most that shuffled labels reach; `None` where none were shuffled.
    pub shuffled: Vec<Option<(f64, f64)>>,
    pub control_task: Vec<Option<f64>>,
    pub majority: Option<f64>,
    /// The share at the foot of the chart.
    pub floor: f64,
}

/// In a picture: accuracy, area, control task.
const AUC: &str = "#2b62c4";
const CONTROL: &str = "#a3341f";

impl Chart {
    /// `None` before there is a layer.
    pub fn of(found: &Findings) -> Option<Chart> {
        let layers = &found.layers;
        let range = |values: &[f32]| {
            let least = values.iter().copied().reduce(f32::min)?;
            Some((f64::from(least), f64::from(values.iter().copied().reduce(f32::max)?)))
        };
        let mut chart = Chart {
            blocks: layers.iter().map(|layer| layer.block).collect(),
            accuracy: layers.iter().map(|layer| layer.test.accuracy.into()).collect(),
            auc: layers.iter().map(|layer| layer.test.auc.map(Into::into)).collect(),
            shuffled: layers.iter().map(|layer| range(&layer.shuffled)).collect(),
            control_task: layers.iter().map(|layer| layer.control_task.map(|task| task.accuracy.into())).collect(),
            majority: found.summary.as_ref().map(|summary| summary.majority.into()),
            floor: 0.0,
        };
        let drawn = chart.accuracy.iter().copied();
        let drawn =
            drawn.chain(chart.auc.iter().flatten().copied()).chain(chart.control_task.iter().flatten().copied());
        let least = drawn.chain(chart.shuffled.iter().flatten().map(|(low, _)| *low)).fold(0.4, f64::min);
        chart.floor = ((least * 10.0).floor() / 10.0).max(0.0);
        (!chart.blocks.is_empty()).then_some(chart)
    }

    pub fn x(&self, place: usize, width: f64) -> f64 {
        (place as f64 + 0.5) / self.blocks.len() as f64 * width
    }

    pub fn y(&self, share: f64, height: f64) -> f64 {
        (1.0 - (share - self.floor) / (1.0 - self.floor)) * height
    }

    /// The points of a polyline, over the layers that have a value.
    pub fn points(&self, values: &[Option<f64>], width: f64, height: f64) -> String {
        let point = |(place, value): (usize, &Option<f64>)| {
            value.map(|share| format!("{:.1},{:.1}", self.x(place, width), self.y(share, height)))
        };
        values.iter().enumerate().filter_map(point).collect::<Vec<_>>().join(" ")
    }

    pub fn accuracy_points(&self, width: f64, height: f64) -> String {
        self.points(&self.accuracy.iter().copied().map(Some).collect::<Vec<_>>(), width, height)
    }

    /// The outline of the range of shuffled labels.
    pub fn band(&self, width: f64, height: f64) -> String {
        let high: Vec<Option<f64>> = self.shuffled.iter().map(|range| range.map(|(_, high)| high)).collect();
        let low: Vec<Option<f64>> = self.shuffled.iter().map(|range| range.map(|(low, _)| low)).collect();
        let there = self.points(&high, width, height);
        let back = self.points(&low, width, height);
        let back: Vec<&str> = back.split(' ').rev().collect();
        format!("{there} {}", back.join(" "))
    }
}

/// The chart as a picture of its own; the block that is looked at is marked.
pub fn chart_figure(found: &Findings, block: u32, title: &str) -> String {
    let Some(chart) = Chart::of(found) else { return document(10.0, 10.0, title, "") };
    let (left, top, width, height) = (56.0, 48.0, 560.0, 240.0);
    let mut content = text(16.0, 26.0, 14.0, INK, "start", title);
    for share in [1.0, 0.5, chart.floor] {
        let y = top + chart.y(share, height);
        content += &format!("<path d=\"M{left} {y:.1}h{width}\" stroke=\"{LINE}\" fill=\"none\"/>");
        content += &text(left - 8.0, y + 4.0, 11.0, SOFT, "end", &percent(share as f32));
    }
    let place = |inner: String| format!("<g transform=\"translate({left} {top})\" fill=\"none\">{inner}</g>");
    content +=
        &place(format!("<polygon points=\"{}\" fill=\"{SOFT}\" fill-opacity=\"0.18\"/>", chart.band(width, height)));
    if let Some(majority) = chart.majority {
        let y = chart.y(majority, height);
        content += &place(format!("<path d=\"M0 {y:.1}h{width}\" stroke=\"{SOFT}\" stroke-dasharray=\"1 3\"/>"));
    }
    if let Some(at) = chart.blocks.iter().position(|&own| own == block) {
        let x = chart.x(at, width);
        content += &place(format!("<path d=\"M{x:.1} 0v{height}\" stroke=\"{LINE}\"/>"));
    }
    let lines = [
        (chart.points(&chart.control_task, width, height), CONTROL, "2 3"),
        (chart.points(&chart.auc, width, height), AUC, "6 3"),
        (chart.accuracy_points(width, height), ACCENT, ""),
    ];
    for (points, colour, dashes) in &lines {
        content += &place(format!(
            "<polyline points=\"{points}\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>"
        ));
    }
    let under = top + height + 18.0;
    let ends =
        [chart.blocks.first(), chart.blocks.last()].map(|block| format!("block {}", block.copied().unwrap_or(0)));
    content += &text(left, under, 11.0, SOFT, "start", &ends[0]);
    content += &text(left + width, under, 11.0, SOFT, "end", &ends[1]);
    let legend = [
        ("accuracy on test texts", ACCENT, ""),
        ("area under the curve (AUC)", AUC, "6 3"),
        ("control task: random labels of words", CONTROL, "2 3"),
        ("naming the commoner class", SOFT, "1 3"),
    ];
    for (n, (name, colour, dashes)) in legend.iter().enumerate() {
        let y = under + 22.0 + n as f64 * 18.0;
        content += &format!(
            "<path d=\"M{left} {}h28\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>",
            y - 4.0
        );
        content += &text(left + 36.0, y, 12.0, INK, "start", name);
    }
    let y = under + 22.0 + legend.len() as f64 * 18.0;
    content += &format!(
        "<rect x=\"{left}\" y=\"{}\" width=\"28\" height=\"10\" fill=\"{SOFT}\" fill-opacity=\"0.18\"/>",
        y - 9.0
    );
    content += &text(left + 36.0, y, 12.0, INK, "start", "range of shuffled labels");
    document(left + width + 16.0, y + 20.0, title, &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::tests::findings;

    #[test]
    fn shares_stand_between_the_floor_and_one() {
        let chart = Chart::of(&findings()).unwrap();
        assert_eq!((chart.floor, chart.y(1.0, 100.0), chart.y(0.4, 100.0)), (0.4, 0.0, 100.0));
        assert_eq!(chart.accuracy_points(300.0, 60.0), "50.0,50.0 150.0,0.0 250.0,25.0");
        // A layer without a control task is left out of its line.
        assert_eq!(chart.points(&chart.control_task, 300.0, 60.0).split(' ').count(), 2);
        assert_eq!(chart.band(300.0, 60.0).split(' ').count(), 6);
        assert_eq!(Chart::of(&Findings::default()), None);
    }

    #[test]
    fn the_picture_holds_the_controls_and_no_markup() {
        let figure = chart_figure(&findings(), 1, "<b>Probes</b>");
        assert_eq!((figure.matches("<polyline").count(), figure.matches("<polygon").count()), (3, 1));
        assert!(figure.contains("control task") && !figure.contains("<b>"), "{figure}");
    }
}
