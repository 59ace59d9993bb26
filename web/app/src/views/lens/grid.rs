//! The grid: a row for each place in the model, a column for each token.

use super::Looking;
use crate::lens::{Findings, Of, visible};
use crate::views::cells::{place_of, walk};
use leptos::html::Div;
use leptos::prelude::*;
use tiller_protocol::{LensCell, LensLayer};
use web_sys::EventTarget;

#[component]
pub fn Grid() -> impl IntoView {
    let looking = expect_context::<Looking>();
    let text = Memo::new(move |_| looking.found.with(|found| found.text.clone()));
    let rows = move || looking.found.with(|found| found.layers.clone().into_iter().enumerate().collect::<Vec<_>>());
    let look = move |target: Option<EventTarget>| {
        if let Some(place) = target.and_then(place_of) {
            looking.chosen.set(Some(place));
        }
    };
    // The end of the text is what most want to see, and what is looked at first.
    let scroll = NodeRef::<Div>::new();
    let begun = Memo::new(move |_| looking.found.with(|found| !found.layers.is_empty()));
    Effect::new(move |_| {
        text.track();
        begun.track();
        request_animation_frame(move || {
            // By then the view may have been left.
            if let Some(scroll) = scroll.try_get_untracked().flatten() {
                scroll.set_scroll_left(scroll.scroll_width());
            }
        });
    });
    view! {
        <ColourChoice/>
        <div class="grid-scroll" node_ref=scroll>
            <table class="grid" role="grid" aria-label="The most probable next token, by layer and token"
                data-testid="lens-grid" data-colour=move || looking.colour.get().name()
                on:mouseover=move |event| look(event.target()) on:focusin=move |event| look(event.target())
                on:click=move |event| look(event.target()) on:keydown=walk>
                <thead>
                    <tr>
                        <th class="corner" scope="col">"after"</th>
                        {move || {
                            let text = text.get();
                            text.tokens.into_iter().skip(text.first as usize).enumerate().map(|(column, token)| view! {
                                <th scope="col" title=format!("token {}", text.first as usize + column)
                                    class:chosen=move || looking.place().is_some_and(|at| at.column == column)>{visible(&token.text)}</th>
                            }).collect_view()
                        }}
                    </tr>
                </thead>
                <tbody>
                    // Reading again draws the layers anew, since their tokens may be others.
                    <For each=rows key=|(row, layer)| (*row, fingerprint(layer)) let:item>
                        <Row row=item.0 layer=item.1/>
                    </For>
                </tbody>
            </table>
        </div>
    }
}

/// Tells layers of different readings apart.
fn fingerprint(layer: &LensLayer) -> (Option<u32>, u32, usize, Option<u32>) {
    let cell = layer.cells.last();
    let entropy = cell.map_or(0, |cell| cell.entropy.to_bits());
    (layer.block, entropy, layer.cells.len(), cell.and_then(|cell| cell.followed.last()?.as_ref().map(|r| r.rank)))
}

#[component]
fn Row(row: usize, layer: LensLayer) -> impl IntoView {
    let name = layer.block.map_or_else(|| "embedding".into(), |block| format!("block {block}"));
    view! {
        <tr>
            <th scope="row">{name}</th>
            {layer.cells.iter().enumerate().map(|(column, cell)| view! {
                <td data-row=row data-column=column tabindex=if row == 0 && column == 0 { "0" } else { "-1" }
                    style=shares(cell)>{cell.top.first().map(|guess| visible(&guess.text))}</td>
            }).collect_view()}
        </tr>
    }
}

/// The probabilities that may give a cell its colour; the style sheet takes the one that is asked for.
fn shares(cell: &LensCell) -> String {
    let followed = (0..cell.followed.len()).map(Of::Followed);
    let share = |of: Of| {
        let log_prob = of.log_prob(cell)?;
        Some(format!("--{}:{:.3}", of.name(), f64::from(log_prob).exp()))
    };
    [Of::Own, Of::Output, Of::Next].into_iter().chain(followed).filter_map(share).collect::<Vec<_>>().join(";")
}

/// Which token's probability is the colour.
#[component]
fn ColourChoice() -> impl IntoView {
    let looking = expect_context::<Looking>();
    let choices = Memo::new(move |_| {
        let of_found = looking.found.with(Findings::choices);
        [(Of::Own, "its own guess".to_string())].into_iter().chain(of_found).collect::<Vec<_>>()
    });
    let choose = move |input: web_sys::Event| {
        let name = event_target_value(&input);
        let chosen = choices.with_untracked(|choices| choices.iter().map(|(of, _)| *of).find(|of| of.name() == name));
        looking.colour.set(chosen.unwrap_or(Of::Own));
    };
    view! {
        <label class="small colour" title="The more probable this token is at a place, the deeper the colour there">"Colour: probability of "
            <select class="field small" data-testid="lens-colour" on:change=choose>
                {move || choices.get().into_iter().map(|(of, name)| view! {
                    <option value=of.name() selected=move || looking.colour.get() == of>{name}</option>
                }).collect_view()}
            </select>
        </label>
    }
}
