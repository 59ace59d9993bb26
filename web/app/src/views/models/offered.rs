//! The models that the page offers by itself.

use crate::figures;
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_sites::{CatalogueEntry, catalogue};

#[component]
pub fn Catalogue() -> impl IntoView {
    view! {
        <section class="card" aria-label="Models to load">
            <h2>"Models"</h2>
            {catalogue().into_iter().map(|entry| view! { <Offered entry/> }).collect_view()}
        </section>
    }
}

#[component]
fn Offered(entry: CatalogueEntry) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let CatalogueEntry { name, description, licence, model } = entry;
    let size = model.bytes.map(figures::bytes).unwrap_or_default();
    view! {
        <div class="entry">
            <div><b>{name}</b><p class="soft">{description}" "{size}", "{licence}"."</p></div>
            <button class="btn" data-testid="load-model" on:click=move |_| bench.choose_model(model.clone())>"Load"</button>
        </div>
    }
}
