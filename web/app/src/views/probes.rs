//! The Probes view: what can be read off the activations at each layer, and what comes of erasing it.

mod chart;
mod data;
mod details;
mod erasure;
mod text;

use crate::probes::{chart_figure, csv};
use crate::views::progress;
use crate::views::save::{SavePng, SaveText};
use crate::workbench::{ModelState, Workbench};
use leptos::prelude::*;
use tiller_recipe::{ProbeData, ReadAt, ShippedDataset};
use tiller_sites::ProbeMethod;

#[component]
pub fn Probes() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let ready = move || matches!(bench.model.get(), ModelState::Ready(_));
    // A link asks for the probes that it names.
    Effect::new(move |_| {
        if ready() && bench.probes.with(|work| work.asked) {
            bench.fit_probes();
        }
    });
    let fitting = move || bench.probes.with(|work| work.job.is_some());
    let any = move || bench.probes.with(|work| !work.found.layers.is_empty());
    let state = move || {
        bench.probes.with(|work| match (&work.job, &work.found.summary) {
            (Some(_), _) => "fitting",
            (None, Some(_)) => "fitted",
            (None, None) => "none",
        })
    };
    view! {
        <div class="probes" data-testid="probes" data-state=state>
            <p class="soft small explained">
                "A probe is a straight cut through the model's activations that tells two kinds of text apart. "
                "Where it can, the difference is decodable there; that does not mean that the model uses it. Steer with the probe's direction, or erase it, to see."
            </p>
            <data::Data/>
            <div class="row between">
                <Choices/>
                <Show when=fitting fallback=move || view! {
                    <button class="btn go" data-testid="fit-probes" title="Ctrl+Enter" prop:disabled=move || !ready()
                        on:click=move |_| bench.fit_probes()>"Fit probes"</button>
                }>
                    <button class="btn go" data-testid="stop-probes" title="Esc" on:click=move |_| bench.stop_probes()>"Stop"</button>
                </Show>
            </div>
            <p class="soft small status" role="status" aria-live="polite" data-testid="probes-status">{move || status(bench)}</p>
            <Show when=any fallback=move || view! { <Empty/> }>
                <div class="probe-results">
                    <div class="probe-charted">
                        <chart::AccuracyChart/>
                        <details::Wrong/>
                        <text::OnAText/>
                    </div>
                    <div class="probe-beside">
                        <details::Card/>
                        <erasure::Erasure/>
                    </div>
                </div>
                <Saving/>
            </Show>
        </div>
    }
}

/// How the probes are fitted, and where they read.
#[component]
fn Choices() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let method =
        move || bench.experiment.with(|experiment| experiment.probe.method.parse::<ProbeMethod>().unwrap_or_default());
    let choose = move |change| {
        if let Ok(method) = event_target_value(&change).parse::<ProbeMethod>() {
            bench.change("probe method", |experiment| experiment.probe.method = method.name().into());
        }
    };
    let read = move || bench.experiment.with(|experiment| experiment.probe.read);
    let read_at = move |at: ReadAt, name: &'static str, title: &'static str| {
        view! {
            <label title=title>
                <input type="radio" name="probe-read" prop:checked=move || read() == at
                    on:change=move |_| bench.change("probe read", |experiment| experiment.probe.read = at)/>
                <span>{name}</span>
            </label>
        }
    };
    view! {
        <div class="row">
            <label class="small">"Fit by "
                <select class="field small" data-testid="probe-method" on:change=choose>
                    {ProbeMethod::ALL.map(|own| view! {
                        <option value=own.name() selected=move || method() == own>{own.title()}</option>
                    }).collect_view()}
                </select>
            </label>
            <div class="segmented" role="radiogroup" aria-label="Read at">
                {read_at(ReadAt::Last, "Last token", "The residual stream at each text's last token")}
                {read_at(ReadAt::Mean, "Mean", "The residual stream's mean over each text's tokens")}
            </div>
            <span class="soft small">{move || method().explanation()}</span>
        </div>
    }
}

/// What is going on, or what the result is of.
fn status(bench: Workbench) -> String {
    let stale = bench.probes_are_stale();
    bench.probes.with(|work| match (&work.job, &work.progress, &work.found.summary) {
        (Some(_), Some(shown), _) => {
            let layers = work.found.layers.len();
            let fitted = if layers > 0 { format!("; {layers} layers fitted") } else { String::new() };
            progress::sentence(shown, 0.0) + &fitted
        }
        (Some(_), None, _) => "Waiting for the model to be free".into(),
        (None, _, Some(summary)) => {
            let kept = if summary.by_group { "groups kept together" } else { "divided row by row" };
            let stale = if stale { " The settings have changed since: fit again." } else { "" };
            format!(
                "{} against {}: {} texts to train, {} to choose the layer, {} to test, {kept}.{stale}",
                summary.classes[0], summary.classes[1], summary.training, summary.validation, summary.test
            )
        }
        (None, _, None) if !work.found.layers.is_empty() => "Stopped: only the first layers are fitted.".into(),
        (None, ..) => String::new(),
    })
}

#[component]
fn Empty() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let words = move || match bench.model.get() {
        ModelState::Ready(_) if bench.probes.with(|work| work.job.is_some()) => {
            "All texts are read first; then a probe is fitted at each layer."
        }
        ModelState::Ready(_) => "Choose labelled texts, and fit.",
        _ => "Probes can be fitted when the model is here.",
    };
    view! { <p class="soft nothing">{words}</p> }
}

/// What the view shows, as files.
#[component]
fn Saving() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let found = move || bench.probes.with_untracked(|work| work.found.clone());
    let figure = Callback::new(move |()| {
        let data = bench.experiment.with_untracked(|experiment| experiment.probe.data.clone());
        let name = match &data {
            ProbeData::Shipped(name) => ShippedDataset::named(name).map_or("texts", |dataset| dataset.title),
            ProbeData::Rows(_) => "own texts",
        };
        let block = untrack(|| bench.probed_block()).unwrap_or(0);
        chart_figure(&found(), block, &format!("{name}: {} probes, layer by layer", found().method))
    });
    let table = Callback::new(move |()| csv(&found()));
    let json = Callback::new(move |()| serde_json::to_string_pretty(&found()).unwrap_or_default());
    view! {
        <p class="soft small saving">
            "Save: "
            <SaveText label="SVG" title="The chart as a picture that can be scaled" name="probes.svg" content=figure/>
            <SavePng title="The chart as a picture of dots" name="probes.png" svg=figure/>
            <SaveText label="CSV" title="Every layer as a line of a table" name="probes.csv" content=table/>
            <SaveText label="JSON" title="Everything that was found, with the directions" name="probes.json" content=json/>
        </p>
    }
}
