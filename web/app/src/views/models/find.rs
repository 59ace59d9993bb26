//! Any other model of the hub: name a repository, see what it offers, choose.

use crate::address;
use crate::figures;
use crate::notices::TokenForm;
use crate::views::lookup::{Ask, Refused};
use crate::workbench::{Lookup, Workbench};
use leptos::prelude::*;
use std::collections::BTreeSet;
use tiller_protocol::{Choice, Fit, RepositoryListing, What};
use tiller_sites::catalogue;

#[component]
pub fn Find() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    // What was loaded before is likely to be wanted again.
    let suggestions = move || {
        let kept = bench.cache.get().into_iter().flat_map(|report| report.entries).map(|entry| entry.model.repo);
        let known: BTreeSet<String> = catalogue().into_iter().map(|entry| entry.model.repo).chain(kept).collect();
        known.into_iter().map(|repo| view! { <option value=repo></option> }).collect_view()
    };
    view! {
        <section class="card" aria-label="Another model of the hub">
            <h2>"Another model of the hub"</h2>
            <Ask lookup=bench.lookup label="Repository" ask="See its files" field="repository" button="look-up" suggestions="known-repositories"/>
            <datalist id="known-repositories">{suggestions}</datalist>
            <div class="found" aria-live="polite" data-testid="listing" data-state=move || bench.lookup.with(Lookup::state)>
                {move || match bench.lookup.get() {
                    Lookup::None => view! {
                        <p class="soft small">{format!("Models from {}: a GGUF file (names of such repositories often end in -GGUF), or the original weights as safetensors.", address::hub_host())}</p>
                    }.into_any(),
                    Lookup::Asking { asked, .. } => view! { <p class="soft">"Asking what "{asked.repo}" offers."</p> }.into_any(),
                    Lookup::Failed { failure, .. } => view! { <Refused failure/> }.into_any(),
                    Lookup::Found { listing, .. } => view! { <Listing listing/> }.into_any(),
                }}
            </div>
            <Show when=move || bench.token.with(Option::is_some)>
                <p class="soft small">"An access token is in use, until this tab is closed. "
                    <button class="plain" on:click=move |_| bench.use_token(None)>"Forget it"</button></p>
            </Show>
        </section>
    }
}

#[component]
fn Listing(listing: RepositoryListing) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let RepositoryListing { repo, commit, gated, licence, choices, proposed, warning, .. } = listing;
    let about = [
        licence.map(|licence| format!("licence {licence}")),
        Some(format!("commit {}", commit.get(..8).unwrap_or(&commit))),
        gated.then(|| "gated".to_string()),
    ];
    let about: Vec<String> = about.into_iter().flatten().collect();
    let at = proposed.as_ref().map(|(at, _)| *at);
    let why = proposed.map(|(_, why)| why).unwrap_or_default();
    let (unfit, fit): (Vec<_>, Vec<_>) =
        choices.into_iter().enumerate().partition(|(_, choice)| matches!(choice.fit, Fit::Not(_)));
    let (first, rest): (Vec<_>, Vec<_>) = fit.into_iter().partition(|(index, _)| Some(*index) == at);
    let (none, few) = (first.is_empty() && rest.is_empty(), unfit.len() < 3);
    let unfit_count = unfit.len();
    let others = unfit.into_iter().map(|(_, choice)| view! { <Row choice why=None/> }).collect_view();
    view! {
        <div class="about"><b>{repo}</b><span class="soft small">{about.join(", ")}</span></div>
        {warning.map(|warning| view! { <p class="wrong" role="alert">{warning}</p> })}
        <Show when=move || gated && bench.token.with(Option::is_none)>
            <p class="small">"Its files are given only to those who accepted its terms on the hub, and show an access token of theirs."</p>
            <TokenForm/>
        </Show>
        {none.then(|| view! { <p data-testid="nothing-fits">"There is no model here that can be loaded. It takes a GGUF file, or config.json with weights as safetensors: look for a repository of this model whose name ends in -GGUF."</p> })}
        {first.into_iter().map(|(_, choice)| view! { <Row choice why=Some(why.clone())/> }).collect_view()}
        {rest.into_iter().map(|(_, choice)| view! { <Row choice why=None/> }).collect_view()}
        {match (unfit_count, few || none) {
            (0, _) => ().into_any(),
            (_, true) => others.into_any(),
            (count, false) => view! {
                <details class="unfit"><summary>{format!("{count} files that cannot be loaded here")}</summary>{others}</details>
            }.into_any(),
        }}
    }
}

/// One choice; with `why` where it is the one that is proposed.
#[component]
fn Row(choice: Choice, why: Option<String>) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let Choice { what, bytes, quantisation, fit } = choice;
    let (name, model) = match what {
        What::File(file) => (file.file.clone(), Some(file)),
        // The list of the weights' files stands for all of them, or else the one file of weights.
        What::Folder(files) => {
            let count = files.len();
            let of_kind = |end: &str| files.iter().find(|file| file.file.ends_with(end)).cloned();
            let weights = of_kind(".safetensors.index.json").or_else(|| of_kind(".safetensors"));
            (format!("Safetensors, {count} files"), weights)
        }
    };
    let mut facts: Vec<String> = quantisation.into_iter().chain([figures::bytes(bytes)]).collect();
    match &fit {
        Fit::Loads => {}
        Fit::Large => facts.push("maybe more than this machine can hold".into()),
        Fit::Not(why) => facts.push(why.clone()),
    }
    let model = model.filter(|_| !matches!(fit, Fit::Not(_)));
    let proposed = why.is_some();
    view! {
        <div class="entry" class:proposed=proposed data-testid="choice">
            <div>
                <b>{name}</b>
                <p class="soft">{facts.join(" · ")}</p>
                {why.map(|why| view! { <p class="why">"Proposed, because "{why}"."</p> })}
            </div>
            {model.map(|model| view! {
                <button class="btn" class:go=proposed data-testid=if proposed { "load-proposed" } else { "load-choice" }
                    on:click=move |_| bench.choose_model(model.clone())>"Load"</button>
            })}
        </div>
    }
}
