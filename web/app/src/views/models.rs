//! The Models view: what is loaded, what is kept, what else can be had, and what computes.

use crate::figures;
use crate::workbench::{ModelState, Workbench};
use leptos::prelude::*;
use tiller_protocol::{BackendChoice, CacheEntry, ModelInfo};
use tiller_sites::{CatalogueEntry, ModelRef, catalogue};

#[component]
pub fn Models() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    bench.list_cache();
    view! {
        <div class="models">
            <Loaded/>
            <Backend/>
            <section class="card" aria-label="Models to load">
                <h2>"Models"</h2>
                {catalogue().into_iter().map(|entry| view! { <Offered entry/> }).collect_view()}
                <OtherModel/>
            </section>
            <Kept/>
        </div>
    }
}

#[component]
fn Loaded() -> impl IntoView {
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

#[component]
fn Backend() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let in_use = move || match bench.backend.get() {
        None => "Starting".to_string(),
        Some(report) if report.backend == "gpu" => match report.adapter.as_str() {
            "" => "WebGPU computes.".into(),
            adapter => format!("WebGPU computes, on {adapter}."),
        },
        Some(_) => "The CPU computes, in WebAssembly.".into(),
    };
    let option = move |choice: BackendChoice, name: &'static str, help: &'static str| {
        view! {
            <label class="radio" title=help>
                <input type="radio" name="backend" prop:checked=move || bench.choice.get() == choice
                    on:change=move |_| bench.choose_backend(choice)/>
                {name}
            </label>
        }
    };
    view! {
        <section class="card" aria-label="Backend">
            <h2>"What computes"</h2>
            <p>{in_use}" "<span class="soft">{move || bench.backend.get().and_then(|report| report.note)}</span></p>
            <div class="row" role="radiogroup" aria-label="Backend">
                {option(BackendChoice::Auto, "Choose for me", "WebGPU where there is a real one, else the CPU")}
                {option(BackendChoice::Gpu, "WebGPU", "Even where it is only software")}
                {option(BackendChoice::Cpu, "CPU", "Slower, and the same numbers")}
            </div>
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

/// Any GGUF file of the hub, by its names.
#[component]
fn OtherModel() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let (repo, revision, file) =
        (RwSignal::new(String::new()), RwSignal::new("main".to_string()), RwSignal::new(String::new()));
    let wrong = RwSignal::new(None::<String>);
    let load = move |submit: web_sys::SubmitEvent| {
        submit.prevent_default();
        let trimmed = |text: RwSignal<String>| text.get_untracked().trim().to_string();
        let model = ModelRef {
            repo: trimmed(repo),
            revision: trimmed(revision),
            file: trimmed(file),
            bytes: None,
            sha256: None,
        };
        match model.validate() {
            Ok(()) => {
                wrong.set(None);
                bench.choose_model(model);
            }
            Err(error) => wrong.set(Some(error.to_string())),
        }
    };
    let field = |label: &'static str, hint: &'static str, value: RwSignal<String>| {
        view! {
            <label class="labelled">{label}
                <input class="field" placeholder=hint prop:value=move || value.get() on:input=move |input| value.set(event_target_value(&input))/>
            </label>
        }
    };
    view! {
        <details class="other">
            <summary>"Another model of the hub"</summary>
            <form on:submit=load>
                {field("Repository", "owner/name", repo)}
                {field("Revision", "main", revision)}
                {field("File", "model.gguf", file)}
                <p class="soft">"GGUF files of the Llama family (Llama, SmolLM2)."</p>
                <p class="wrong" role="alert">{move || wrong.get()}</p>
                <button class="btn" type="submit">"Load"</button>
            </form>
        </details>
    }
}

#[component]
fn Kept() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    // Browsers pad and delay what they say of the use; the files themselves are known.
    let use_text = move || {
        let report = bench.cache.get()?;
        let used = figures::bytes(report.entries.iter().map(|entry| entry.bytes).sum());
        Some(match report.quota {
            Some(quota) => format!("{used} of the {} that this browser allows.", figures::bytes(quota)),
            None => format!("{used} in all."),
        })
    };
    let fleeting = move || bench.cache.with(|report| report.as_ref().is_some_and(|report| !report.persistent));
    view! {
        <section class="card" aria-label="Kept in this browser" data-testid="cache-list">
            <h2>"Kept in this browser"</h2>
            <p class="soft">{use_text}</p>
            <Show when=fleeting>
                <p class="soft">"This browser refuses storage: files are kept only until the tab is closed."</p>
            </Show>
            {move || match bench.cache.get() {
                None => view! { <p class="soft">"Looking."</p> }.into_any(),
                Some(report) if report.entries.is_empty() => view! { <p class="soft">"Nothing yet. A model that is loaded stays here, so that the next visit needs no download."</p> }.into_any(),
                Some(report) => report.entries.into_iter().map(|entry| view! { <KeptFile entry/> }).collect_view().into_any(),
            }}
        </section>
    }
}

#[component]
fn KeptFile(entry: CacheEntry) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let CacheEntry { model, bytes, complete } = entry;
    let kept = if complete { figures::bytes(bytes) } else { format!("{}, not all of it", figures::bytes(bytes)) };
    let (load, delete) = (model.clone(), model.clone());
    view! {
        <div class="entry">
            <div><b>{model.file.clone()}</b><p class="soft">{model.repo.clone()}" · "{kept}</p></div>
            <div class="row">
                <button class="btn" on:click=move |_| bench.choose_model(load.clone())>"Load"</button>
                <button class="btn" data-testid="delete-model" on:click=move |_| bench.delete_cached(delete.clone())>"Delete"</button>
            </div>
        </div>
    }
}
