//! The Features view: which features of a sparse autoencoder the prompt has, and what each of them is.

mod card;
mod changes;
mod contrast;
mod dictionary;
mod hub;
mod list;
mod tokens;
mod train;

use crate::features::{Name, csv, title};
use crate::figures;
use crate::views::progress;
use crate::views::prompt::PromptBox;
use crate::views::save::SaveText;
use crate::workbench::{ModelState, SaeState, Workbench};
use leptos::prelude::*;
use tiller_protocol::{Progress, Stage};

/// What the parts of the view share.
#[derive(Clone, Copy)]
struct Looking {
    /// What features are called.
    names: Memo<Vec<(u32, Name)>>,
    /// The feature that is looked at: the one that was chosen, else the strongest of the text.
    feature: Memo<Option<u32>>,
    /// The token whose features are listed, by position; `None`: those of the whole text.
    token: RwSignal<Option<usize>>,
}

#[component]
pub fn Features() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = Looking {
        names: Memo::new(move |_| bench.feature_names()),
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
        bench.experiment.track();
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
            <dictionary::Dictionary/>
            <train::Train/>
            <p class="soft small status" role="status" aria-live="polite">{move || status(bench)}</p>
            <Show when=any>
                <tokens::Tokens/>
                <contrast::Against/>
                <div class="feature-results">
                    <list::List/>
                    <card::Card/>
                </div>
                <changes::Writing/>
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
        (SaeState::Loading { progress, .. }, _) => loading(progress.as_ref()),
        (SaeState::Asked(..) | SaeState::Failed(_), _) => String::new(),
        (SaeState::None, _) => {
            "None comes with the page for this model. Find one on the hub that was trained on it, or open its files."
                .into()
        }
        (_, Some(_)) => work.progress.as_ref().map_or_else(|| "Reading".into(), |shown| progress::sentence(shown, 0.0)),
        _ if work.contrasting.is_some() => "Comparing the two texts".into(),
        _ => String::new(),
    })
}

fn loading(progress: Option<&Progress>) -> String {
    let Some(Progress { stage, done, total, .. }) = progress else {
        return "Loading the sparse autoencoder".into();
    };
    let of_total = total.map(|total| format!(" of {}", figures::bytes(total))).unwrap_or_default();
    match stage {
        Stage::Downloading => format!("Downloading the sparse autoencoder: {}{of_total}", figures::bytes(*done)),
        Stage::Resuming => "The connection broke; going on".into(),
        Stage::Waiting { seconds } => format!("The hub asks to wait for {seconds} s; going on then"),
        Stage::Elsewhere => "Another tab is downloading it; waiting".into(),
        _ => "Loading the sparse autoencoder".into(),
    }
}

/// A button that looks at a feature, under its name.
fn chip(bench: Workbench, looking: Looking, feature: u32) -> impl IntoView {
    let name = move || looking.names.with(|names| title(feature, names));
    view! {
        <button class="chip" data-testid="feature-chip" data-feature=feature title=move || format!("#{feature}")
            aria-pressed=move || (looking.feature.get() == Some(feature)).to_string()
            on:click=move |_| bench.look_at_feature(feature)>{name}</button>
    }
}
