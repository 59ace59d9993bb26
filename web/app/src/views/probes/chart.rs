//! Accuracy by layer, to choose a layer from.

use crate::probes::{Chart, percent};
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::ProbeLayer;

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 200.0;

#[component]
pub fn AccuracyChart() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looked = RwSignal::new(None::<u32>);
    let chart = Memo::new(move |_| bench.probes.with(|work| Chart::of(&work.found)));
    let block = Memo::new(move |_| bench.probed_block());
    let best = move || bench.probes.with(|work| work.found.summary.as_ref().map(|summary| summary.best));
    let step = move |key: web_sys::KeyboardEvent| {
        let blocks = chart.with_untracked(|chart| chart.as_ref().map(|chart| chart.blocks.clone())).unwrap_or_default();
        let Some(at) = blocks.iter().position(|&own| Some(own) == block.get_untracked()) else { return };
        let to = match key.key().as_str() {
            "ArrowLeft" | "ArrowDown" => at.saturating_sub(1),
            "ArrowRight" | "ArrowUp" => (at + 1).min(blocks.len() - 1),
            "Home" => 0,
            "End" => blocks.len() - 1,
            _ => return,
        };
        key.prevent_default();
        bench.look_at_probe(blocks[to]);
    };
    let caption = move || {
        let shown = looked.get().or(block.get())?;
        let words = bench.probes.with(|work| work.found.at(shown).map(described))?;
        let best = if best() == Some(shown) { ", best by the validation texts" } else { "" };
        Some(format!("Block {shown}{best}: {words}"))
    };
    view! {
        <section class="probe-chart" aria-label="Accuracy by layer">
            <h2>"On texts that were held back, by layer"</h2>
            {move || chart.get().map(|chart| {
                let count = chart.blocks.len();
                let column = WIDTH / count as f64;
                let floor = chart.floor;
                let majority = chart.majority.map(|share| chart.y(share, HEIGHT));
                let (first, last) = (chart.blocks[0], chart.blocks[count - 1]);
                let blocks = chart.blocks.clone();
                let at = move || blocks.iter().position(|&own| Some(own) == block.get()).map(|at| at as f64 * column);
                view! {
                    <div class="plot">
                        <div class="ends soft" aria-hidden="true"><span>"100 %"</span><span>{percent(floor as f32)}</span></div>
                        <svg viewBox=format!("0 -3 {WIDTH} {}", HEIGHT + 6.0) preserveAspectRatio="none" data-testid="probe-chart"
                            role="slider" tabindex="0" aria-label="Layer that is looked at" aria-valuemin=first aria-valuemax=last
                            aria-valuenow=move || block.get() aria-valuetext=move || caption().unwrap_or_default()
                            on:keydown=step on:mouseleave=move |_| looked.set(None)>
                            {move || at().map(|x| view! { <rect class="here" x=x y="-3" width=column height=HEIGHT + 6.0/> })}
                            <polygon class="shuffled" points=chart.band(WIDTH, HEIGHT)/>
                            {majority.map(|y| view! { <line class="majority" x1="0" x2=WIDTH y1=y y2=y/> })}
                            <polyline class="words" points=chart.points(&chart.control_task, WIDTH, HEIGHT) stroke-dasharray="2 3"/>
                            <polyline class="area" points=chart.points(&chart.auc, WIDTH, HEIGHT) stroke-dasharray="6 3"/>
                            <polyline class="accuracy" points=chart.accuracy_points(WIDTH, HEIGHT)/>
                            {chart.blocks.iter().enumerate().map(|(place, &own)| view! {
                                <rect class="reach" x=place as f64 * column y="-3" width=column height=HEIGHT + 6.0 data-block=own
                                    on:mouseenter=move |_| looked.set(Some(own)) on:click=move |_| bench.look_at_probe(own)/>
                            }).collect_view()}
                        </svg>
                    </div>
                    <div class="scale" aria-hidden="true"><span>{format!("block {first}")}</span><span>{format!("block {last}")}</span></div>
                }
            })}
            <p class="small caption" data-testid="probe-caption" aria-live="polite">{caption}</p>
            <ul class="lines">
                <li><svg viewBox="0 0 28 8" aria-hidden="true"><polyline class="accuracy" points="0,4 28,4"/></svg>"accuracy"</li>
                <li title="The probability that a positive text scores above a negative one"><svg viewBox="0 0 28 8" aria-hidden="true"><polyline class="area" points="0,4 28,4" stroke-dasharray="6 3"/></svg>"AUC"</li>
                <li title="The accuracy on labels that belong to words by chance: what a probe reaches by remembering words"><svg viewBox="0 0 28 8" aria-hidden="true"><polyline class="words" points="0,4 28,4" stroke-dasharray="2 3"/></svg>"control task"</li>
                <li title="The accuracies of probes that were fitted to shuffled labels"><svg viewBox="0 0 28 8" aria-hidden="true"><rect class="shuffled" width="28" height="8"/></svg>"shuffled labels"</li>
                <li title="The accuracy of always naming the commoner class"><svg viewBox="0 0 28 8" aria-hidden="true"><line class="majority" x1="0" x2="28" y1="4" y2="4"/></svg>"majority"</li>
            </ul>
        </section>
    }
}

fn described(layer: &ProbeLayer) -> String {
    let test = &layer.test;
    let area = test.auc.map(|auc| format!(", AUC {auc:.3}")).unwrap_or_default();
    format!("{} right{area}; of those it was chosen by, {}", percent(test.accuracy), percent(layer.validation.accuracy))
}
