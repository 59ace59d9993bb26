//! Where and how strongly the vector steers best: a table of layers and strengths, and what its choice is worth.

use crate::figures;
use crate::grid::{GridFindings, estimate, verdict};
use crate::views::{progress, save::SaveText};
use crate::workbench::{GRID_FEWEST_PAIRS, ModelState, Workbench};
use leptos::prelude::*;
use tiller_protocol::{GridChoice, GridReading, GridReport};
use tiller_recipe::GRID_MOST_COST;

#[component]
pub fn GridRow() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let pairs = Memo::new(move |_| bench.experiment.with(|experiment| experiment.complete_pairs().len()));
    let can_search = move || {
        matches!(bench.model.get(), ModelState::Ready(_)) && pairs.get() >= GRID_FEWEST_PAIRS && !bench.writing()
    };
    let job = Memo::new(move |_| bench.grid.with(|grid| grid.job));
    let tried = Memo::new(move |_| bench.grid.with(|grid| !grid.found.cells.is_empty()));
    let found = Memo::new(move |_| bench.grid.with(|grid| grid.found.clone()));
    let so_far = move || bench.grid.with(|grid| grid.progress.as_ref().map(|shown| progress::sentence(shown, 0.0)));
    let invitation = move || {
        match pairs.get() {
        few if few < GRID_FEWEST_PAIRS => {
            format!("With {GRID_FEWEST_PAIRS} pairs or more, layers and strengths can be compared.")
        }
        _ => "Tries layers and strengths on half of the pairs, and measures the best on the other half, beside random directions. ".into(),
    }
    };
    view! {
        <section class="grid-search" data-testid="grid" aria-label="Layer and strength">
            <div class="row between">
                <h2>"Where does it steer best?"</h2>
                {move || match job.get() {
                    Some(job) => view! { <button class="plain" on:click=move |_| bench.cancel(job)>"Cancel"</button> }.into_any(),
                    None => view! {
                        <button class="plain" data-testid="grid-search" prop:disabled=move || !can_search() on:click=move |_| bench.search_grid()>
                            {move || if tried.get() { "Search again" } else { "Search" }}
                        </button>
                    }.into_any(),
                }}
            </div>
            {move || match tried.get() {
                false => view! { <p class="soft small">{move || if job.get().is_none() { invitation() } else { String::new() }}</p> }.into_any(),
                true => view! { <Table found/> }.into_any(),
            }}
            {move || job.get().map(|_| view! { <p class="soft small" aria-live="polite">{so_far}</p> })}
            {move || (job.get().is_none() && tried.get()).then(|| found.with(|found| match &found.report {
                Some(report) => view! { <Outcome report=report.clone()/> }.into_any(),
                None => view! { <p class="soft small">"Stopped before all was tried: these cells are measured, and none is chosen."</p> }.into_any(),
            }))}
            {move || (tried.get() && bench.grid_is_stale()).then(|| view! {
                <p class="soft small">"The model, the pairs or the method have changed since: search again."</p>
            })}
        </section>
    }
}

