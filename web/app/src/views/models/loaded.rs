//! The model that is loaded.

use crate::experiment::model_name;
use crate::figures;
use crate::workbench::{ModelState, Workbench};
use leptos::prelude::*;
use tiller_protocol::ModelInfo;

#[component]
pub fn Loaded() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    move || {
        match bench.model.get() {
        ModelState::Ready(model) => view! { <Facts model/> }.into_any(),
        ModelState::Loading { .. } => view! {
            <section class="card"><h2>"Loaded"</h2><p class="soft">"A model is being loaded; the bar above says how far it is."</p></section>
        }
        .into_any(),
        ModelState::Idle => view! {
            <section class="card"><h2>"Loaded"</h2><p class="soft">"No model is loaded. Choose one below."</p></section>
        }
        .into_any(),
        ModelState::Asked(model) => view! {
            <section class="card"><h2>"Loaded"</h2><p class="soft">{model_name(&model)}" is not on this machine yet; the question above asks whether to download it."</p></section>
        }
        .into_any(),
        ModelState::Failed(failure) => view! {
            <section class="card"><h2>"Loaded"</h2>
                <p><b>{failure.title}". "</b>{failure.message}</p>
                <button class="btn" on:click=move |_| bench.try_again()>"Try again"</button>
            </section>
        }
        .into_any(),
    }
    }
}

#[component]
fn Facts(model: ModelInfo) -> impl IntoView {
    let rows = [
        ("Name", model.name.clone(), "What the file calls itself"),
        ("Architecture", model.architecture.clone(), "The family whose forward pass is computed"),
        ("Parameters", figures::grouped(model.parameters), "Numbers in the weights"),
        ("Layers", model.layers.to_string(), "Blocks of attention and MLP"),
        ("Width", model.width.to_string(), "Numbers in the residual stream at each token"),
        ("Vocabulary", figures::grouped(model.vocabulary.into()), "Tokens the model knows"),
        ("Weights", model.quantisation.clone(), "How most weights are stored"),
        ("Context", format!("{} tokens a text", model.context), "Room for prompt and written tokens of one text"),
        ("On the device", figures::bytes(model.device_bytes), "Weights and key-value cache"),
        ("Tab's memory", figures::bytes(model.heap_bytes), "WebAssembly memory: the most that loading took"),
        (
            "Tokens come back",
            match model.tokens_a_reading {
                1 => "one by one".to_owned(),
                n => format!("{n} at a time"),
            },
            "More at a time where this browser is slow to hand over what the device has written; a slider acts as much later",
        ),
        (
            "Loaded in",
            format!(
                "{}{}",
                figures::duration(model.seconds),
                if model.from_cache { ", from this browser's cache" } else { "" }
            ),
            "From asking to being ready",
        ),
        ("Repository", model.reference.repo.clone(), "On the hub"),
        ("Revision", model.reference.revision.clone(), "The version of the repository"),
        ("File", model.reference.file.clone(), "Within the repository"),
        (
            "SHA-256",
            model.reference.sha256.clone().unwrap_or_else(|| "not named".into()),
            "Checked when the file was fetched",
        ),
    ];
    view! {
        <section class="card" aria-label="Loaded model">
            <h2>"Loaded"</h2>
            <dl class="facts">
                {rows.into_iter().map(|(name, value, help)| view! {
                    <div title=help><dt>{name}</dt><dd class:mono=matches!(name, "Revision" | "SHA-256")>{value}</dd></div>
                }).collect_view()}
            </dl>
        </section>
    }
}
