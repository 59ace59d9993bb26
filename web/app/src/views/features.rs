//! The Features view: which features of a sparse autoencoder the prompt has, and what each of them is.

mod card;
mod list;
mod tokens;

use crate::features::{csv, title};
use crate::views::progress;
use crate::views::prompt::PromptBox;
use crate::views::save::SaveText;
use crate::workbench::{ModelState, SaeState, Workbench};
use leptos::prelude::*;
use tiller_protocol::{FeatureLabel, SaeFileBytes, SaeQuality};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{File, HtmlInputElement};

/// What the parts of the view share.
#[derive(Clone, Copy)]
struct Looking {
    /// What features are called.
    labels: Memo<Vec<(u32, FeatureLabel)>>,
    /// The feature that is looked at: the one that was chosen, else the strongest of the text.
    feature: Memo<Option<u32>>,
    /// The token whose features are listed, by position; `None`: those of the whole text.
    token: RwSignal<Option<usize>>,
}

#[component]
pub fn Features() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = Looking {
        labels: Memo::new(move |_| {
            bench.features.with(|work| work.sae.info().map(|info| info.labels.clone()).unwrap_or_default())
        }),
        feature: Memo::new(move |_| {
            let chosen = bench.experiment.with(|experiment| experiment.features.feature);
            bench.features.with(|work| {
                let features = work.sae.info()?.features;
                let strongest = work.text.features.first().map(|found| found.feature);
                chosen.filter(|&feature| feature < features).or(strongest)
            })
        }),
        token: RwSignal::new(None),
    };
    provide_context(looking);
    let ready = move || matches!(bench.model.get(), ModelState::Ready(_));
    // Whoever opens this view, or changes the prompt, wants it read.
    Effect::new(move |_| {
        bench.experiment.with(|experiment| (experiment.prompt.clone(), experiment.lens.edited));
        if ready() {
            bench.features_soon();
        }
    });
    Effect::new(move |_| {
        if let Some(feature) = looking.feature.get() {
            bench.ask_for_card(feature);
        }
    });
    let state = move || {
        bench.features.with(|work| match (&work.sae, &work.job, work.text.tokens.is_empty()) {
            (SaeState::Loading { .. }, ..) => "loading",
            (_, Some(_), _) => "reading",
            (SaeState::Loaded { .. }, None, false) => "read",
            _ => "none",
        })
    };
    let reading = move || bench.features.with(|work| work.job.is_some());
    let any = move || bench.features.with(|work| !work.text.tokens.is_empty());
    view! {
        <div class="features" data-testid="features" data-state=state>
            <p class="soft small explained">
                "A sparse autoencoder writes each activation as a sum of a few out of thousands of directions. Many of these features fire on something a person can name. "
                "A name is a guess from where a feature fires; steer with it to see what it does."
            </p>
            <PromptBox>
                <Show when=reading fallback=move || view! {
                    <button class="btn go" data-testid="read-features" title="Ctrl+Enter"
                        prop:disabled=move || bench.features.with(|work| work.sae.info().is_none())
                        on:click=move |_| bench.read_features()>"Read"</button>
                }>
                    <button class="btn go" data-testid="stop-features" title="Esc" on:click=move |_| bench.stop_features()>"Stop"</button>
                </Show>
            </PromptBox>
            <Dictionary/>
            <p class="soft small status" role="status" aria-live="polite">{move || status(bench)}</p>
            <Show when=any>
                <tokens::Tokens/>
                <div class="feature-results">
                    <list::List/>
                    <card::Card/>
                </div>
                <div class="row">
                    <span class="soft small">"Save what was found: "</span>
                    <SaveText label="CSV" title="Every feature that is listed, at every token" name="features.csv"
                        content=Callback::new(move |()| bench.features.with_untracked(|work| csv(&work.text)))/>
                    <SaveText label="JSON" title="The tokens, their strongest features and their errors" name="features.json"
                        content=Callback::new(move |()| bench.features.with_untracked(|work| serde_json::to_string_pretty(&work.text).unwrap_or_default()))/>
                </div>
            </Show>
        </div>
    }
}