#[component]
fn Table(found: Memo<GridFindings>) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let at = move || {
        let now = bench.experiment.with(|e| e.vector.as_ref().map(|vector| (vector.layer, e.strength)));
        move |layer: u32, strength: f32| now == Some((layer, strength))
    };
    let axes = Memo::new(move |_| found.with(|found| (found.layers.clone(), found.strengths.clone())));
    let cell = move |layer: u32, strength: f32| {
        let is_set = at()(layer, strength);
        found.with(|found| match found.cell(layer, strength).map(|cell| cell.found) {
            None => view! { <td class="untried">"·"</td> }.into_any(),
            Some(None) => view! { <td class="untried" title="At this strength the model's output is not made of numbers any more">"✕"</td> }.into_any(),
            Some(Some(reading)) => {
                let chosen = found.report.as_ref().and_then(|report| report.chosen.as_ref());
                let is_chosen = chosen.is_some_and(|chosen| (chosen.layer, chosen.strength) == (layer, strength));
                let tint = format!("--tint:{:.3}", (reading.effect / found.largest_effect()).clamp(-1.0, 1.0).abs());
                let cost = found.report.as_ref().map(|report| figures::change(report.perplexity_plain, reading.perplexity));
                view! {
                    <td>
                        <button class="cell" class:against=reading.effect < 0.0 class:dear=found.too_dear(&reading) class:chosen=is_chosen
                            class:set=is_set style=tint title=explained(layer, strength, &reading, cost.as_deref())
                            on:click=move |_| bench.steer_at(layer, strength)>
                            {figures::quantity(reading.effect)}
                        </button>
                    </td>
                }.into_any()
            }
        })
    };
    view! {
        <table class="cells">
            <caption class="soft small">
                "What steering adds to the log odds of the positive texts, in nats. A click steers there; faint cells cost more than "
                {format!("{:.0} %", 100.0 * GRID_MOST_COST)}" in perplexity."
            </caption>
            <thead>
                <tr>
                    <th scope="col">"Layer"</th>
                    {move || axes.get().1.into_iter().map(|strength| view! { <th scope="col">{figures::strength(strength)}</th> }).collect_view()}
                </tr>
            </thead>
            <tbody>
                {move || {
                    let (layers, strengths) = axes.get();
                    layers.into_iter().map(|layer| view! {
                        <tr>
                            <th scope="row">{layer}</th>
                            {strengths.iter().map(|&strength| cell(layer, strength)).collect_view()}
                        </tr>
                    }).collect_view()
                }}
            </tbody>
        </table>
        <div class="row save">
            <SaveText label="CSV" title="Every cell, as a table" name="layers-and-strengths.csv"
                content=Callback::new(move |()| found.with_untracked(GridFindings::csv))/>
            <SaveText label="JSON" title="Every cell, the choice and its controls" name="layers-and-strengths.json"
                content=Callback::new(move |()| found.with_untracked(|found| serde_json::to_string_pretty(found).unwrap_or_default()))/>
        </div>
    }
}

fn explained(layer: u32, strength: f32, reading: &GridReading, cost: Option<&str>) -> String {
    let at = format!("Layer {layer}, {}", figures::strength(strength));
    let effect =
        format!("the positive texts are {} nats likelier beside the negative ones", figures::quantity(reading.effect));
    let cost = cost.map(|change| format!(" ({change})")).unwrap_or_default();
    let perplexity = figures::quantity(reading.perplexity);
    let divergence = figures::quantity(reading.divergence);
    format!("{at}: {effect}; perplexity of a neutral text {perplexity}{cost}; KL {divergence} nats a token")
}

#[component]
fn Outcome(report: GridReport) -> impl IntoView {
    let plain = report.perplexity_plain;
    match report.chosen {
        None => view! {
            <p class="small" data-testid="grid-outcome">
                "No cell makes the positive texts likelier at an acceptable cost: these pairs give no vector that steers this model."
            </p>
        }
        .into_any(),
        Some(chosen) => view! { <Chosen chosen plain choosing=report.choosing/> }.into_any(),
    }
}

#[component]
fn Chosen(chosen: GridChoice, plain: f64, choosing: u32) -> impl IntoView {
    let place = format!("Layer {} at {}", chosen.layer, figures::strength(chosen.strength));
    let effect = estimate(&chosen.effect);
    let cost = figures::change(plain, chosen.perplexity);
    let effects: Vec<f64> = chosen.random.iter().map(|random| random.effect).collect();
    let costs: Vec<f64> = chosen.random.iter().map(|random| random.perplexity).collect();
    let random = match (figures::mean_and_deviation(&effects), figures::mean_and_deviation(&costs)) {
        (Some((effect, deviation)), Some((cost, _))) => format!(
            "{} random directions: {} ± {} nats, cost {}",
            effects.len(),
            figures::quantity(effect),
            figures::quantity(deviation),
            figures::change(plain, cost)
        ),
        _ => "no random direction gave numbers".into(),
    };
    let verdict = verdict(&chosen);
    view! {
        <div class="outcome" data-testid="grid-outcome">
            <p><b>{place}</b>{format!(", chosen on {choosing} pairs; on the {} others:", chosen.effect.examples)}</p>
            <p class="number" title="The mean over pairs that had no part in the choice, and its 95 % interval (Student's t)">{effect}</p>
            <p class="control">{format!("cost {cost} in perplexity; {random}")}</p>
            <p class="soft small">{verdict}</p>
        </div>
    }
}
