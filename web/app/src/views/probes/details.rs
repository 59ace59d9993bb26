//! The probe that is looked at: its numbers, its probabilities, its mistakes.

use crate::figures;
use crate::probes::percent;
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::{CalibrationBin, ProbeLayer};

#[component]
pub fn Card() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let layer = Memo::new(move |_| {
        let block = bench.probed_block()?;
        bench.probes.with(|work| work.found.at(block).cloned())
    });
    let classes = Memo::new(move |_| {
        bench.probes.with(|work| work.found.summary.as_ref().map(|summary| summary.classes.clone()))
    });
    let stale = move || bench.probes_are_stale();
    view! {
        {move || layer.get().map(|layer| view! {
            <section class="card probe-card" data-testid="probe-card" data-block=layer.block aria-label="The probe that is looked at">
                <h3>{format!("The probe after block {}", layer.block)}</h3>
                <Numbers layer=layer.clone()/>
                {classes.get().map(|classes| view! { <Decisions counts=layer.test.confusion classes/> })}
                <Calibration bins=layer.test.calibration.clone() brier=layer.test.brier/>
                <button class="btn" data-testid="steer-with-probe" prop:disabled=stale
                    title="Makes it the vector of the Steer view, at this layer"
                    on:click=move |_| bench.steer_with_probe()>"Steer with this direction"</button>
            </section>
        })}
    }
}

#[component]
fn Numbers(layer: ProbeLayer) -> impl IntoView {
    let test = &layer.test;
    let interval =
        format!("{} ({} to {}, {} texts)", percent(test.accuracy), percent(test.low), percent(test.high), test.texts);
    let mean = layer.shuffled.iter().sum::<f32>() / layer.shuffled.len().max(1) as f32;
    let range = layer.shuffled.iter().fold((1.0f32, 0.0f32), |(low, high), &x| (low.min(x), high.max(x)));
    let shuffled = match layer.shuffled.is_empty() {
        true => "not measured".into(),
        false => format!("{} ({} to {})", percent(mean), percent(range.0), percent(range.1)),
    };
    let task = match layer.control_task {
        Some(task) => format!("{} ({} texts)", percent(task.accuracy), task.texts),
        None => "no word of theirs was in training".into(),
    };
    let selectivity = layer.control_task.map(|task| format!("{:+.2}", task.selectivity));
    let share = |value: Option<f32>| value.map_or_else(|| "one class only".into(), percent);
    view! {
        <dl class="standing">
            <dt title="On the test texts, with Wilson's interval of 95 %">"Accuracy"</dt><dd class="mono" data-testid="probe-accuracy">{interval}</dd>
            <dt title="The mean of the two classes' accuracies">"Balanced"</dt><dd class="mono">{share(test.balanced_accuracy)}</dd>
            <dt title="The probability that a positive text scores above a negative one">"AUC"</dt>
            <dd class="mono">{test.auc.map_or_else(|| "one class only".into(), |auc| format!("{auc:.3}"))}</dd>
            <dt title="Probes of the same kind, fitted to shuffled labels: mean, least and most. Where two classes lie far apart, even these lean to one side or the other by chance, and come out right or wrong as a whole">"Shuffled labels"</dt><dd class="mono">{shuffled}</dd>
            <dt title="Random labels of words: what it reaches by remembering which words there are">"Control task"</dt><dd class="mono">{task}</dd>
            {selectivity.map(|selectivity| view! {
                <dt title="Accuracy less the control task's">"Selectivity"</dt><dd class="mono">{selectivity}</dd>
            })}
            <dt title="The direction's length on raw activations, and theirs">"Weights, stream"</dt>
            <dd class="mono">{figures::quantity(layer.probe.norm.into())}", "{figures::quantity(layer.typical_norm.into())}</dd>
        </dl>
    }
}

/// Test texts by label and decision.
#[component]
fn Decisions(counts: [u32; 4], classes: [String; 2]) -> impl IntoView {
    let [true_positives, false_positives, true_negatives, false_negatives] = counts;
    let [positive, negative] = classes;
    view! {
        <table class="decisions">
            <thead><tr><td></td><th scope="col">"read as "{positive.clone()}</th><th scope="col">"as "{negative.clone()}</th></tr></thead>
            <tbody>
                <tr><th scope="row">"is "{positive}</th><td class="mono">{true_positives}</td><td class="mono">{false_negatives}</td></tr>
                <tr><th scope="row">"is "{negative}</th><td class="mono">{false_positives}</td><td class="mono">{true_negatives}</td></tr>
            </tbody>
        </table>
    }
}

/// What its probabilities are worth: the share that is positive against what was said.
#[component]
fn Calibration(bins: Vec<CalibrationBin>, brier: f32) -> impl IntoView {
    const SIZE: f64 = 120.0;
    let most = bins.iter().map(|bin| bin.texts).max().unwrap_or(1).max(1);
    let label = format!("Calibration: Brier score {brier:.3}");
    view! {
        <figure class="calibration">
            <svg viewBox=format!("-6 -6 {} {}", SIZE + 12.0, SIZE + 12.0) role="img" aria-label=label.clone()>
                <rect class="frame" width=SIZE height=SIZE/>
                <line class="even" x1="0" y1=SIZE x2=SIZE y2="0"/>
                {bins.into_iter().map(|bin| {
                    let radius = 2.0 + 5.0 * (f64::from(bin.texts) / f64::from(most)).sqrt();
                    let words = format!("{} texts: said {}, are {}", bin.texts, percent(bin.probability), percent(bin.positive));
                    view! {
                        <circle cx=f64::from(bin.probability) * SIZE cy=(1.0 - f64::from(bin.positive)) * SIZE r=radius><title>{words}</title></circle>
                    }
                }).collect_view()}
            </svg>
            <figcaption class="soft small">
                {label}". Across: the probability it gives; up: the share that is positive. On the line, probabilities mean what they say."
            </figcaption>
        </figure>
    }
}

/// The test texts that it gets wrong.
#[component]
pub fn Wrong() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let found = Memo::new(move |_| {
        let block = bench.probed_block()?;
        bench.probes.with(|work| {
            let classes = work.found.summary.as_ref()?.classes.clone();
            Some((classes, work.found.mistakes(block)))
        })
    });
    view! {
        {move || found.get().map(|(classes, mistakes)| match mistakes.is_empty() {
            true => view! { <p class="soft small" data-testid="probe-mistakes">"It gets no test text wrong."</p> }.into_any(),
            false => view! {
                <section aria-label="What it gets wrong" data-testid="probe-mistakes">
                    <h2>"What it gets wrong"</h2>
                    <div class="scrolled" tabindex="0" role="region" aria-label="Mistakes">
                        <table class="texts">
                            <thead><tr><th scope="col">"Text"</th><th scope="col">"Is"</th><th scope="col">{format!("Probability of {}", classes[0])}</th></tr></thead>
                            <tbody>
                                {mistakes.into_iter().map(|mistake| view! {
                                    <tr><td>{mistake.text}</td><td>{mistake.label}</td><td class="mono">{figures::probability(mistake.probability.ln())}</td></tr>
                                }).collect_view()}
                            </tbody>
                        </table>
                    </div>
                </section>
            }.into_any(),
        })}
    }
}