fn status(bench: Workbench) -> String {
    let ready = matches!(bench.model.get(), ModelState::Ready(_));
    bench.features.with(|work| match (&work.sae, &work.job) {
        _ if !ready => "The model is not here yet.".into(),
        (SaeState::Loading { .. }, _) => "Loading the sparse autoencoder".into(),
        (SaeState::Failed { .. }, _) => "No sparse autoencoder could be loaded. Open the files of another.".into(),
        (SaeState::None, _) => "None comes with the page for this model. Open the files of one that was trained on it: cfg.json and sae_weights.safetensors as SAELens saves them, or params.npz of Gemma Scope.".into(),
        (_, Some(_)) => work.progress.as_ref().map_or_else(|| "Reading".into(), |shown| progress::sentence(shown, 0.0)),
        _ => String::new(),
    })
}

/// Which sparse autoencoder it is, and how to open another.
#[component]
fn Dictionary() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let info = Memo::new(move |_| bench.features.with(|work| work.sae.info().cloned()));
    let input = NodeRef::<leptos::html::Input>::new();
    let opened = move |change: web_sys::Event| {
        let Some(input) = change.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else { return };
        let files: Vec<File> =
            input.files().map(|files| (0..files.length()).filter_map(|n| files.get(n)).collect()).unwrap_or_default();
        if !files.is_empty() {
            spawn_local(open(bench, files));
        }
        // The same files may be chosen again.
        input.set_value("");
    };
    view! {
        <div class="row between dictionary">
            <div>
                {move || info.get().map(|info| view! {
                    <p class="small" data-testid="sae">
                        <b>{info.name}</b>
                        <span class="soft">{format!(": {} features of {}, {}", crate::figures::grouped(info.features.into()), info.site, info.architecture)}</span>
                    </p>
                    {info.quality.map(|quality| view! { <p class="soft small" data-testid="sae-quality">{judged(&quality)}</p> })}
                    {info.notes.into_iter().map(|note| view! { <p class="soft small">{note}</p> }).collect_view()}
                })}
            </div>
            <button class="plain" title="cfg.json and sae_weights.safetensors as SAELens saves them, or params.npz of Gemma Scope. They stay on this machine"
                prop:disabled=move || !matches!(bench.model.get(), ModelState::Ready(_))
                on:click=move |_| { if let Some(input) = input.get() { input.click(); } }>"Open files of an SAE"</button>
            <input node_ref=input type="file" multiple accept=".json,.safetensors,.npz" hidden aria-hidden="true" tabindex="-1"
                data-testid="sae-files" on:change=opened/>
        </div>
    }
}

/// How good a sparse autoencoder is, beside what would be as sparse.
fn judged(quality: &SaeQuality) -> String {
    let percent = |share: f32| format!("{:.1} %", 100.0 * share);
    let dead = if quality.dead == 0 { "none of them dead".into() } else { format!("{} of them dead", quality.dead) };
    let (low, high) = quality.loss_interval;
    format!(
        "On text that it was not trained on it explains {} of the variance with {:.0} features at once, {dead}. With its \
         reconstruction in place the model loses {:.2} nats a token [{low:.2}, {high:.2}]: {} of what zeros cost is \
         recovered, where as many principal components recover {} and random directions {}.",
        percent(quality.explained_variance),
        quality.l0,
        quality.loss,
        percent(quality.recovered),
        percent(quality.recovered_by_components),
        percent(quality.recovered_by_random)
    )
}

/// More than the SAEs of small models have, and less than a tab can hold.
const LARGEST: f64 = 600e6;

async fn open(bench: Workbench, files: Vec<File>) {
    if files.iter().map(|file| file.size()).sum::<f64>() > LARGEST {
        let remedy = "It has more than 600 MB; choose one with fewer features.";
        bench.notice(tiller_protocol::Failure::new("The sparse autoencoder is too large", remedy, false));
        return;
    }
    let mut read = Vec::new();
    for file in files {
        let Ok(bytes) = JsFuture::from(file.array_buffer()).await else {
            let remedy = "The browser could not read it; choose it again.";
            bench.notice(tiller_protocol::Failure::new("The file could not be read", remedy, true));
            return;
        };
        read.push(SaeFileBytes { name: file.name(), bytes: js_sys::Uint8Array::new(&bytes).to_vec() });
    }
    bench.open_sae(read);
}

/// A button that looks at a feature, under its name.
fn chip(bench: Workbench, looking: Looking, feature: u32) -> impl IntoView {
    let name = move || looking.labels.with(|labels| title(feature, labels));
    view! {
        <button class="chip" data-testid="feature-chip" data-feature=feature title=move || format!("#{feature}")
            aria-pressed=move || (looking.feature.get() == Some(feature)).to_string()
            on:click=move |_| bench.look_at_feature(feature)>{name}</button>
    }
}
