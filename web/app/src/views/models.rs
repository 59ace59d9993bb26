//! The Models view: what is loaded, what else can be had, what computes, and what is kept.

mod backend;
mod find;
mod kept;
mod loaded;
mod offered;

use crate::workbench::Workbench;
use leptos::prelude::*;

#[component]
pub fn Models() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    bench.list_cache();
    view! {
        <div class="models">
            <loaded::Loaded/>
            <backend::Backend/>
            <offered::Catalogue/>
            <find::Find/>
            <kept::Kept/>
        </div>
    }
}
