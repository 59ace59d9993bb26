//! The plain and the steered text side by side, token by token.

use crate::comparison::{compare, differs};
use crate::features::share;
use crate::workbench::{Run, RunState, Workbench};
use crate::{address, figures};
use leptos::prelude::*;
use tiller_protocol::WrittenToken;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};

/// What tokens are tinted by in place of their surprise, where somebody looks at a feature.
#[derive(Clone, Copy)]
pub struct Tint {
    pub feature: Memo<Option<u32>>,
    /// The value that has all of the colour.
    pub most: Memo<f32>,
}

impl Tint {
    /// How deep a token's colour is, from 0 to 1; `None` where no feature is looked at.
    fn depth(self, features: &[(u32, f32)]) -> Option<f32> {
        let feature = self.feature.get()?;
        let value = features.iter().find(|(found, _)| *found == feature).map_or(0.0, |(_, value)| *value);
        Some(share(value, self.most.get()))
    }
}

#[component]
pub fn Texts() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let seed = move || bench.experiment.with(|experiment| format!("seed {}", experiment.sampling.seed));
    let steered_title = move || {
        bench.experiment.with(|experiment| {
            let how = if experiment.control.is_some() { "Random direction" } else { "Steered" };
            let vector =
                experiment.vector.as_ref().map(|_| format!("{how} {}", figures::strength(experiment.strength)));
            let features = match experiment.feature_edits.len() {
                0 => None,
                1 => Some("a changed feature".to_string()),
                count => Some(format!("{count} changed features")),
            };
            match (vector, features) {
                (Some(vector), Some(features)) => format!("{vector}, {features}"),
                (None, Some(features)) => format!("With {features}"),
                (Some(vector), None) => vector,
                (None, None) => format!("{how} {}", figures::strength(experiment.strength)),
            }
        })
    };
    let difference = move || {
        let both = bench.plain.with(|plain| bench.steered.with(|steered| compare(&plain.tokens, &steered.tokens)));
        match (both.of, both.differing) {
            (0, _) => String::new(),
            (_, 0) => "no token differs".into(),
            (of, differing) => format!("{differing} of {of} tokens differ"),
        }
    };
    let tint = use_context::<Tint>();
    let mixed = move || bench.steered.with(|run| run.mixed);
    let done = move || {
        let done = bench.plain.with(|run| run.state == RunState::Done)
            && bench.steered.with(|run| run.state == RunState::Done);
        if done { format!("Written. {}.", difference()) } else { String::new() }
    };
    view! {
        <div class="two">
            <Pane run=bench.plain other=bench.steered id="plain-text" title=Signal::derive(|| "As it is".to_string()) aside=Signal::derive(seed)/>
            <Pane run=bench.steered other=bench.plain id="steered-text" title=Signal::derive(steered_title) aside=Signal::derive(difference)/>
        </div>
        <p class="legend soft small">
            <Show when=move || tint.is_none_or(|tint| tint.feature.get().is_none()) fallback=|| view! {
                <span><i class="swatch active"></i>"the feature that is looked at is active"</span>
            }>
                <span><i class="swatch unlikely"></i>"the model found it unlikely"</span>
            </Show>
            <span><i class="swatch differing"></i>"not what it writes as it is"</span>
        </p>
        <TokenCard/>
        <Show when=mixed>
            <p class="soft small" role="status">"The strength was changed while this was written. Write again for the text that the link gives."</p>
        </Show>
        <p class="soft small">{move || other_backend(bench)}</p>
        <p class="unseen" role="status" aria-live="polite">{done}</p>
    }
}

/// Where a link was written by another backend, which rounds otherwise. As soon as something is changed, the link is no
/// longer in the address, and what it promised no longer matters.
fn other_backend(bench: Workbench) -> Option<&'static str> {
    bench.experiment.track();
    let here = bench.backend.with(|report| report.as_ref().map(|report| report.backend.clone()))?;
    let written = address::recipe().ok()??.backend?;
    (written != here).then(|| match here.as_str() {
        "gpu" => "The link was written on the CPU; on WebGPU, numbers round otherwise, and a token may differ from its sender's.",
        _ => "The link was written on WebGPU; on the CPU, numbers round otherwise, and a token may differ from its sender's.",
    })
}

#[component]
fn Pane(
    run: RwSignal<Run>,
    other: RwSignal<Run>,
    id: &'static str,
    title: Signal<String>,
    aside: Signal<String>,
) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let empty = move || run.with(|run| run.tokens.is_empty());
    let hint = move || match run.with(|run| run.state) {
        RunState::Writing => "Reading the prompt",
        _ => "Nothing written yet.",
    };
    view! {
        <div class="card out">
            <h3><span>{title}</span><span class="control">{aside}</span></h3>
            <div class="text" data-testid=id data-state=move || run.with(|run| run.state.name())
                on:mouseleave=move |_| bench.looked_at.set(None)>
                <Show when=empty><span class="soft">{hint}</span></Show>
                <For each=move || run.get().tokens key=|token| (token.index, token.id, token.log_prob.to_bits()) let:token>
                    <Token token run other/>
                </For>
                <Show when=move || run.with(|run| run.state == RunState::Writing && !run.tokens.is_empty())>
                    <span class="caret" aria-hidden="true"></span>
                </Show>
            </div>
        </div>
    }
}

