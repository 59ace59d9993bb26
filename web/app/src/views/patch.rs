//! The Patch view: which activations, and which parts of the model, an answer depends on.

mod ablation_note;
mod attention;
mod bars;
mod details;
mod form;
mod map;
mod tokens;

use crate::patching::{Findings, bars_figure, csv, map_figure};
use crate::views::cells::Place;
use crate::views::progress;
use crate::views::save::{SavePng, SaveText};
use crate::workbench::{ModelState, Workbench};
use leptos::prelude::*;
use tiller_recipe::PatchQuestion;

/// What the parts of the view share.
#[derive(Clone, Copy)]
struct Looking {
    found: Memo<Findings>,
    /// The cell that is looked at; `None` until the user looks at one.
    chosen: RwSignal<Option<Place>>,
    /// The head whose attention is shown: its layer and number.
    head: RwSignal<Option<(u32, u32)>>,
}

#[component]
pub fn Patch() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = Looking {
        found: Memo::new(move |_| bench.patch.with(|patch| patch.found.clone())),
        chosen: RwSignal::new(None),
        head: RwSignal::new(None),
    };
    provide_context(looking);
    // What was looked at is of the run before.
    let job = Memo::new(move |_| bench.patch.with(|patch| patch.job));
    Effect::new(move |_| {
        if job.get().is_some() {
            looking.chosen.set(None);
            looking.head.set(None);
        }
    });
    Effect::new(move |_| {
        if let Some((layer, _)) = looking.head.get() {
            bench.look_at_attention(layer);
        }
    });
    // A link asks for what it names.
    Effect::new(move |_| {
        if matches!(bench.model.get(), ModelState::Ready(_)) && bench.patch.with(|patch| patch.asked) {
            bench.run_patching();
        }
    });
    let state = move || {
        bench.patch.with(|patch| match (&patch.job, patch.whole, patch.found.prompts.clean.is_empty()) {
            (Some(_), ..) => "running",
            (None, true, _) => "whole",
            (None, false, false) => "part",
            (None, false, true) => "none",
        })
    };
    let found = move |holds: fn(&Findings) -> bool| move || looking.found.with(holds);
    view! {
        <div class="patch" data-testid="patch" data-state=state>
            <p class="soft small explained">{move || explanation(bench.experiment.with(|experiment| experiment.patch.question))}</p>
            <form::Form/>
            <p class="soft small status" role="status" aria-live="polite">{move || status(bench)}</p>
            <Show when=found(|found| !found.prompts.clean.is_empty()) fallback=move || view! { <Empty/> }>
                <tokens::Tokens/>
                <Show when=found(|found| found.too_alike.is_some())><TooAlike/></Show>
                <Show when=found(|found| found.map().is_some())>
                    <div class="seen">
                        <div class="gridded"><map::MapTable/></div>
                        <div class="beside">
                            <details::Details/>
                            <attention::HeadAttention/>
                        </div>
                    </div>
                    <Saving figure=map_figure name="patch"/>
                </Show>
                <Show when=found(|found| found.attribution.is_some())>
                    <div class="seen">
                        <bars::Bars/>
                        <div class="beside"><attention::HeadAttention/></div>
                    </div>
                    <Saving figure=bars_figure name="attribution"/>
                </Show>
            </Show>
        </div>
    }
}

/// What is asked, and what the colours mean.
fn explanation(question: PatchQuestion) -> &'static str {
    match question {
        PatchQuestion::Patching => {
            "Patching asks where a model keeps what its answer depends on: it runs one prompt, puts in a single activation from the other prompt's run, and looks at the answer again. Blue means that this moved the model toward the clean prompt's answer, red away from it; what has no colour did no more than a random change of the same length."
        }
        PatchQuestion::Attribution => {
            "Attribution takes the answer's lead after the clean prompt apart into what each part of the model adds to it directly. Blue adds to the answer, red to the wrong one; nothing is changed or run again, so that by itself it shows no cause."
        }
        PatchQuestion::Ablation => {
            "Ablation asks what the answer to the clean prompt loses without a part: each head and MLP in turn gives its mean over a neutral text in place of its own activation. Red means that the answer lost some of its lead, blue that it gained; what has no colour did no more than random units of the same layer."
        }
    }
}

/// What is going on, and how far it came.
fn status(bench: Workbench) -> String {
    bench.patch.with(|patch| match (&patch.progress, &patch.job) {
        (Some(shown), _) => progress::sentence(shown, 0.0),
        (None, Some(_)) => "Running".into(),
        (None, None) if !patch.whole && !(patch.found.cells.is_empty() && patch.found.ablated.is_empty()) => {
            "It was stopped; what came before stays. Run it again for the rest.".into()
        }
        (None, None) => String::new(),
    })
}

#[component]
fn Empty() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let words = move || match bench.model.get() {
        ModelState::Ready(_) if bench.patch.with(|patch| patch.job.is_some()) => "The first numbers come in a moment.",
        ModelState::Ready(_) => "Choose an example or write two prompts, then press Run.",
        _ => "It can be run when the model is here.",
    };
    view! { <p class="soft nothing">{words}</p> }
}

/// A null result, shown as one.
#[component]
fn TooAlike() -> impl IntoView {
    let looking = expect_context::<Looking>();
    let words = move || {
        let (clean, corrupt) = looking.found.with(|found| found.too_alike).unwrap_or_default();
        format!(
            "The model does not tell these prompts apart: the answer leads the wrong answer by {clean:.2} after the clean \
             prompt and by {corrupt:.2} after the corrupt one. There is no difference to trace, so no map is drawn."
        )
    };
    view! { <p class="card" data-testid="too-alike">{words}</p> }
}

/// What the view shows, as files.
#[component]
fn Saving(figure: fn(&Findings) -> String, name: &'static str) -> impl IntoView {
    let looking = expect_context::<Looking>();
    let found = move || looking.found.get_untracked();
    let names = match name {
        "patch" => ["patch.svg", "patch.png", "patch.csv", "patch.json"],
        _ => ["attribution.svg", "attribution.png", "attribution.csv", "attribution.json"],
    };
    let svg = Callback::new(move |()| figure(&found()));
    let table = Callback::new(move |()| csv(&found()));
    let json = Callback::new(move |()| serde_json::to_string_pretty(&found()).unwrap_or_default());
    let note = move || looking.found.with(|found| found.of.question == PatchQuestion::Ablation);
    view! {
        <Show when=note><ablation_note::AblationNote/></Show>
        <p class="soft small saving">
            "Save: "
            <SaveText label="SVG" title="As a picture that can be scaled" name=names[0] content=svg/>
            <SavePng title="As a picture of dots" name=names[1] svg=svg/>
            <SaveText label="CSV" title="Every number as a line of a table" name=names[2] content=table/>
            <SaveText label="JSON" title="Everything that was found" name=names[3] content=json/>
        </p>
    }
}
