//! The prompt held against another text: which features tell them apart.

use super::{Looking, chip};
use crate::figures;
use crate::workbench::Workbench;
use leptos::prelude::*;

/// Features that are shown on each side.
const ROWS: usize = 8;

#[component]
pub fn Against() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let against = move || bench.experiment.with(|experiment| experiment.features.against.clone().unwrap_or_default());
    let contrasting = move || bench.features.with(|work| work.contrasting.is_some());
    let is_empty = move || against().trim().is_empty();
    view! {
        <details class="against" data-testid="against" prop:open=move || !is_empty()>
            <summary>"Compare with another text"</summary>
            <form class="find" on:submit=move |submit: web_sys::SubmitEvent| { submit.prevent_default(); bench.contrast_features(); }>
                <label class="labelled">"Another text"
                    <textarea class="field" rows="2" data-testid="against-text" maxlength="4000"
                        prop:value=against on:change=move |change| {
                            let text = event_target_value(&change);
                            bench.change("other text", |experiment| experiment.features.against = Some(text).filter(|text| !text.is_empty()));
                        }></textarea>
                </label>
                <Show when=contrasting fallback=move || view! {
                    <button class="btn" type="submit" data-testid="contrast" prop:disabled=is_empty>"Compare"</button>
                }>
                    <button class="btn" type="button" data-testid="stop-contrast" on:click=move |_| bench.stop_contrasting()>"Stop"</button>
                </Show>
            </form>
            <Found/>
        </details>
    }
}

#[component]
fn Found() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = expect_context::<Looking>();
    let found = Memo::new(move |_| bench.features.with(|work| work.contrast.clone()));
    move || {
        let (_, contrast) = found.get().filter(|(_, contrast)| !contrast.features.is_empty())?;
        let shuffled = contrast.shuffled;
        let side = |sign: f32| {
            let of_side = contrast.features.iter().filter(move |found| sign * (found.here - found.there) > 0.0);
            let row = move |found: &tiller_protocol::ContrastedFeature| {
                let (here, there) = (found.here, found.there);
                view! {
                    <li class:within=move || (here - there).abs() <= shuffled>
                        {chip(bench, looking, found.feature)}
                        <span class="mono share" title="Its mean over the prompt's tokens, and over the other text's">{format!("{} : {}", figures::quantity(here.into()), figures::quantity(there.into()))}</span>
                    </li>
                }
            };
            of_side.take(ROWS).map(row).collect_view()
        };
        Some(view! {
            <div class="logits" data-testid="contrasted">
                <div><h2>"More in the prompt"</h2><ul>{side(1.0)}</ul></div>
                <div><h2>"More in the other text"</h2><ul>{side(-1.0)}</ul></div>
            </div>
            <p class="soft small">{format!(
                "Means over each text's tokens but the first. When the same tokens are dealt to the two texts at random, no feature differs by more than {}: pale ones are within that.",
                figures::quantity(shuffled.into())
            )}</p>
        })
    }
}