#[component]
fn Token(token: WrittenToken, run: RwSignal<Run>, other: RwSignal<Run>) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let index = token.index as usize;
    let differing = move || {
        run.with(|run| other.with(|other| other.tokens.len() > index && differs(&run.tokens, &other.tokens, index)))
    };
    // Quiet: a token the model was sure of has no tint, one in a thousand has all of it.
    let surprise = (f64::from(-token.log_prob) / 7.0).clamp(0.0, 1.0);
    let tint = use_context::<Tint>();
    // A token's features come with the one after it.
    let depth = move || {
        let tint = tint.filter(|tint| tint.feature.get().is_some())?;
        run.with(|run| tint.depth(run.tokens.get(index + 1).map_or(&[], |next| &next.features)))
    };
    let style = move || match depth() {
        Some(depth) => {
            format!("--surprise:0;background:color-mix(in srgb, var(--accent) {:.1}%, transparent)", 60.0 * depth)
        }
        None => format!("--surprise:{surprise:.3}"),
    };
    let strength = token.strengths.first().map(|&strength| (strength * 1e4).round() / 1e4);
    let label = format!("{}, {}", shown(&token.text), figures::probability(token.log_prob));
    view! {
        <span class="tok" class:differs=differing class:newline=token.text.contains('\n') class:special=is_special(&token.text)
            class:looked=move || bench.looked_at.get() == Some(index)
            data-token-id=token.id data-strength=strength.map(|strength| strength.to_string())
            tabindex=if index == 0 { "0" } else { "-1" } aria-label=label
            style=style
            on:mouseenter=move |_| bench.looked_at.set(Some(index))
            on:focus=move |_| bench.looked_at.set(Some(index))
            on:click=move |_| bench.looked_at.set(Some(index))
            on:keydown=walk>{text_of(&token)}</span>
    }
}

/// Tokens that are no text, by the custom of naming them `<|so|>`.
fn is_special(text: &str) -> bool {
    text.starts_with("<|") && text.ends_with("|>")
}

/// What stands in the text: control tokens, which add none, are named.
fn text_of(token: &WrittenToken) -> String {
    match token.text.as_str() {
        "" => "·".into(),
        text => text.to_string(),
    }
}

/// Arrow keys walk from token to token.
fn walk(key: KeyboardEvent) {
    let Some(token) = key.target().and_then(|target| target.dyn_into::<HtmlElement>().ok()) else { return };
    let to = match key.key().as_str() {
        "ArrowRight" => token.next_element_sibling(),
        "ArrowLeft" => token.previous_element_sibling(),
        "Home" => token.parent_element().and_then(|text| text.query_selector(".tok").ok()?),
        "End" => token.parent_element().and_then(|text| text.query_selector(".tok:last-of-type").ok()?),
        _ => return,
    };
    key.prevent_default();
    if let Some(to) = to.and_then(|to| to.dyn_into::<HtmlElement>().ok()) {
        let _ = to.focus();
    }
}

/// A token's text with what cannot be seen made visible.
fn shown(text: &str) -> String {
    match text {
        "" => "(no text)".into(),
        text => text.replace('\n', "↵").replace('\t', "⇥").replace(' ', "␣"),
    }
}

/// The token that is looked at, and what else was likely there, in both runs.
#[component]
fn TokenCard() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let side = move |name: &'static str, run: RwSignal<Run>| {
        let token = move || bench.looked_at.get().and_then(|index| run.with(|run| run.tokens.get(index).cloned()));
        view! {
            <div class="alternatives">
                <h3>{name}</h3>
                {move || match token() {
                    None => view! { <p class="soft small">"No token here."</p> }.into_any(),
                    Some(token) => view! { <Alternatives token/> }.into_any(),
                }}
            </div>
        }
    };
    view! {
        <div class="token-card">
            <Show when=move || bench.looked_at.get().is_some() fallback=|| view! {
                <p class="soft small">"Hover a token, or walk over them with the arrow keys, to see its probability and what else was likely."</p>
            }>
                <div class="two">{side("As it is", bench.plain)}{side("Steered", bench.steered)}</div>
            </Show>
        </div>
    }
}

#[component]
fn Alternatives(token: WrittenToken) -> impl IntoView {
    let most = token.alternatives.first().map_or(0.0, |first| first.log_prob.exp()).max(f32::MIN_POSITIVE);
    let own = token.text.clone();
    view! {
        <p class="small"><b class="mono">{shown(&token.text)}</b>" "{figures::probability(token.log_prob)}</p>
        <ul>
            {token.alternatives.into_iter().take(5).map(|alternative| {
                let share = 100.0 * alternative.log_prob.exp() / most;
                view! {
                    <li class:own=alternative.text == own>
                        <span class="mono word">{shown(&alternative.text)}</span>
                        <span class="track"><span style=format!("width:{share:.1}%")></span></span>
                        <span class="mono share">{figures::probability(alternative.log_prob)}</span>
                    </li>
                }
            }).collect_view()}
        </ul>
    }
}
