//! Of more than two labels.

use super::percent;
use crate::loaded::Loaded;
use crate::output;
use serde::Serialize;
use std::fmt::Write;
use tiller_engine::Site;
use tiller_interp::probe::{ClassLayer, ClassOptions, ClassProbe, ClassSweep, Part, sweep_classes};
use tiller_recipe::LabelledText;

#[derive(Serialize)]
struct Report<'a> {
    method: &'static str,
    classes: &'a [String],
    texts: usize,
    by_group: bool,
    /// The test accuracy of always naming the commonest class.
    majority: f64,
    layers: &'a [ClassLayer],
    /// The place of the best on the validation texts.
    chosen: usize,
    /// Of the chosen layer, on raw activations, by class; by a hidden layer there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<&'a [Vec<f64>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    biases: Option<&'a [f64]>,
    backend: &'static str,
    adapter: String,
}

/// Fits, and prints what comes of it.
pub async fn run(
    loaded: &mut Loaded,
    rows: &[LabelledText],
    sites: &[Site],
    options: &ClassOptions,
    json: bool,
) -> anyhow::Result<()> {
    let texts = loaded.session.class_texts(rows)?;
    let engine = &mut loaded.session.engine;
    let found = sweep_classes(engine, &texts.examples(), sites, options, &(), |_, _| {}, |_| {}).await?;
    if !json {
        return output::text(&table(&found, &texts.names));
    }
    let (method, weights, biases) = match &found.layers[found.chosen].probe {
        ClassProbe::Softmax(probe) => ("logistic", Some(&probe.weights[..]), Some(&probe.biases[..])),
        ClassProbe::Mlp(_) => ("mlp", None, None),
    };
    output::json(&Report {
        method,
        classes: &texts.names,
        texts: rows.len(),
        by_group: found.split.by_group,
        majority: found.majority,
        layers: &found.layers,
        chosen: found.chosen,
        weights,
        biases,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    })
}

/// A line for each layer, the chosen one marked, then which classes it takes for which.
fn table(found: &ClassSweep, names: &[String]) -> String {
    let part = |part| found.split.texts(part).len();
    let mut table = format!(
        "{}: {} texts to train, {} to choose the layer, {} to test, {}\nnaming the commonest class: {}\n",
        names.join(", "),
        part(Part::Training),
        part(Part::Validation),
        part(Part::Test),
        if found.split.by_group { "groups kept together" } else { "row by row" },
        percent(found.majority)
    );
    table += &format!("{:<30}  chosen by   test      of 95 %   shuffled\n", "site");
    for (n, layer) in found.layers.iter().enumerate() {
        let ClassLayer { site, validation, test, interval, shuffled, .. } = layer;
        let mean = shuffled.iter().sum::<f64>() / shuffled.len().max(1) as f64;
        let shuffled = if shuffled.is_empty() { "-".into() } else { percent(mean) };
        let interval = format!("{}-{}", percent(interval.low), percent(interval.high));
        let mark = if n == found.chosen { "   chosen" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "{:<30} {:>10} {:>6} {interval:>12} {shuffled:>10}{mark}",
            site.to_string(),
            percent(*validation),
            percent(*test)
        );
    }
    for (name, read) in names.iter().zip(&found.layers[found.chosen].confusion) {
        let read: Vec<String> = names.iter().zip(read).map(|(name, count)| format!("{count} as {name}")).collect();
        let _ = writeln!(table, "{name} is read {}", read.join(", "));
    }
    table
}
