//! The tokens that are followed through the layers.

use crate::lens::visible;
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_recipe::FOLLOWED_LIMIT;
use web_sys::SubmitEvent;

#[component]
pub fn FollowedTokens() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let typed = RwSignal::new(String::new());
    let follow = move || bench.experiment.with(|experiment| experiment.lens.follow.clone());
    let full = move || follow().len() >= FOLLOWED_LIMIT;
    let add = move |submit: SubmitEvent| {
        submit.prevent_default();
        let token = typed.get_untracked();
        if token.is_empty() {
            return;
        }
        bench.follow(token);
        typed.set(String::new());
    };
    let drop = move |token: &str| bench.change("lens", |experiment| experiment.lens.follow.retain(|own| own != token));
    // What is not one token says so, once the model has been asked.
    let pieces = move |token: &str| {
        bench.lens.with(|lens| {
            let known = lens.found.text.followed.iter().find(|followed| followed.text == token)?;
            let pieces: Vec<String> = known.tokens.iter().map(|piece| visible(piece)).collect();
            (pieces.len() != 1).then(|| pieces.join(" "))
        })
    };
    view! {
        <form class="followed row" on:submit=add>
            <label class="small" for="follow" title="A token of this model, spelt with the space before it where it begins a word">"Follow"</label>
            {move || follow().into_iter().map(|token| {
                let apart = pieces(&token);
                let label = format!("Stop following {}", visible(&token));
                let shown = visible(&token);
                let wrong = apart.is_some();
                let note = apart.map(|pieces| format!(" is {pieces}, not one token"));
                view! {
                    <span class="chip" class:wrong=wrong data-testid="followed">
                        <span class="mono">{shown}</span>{note}
                        <button type="button" class="plain" aria-label=label on:click=move |_| drop(&token)>"×"</button>
                    </span>
                }
            }).collect_view()}
            <input id="follow" class="field small mono" data-testid="follow" placeholder=" Paris" autocomplete="off" spellcheck="false"
                maxlength="200" prop:value=move || typed.get() prop:disabled=full on:input=move |input| typed.set(event_target_value(&input))/>
            <button class="plain" type="submit" prop:disabled=move || full() || typed.with(String::is_empty)>"Add"</button>
            <span class="soft small">"or press a guess in the list below. Most words begin with a space."</span>
        </form>
    }
}
