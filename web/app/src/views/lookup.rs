//! Asking the hub what a repository holds.

use crate::notices::TokenForm;
use crate::typed_repository::typed_repository;
use crate::workbench::{Lookup, Workbench};
use leptos::prelude::*;
use tiller_protocol::{Failure, Remedy};

/// A field for a repository's name, and the button that asks; the answer comes to `lookup`. `field` and `button` name the
/// two for tests; the children stand between them.
#[component]
pub fn Ask(
    lookup: RwSignal<Lookup>,
    label: &'static str,
    ask: &'static str,
    field: &'static str,
    button: &'static str,
    /// The list of names that are suggested, by its id.
    #[prop(optional)]
    suggestions: Option<&'static str>,
) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let typed = RwSignal::new(String::new());
    let wrong = RwSignal::new(None::<&str>);
    let submitted = move |submit: web_sys::SubmitEvent| {
        submit.prevent_default();
        let repository = typed_repository(&typed.get_untracked());
        wrong.set(repository.is_none().then_some("Write a repository as owner/name, or paste its address."));
        match repository {
            Some(repository) => bench.look_up(lookup, repository),
            None => lookup.set(Lookup::None),
        }
    };
    let asking = move || lookup.with(|lookup| matches!(lookup, Lookup::Asking { .. }));
    view! {
        <form class="find" on:submit=submitted>
            <label class="labelled">{label}
                <input class="field" data-testid=field list=suggestions placeholder="owner/name" autocomplete="off"
                    autocapitalize="off" spellcheck="false"
                    prop:value=move || typed.get() on:input=move |input| typed.set(event_target_value(&input))/>
            </label>
            <button class="btn" type="submit" data-testid=button prop:disabled=asking>{ask}</button>
        </form>
        <p class="wrong" role="alert">{move || wrong.get()}</p>
    }
}

/// Why the hub did not say.
#[component]
pub fn Refused(failure: Failure) -> impl IntoView {
    let wants_token = failure.remedy == Some(Remedy::Token);
    view! {
        <p><b>{failure.title}". "</b>{failure.message}</p>
        <Show when=move || wants_token><TokenForm/></Show>
    }
}
