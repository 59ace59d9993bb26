//! The choice between the logit lens and a tuned one, and how well that does.

use crate::lens::tuning_sentence;
use crate::workbench::Workbench;
use leptos::prelude::*;

#[component]
pub fn WhichLens() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let tuned = move || bench.experiment.with(|experiment| experiment.lens.tuned);
    let choose = move |input| {
        let tuned = event_target_value(&input) == "tuned";
        bench.change("lens", |experiment| experiment.lens.tuned = tuned);
    };
    view! {
        <select class="field small which-lens" data-testid="which-lens" aria-label="Which lens" on:change=choose
            title="A tuned lens scales and shifts each layer's numbers first, as it learnt to on the texts that come with this page">
            <option value="logit" prop:selected=move || !tuned()>"Logit lens"</option>
            <option value="tuned" prop:selected=tuned>"Tuned lens (trained here)"</option>
        </select>
    }
}

/// What a trained lens is worth.
#[component]
pub fn Judged() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let sentence = move || {
        bench.experiment.with(|experiment| {
            if !experiment.lens.tuned {
                return String::new();
            }
            bench.lens.with(|lens| match lens.tuning_of(&experiment.model) {
                Some(tuning) => tuning_sentence(tuning),
                None => "It is trained once for this model, on the texts that come with this page: some minutes, which can be stopped.".into(),
            })
        })
    };
    view! { <p class="soft small" data-testid="lens-tuning">{sentence}</p> }
}
