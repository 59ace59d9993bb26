//! The strongest features of the text or of a token, those that are pinned, and those that are sought.

use super::{Looking, chip};
use crate::features::{matching, share, title};
use crate::figures;
use crate::lens::visible;
use crate::workbench::Workbench;
use leptos::prelude::*;

/// Rows of the list.
const ROWS: usize = 20;

#[component]
pub fn List() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = expect_context::<Looking>();
    let sought = RwSignal::new(String::new());
    // Features with their values, and the text that they are listed by.
    let rows = Memo::new(move |_| {
        let token = looking.token.get();
        bench.features.with(|work| match token.and_then(|position| work.text.tokens.get(position)) {
            Some(token) => token.top.clone(),
            None => work.text.features.iter().map(|found| (found.feature, found.max)).take(ROWS).collect(),
        })
    });
    let heading = move || {
        let token = looking.token.get();
        bench.features.with(|work| match token.and_then(|position| work.text.tokens.get(position)) {
            Some(token) => format!("Most telling at {}", visible(&token.text)),
            None => "Most telling in the text".into(),
        })
    };
    let found = move || {
        let features = bench.features.with(|work| work.sae.info().map_or(0, |info| info.features));
        looking.names.with(|names| matching(&sought.get(), features, names))
    };
    let pinned = move || bench.experiment.with(|experiment| experiment.features.pinned.clone());
    let most = move || rows.with(|rows| rows.iter().map(|(_, value)| *value).fold(0.0, f32::max));
    view! {
        <section class="feature-list" aria-label="Features">
            <div class="row between">
                <h2 title="By value, times how rarely the feature is active on a corpus where that is known: the strongest of all are those that always are">{heading}</h2>
                <Show when=move || looking.token.get().is_some()>
                    <button class="plain" on:click=move |_| looking.token.set(None)>"Whole text"</button>
                </Show>
            </div>
            <ul class="ranked" data-testid="feature-list">
                {move || rows.get().into_iter().map(|(feature, value)| {
                    let name = looking.names.with(|names| title(feature, names));
                    let width = 100.0 * share(value, most());
                    view! {
                        <li>
                            <button class="plain word" data-feature=feature title=format!("#{feature}")
                                aria-pressed=move || (looking.feature.get() == Some(feature)).to_string()
                                on:click=move |_| bench.look_at_feature(feature)>{name}</button>
                            <span class="track"><span style=format!("width:{width:.1}%")></span></span>
                            <span class="mono share" title="Its largest value here">{figures::quantity(value.into())}</span>
                        </li>
                    }
                }).collect_view()}
            </ul>
            <label class="labelled">"Find a feature"
                <input class="field small" type="search" data-testid="find-feature" placeholder="A number, or a word of its name" maxlength="100"
                    prop:value=move || sought.get() on:input=move |input| sought.set(event_target_value(&input))/>
            </label>
            <div class="row" data-testid="found-features">
                {move || found().into_iter().map(|feature| chip(bench, looking, feature)).collect_view()}
                <Show when=move || !sought.get().trim().is_empty() && found().is_empty()>
                    <span class="soft small">"No feature has this number, or a name with this word."</span>
                </Show>
            </div>
            <Show when=move || !pinned().is_empty()>
                <h2>"Pinned"</h2>
                <div class="row" data-testid="pinned-features">
                    {move || pinned().into_iter().map(|feature| chip(bench, looking, feature)).collect_view()}
                </div>
            </Show>
        </section>
    }
}
