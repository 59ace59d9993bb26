//! A sparse autoencoder of the hub: name a repository, see which it holds, choose.

use crate::figures;
use crate::views::lookup::{Ask, Refused};
use crate::workbench::{Lookup, ModelState, Workbench};
use leptos::prelude::*;
use tiller_protocol::ModelRef;
use tiller_recipe::{HubSae, Unsaid};

/// SAEs that are listed at once: repositories hold hundreds.
const ROWS: usize = 40;

#[component]
pub fn Find(unsaid: RwSignal<Unsaid>) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let state = move || bench.sae_lookup.with(Lookup::state);
    view! {
        <Ask lookup=bench.sae_lookup label="Repository of the hub" ask="See what it holds" field="sae-repository" button="look-up-saes"/>
        <div aria-live="polite" data-testid="sae-listing" data-state=state>
            {move || match bench.sae_lookup.get() {
                Lookup::None => ().into_any(),
                Lookup::Asking { asked, .. } => view! { <p class="soft small">"Asking what "{asked.repo}" holds."</p> }.into_any(),
                Lookup::Failed { failure, .. } => view! { <Refused failure/> }.into_any(),
                Lookup::Found { listing, .. } => view! { <Listing saes=listing.saes unsaid/> }.into_any(),
            }}
        </div>
    }
}

#[component]
fn Listing(saes: Vec<ModelRef>, unsaid: RwSignal<Unsaid>) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let sought = RwSignal::new(String::new());
    let count = saes.len();
    let ready = move || matches!(bench.model.get(), ModelState::Ready(_));
    if count == 0 {
        let none = "There is no sparse autoencoder here that can be loaded. It takes cfg.json with sae_weights.safetensors (SAELens) or sae.safetensors (Sparsify), params.npz (Gemma Scope), or params.safetensors (Gemma Scope 2).";
        return view! { <p class="small" data-testid="no-saes">{none}</p> }.into_any();
    }
    let rows = move || {
        let sought = sought.get().to_lowercase();
        let found: Vec<ModelRef> =
            saes.iter().filter(|sae| sae.file.to_lowercase().contains(sought.trim())).cloned().collect();
        let more = found.len().saturating_sub(ROWS);
        let row = move |weights: ModelRef| {
            let name = weights.file.rsplit_once('/').map_or(weights.file.clone(), |(folder, _)| folder.to_string());
            let size = weights.bytes.map(figures::bytes).unwrap_or_default();
            view! {
                <li class="entry" data-testid="sae-choice">
                    <div><b>{name}</b><span class="soft small">" "{size}</span></div>
                    <button class="btn" data-testid="load-sae" prop:disabled=move || !ready()
                        on:click=move |_| bench.choose_sae(HubSae { weights: weights.clone(), unsaid: unsaid.get_untracked() })>"Load"</button>
                </li>
            }
        };
        view! {
            <ul class="saes">{found.into_iter().take(ROWS).map(row).collect_view()}</ul>
            {(more > 0).then(|| view! { <p class="soft small">{format!("{more} more: narrow the search")}</p> })}
        }
    };
    view! {
        <Show when=move || { count > 8 }>
            <label class="labelled">{format!("{count} there")}
                <input class="field small" type="search" data-testid="narrow-saes" placeholder="layer, width ..." maxlength="100"
                    on:input=move |input| sought.set(event_target_value(&input))/>
            </label>
        </Show>
        {rows}
    }
    .into_any()
}
