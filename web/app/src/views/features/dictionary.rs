//! Which sparse autoencoder it is, how good it is, and how to use another.

use super::hub::Find;
use crate::features::shipped_for;
use crate::figures;
use crate::workbench::{ModelState, SaeState, Workbench};
use leptos::prelude::*;
use tiller_protocol::{SaeFileBytes, SaeQuality};
use tiller_recipe::{HubSae, SaeRef, Unsaid};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{File, HtmlInputElement};

#[component]
pub fn Dictionary() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let info = Memo::new(move |_| bench.features.with(|work| work.sae.info().cloned()));
    let named = Memo::new(move |_| bench.experiment.with(|experiment| experiment.features.sae.clone()));
    let asked = Memo::new(move |_| match bench.features.with(|work| work.sae.clone()) {
        SaeState::Asked(sae, _) => Some(sae),
        _ => None,
    });
    let comes_with_one = move || bench.experiment.with(|experiment| shipped_for(&experiment.model).is_some());
    let loading = move || bench.features.with(|work| matches!(work.sae, SaeState::Loading { .. }));
    let unmapped = Memo::new(move |_| bench.features.with(|work| work.mapping.clone()));
    let failed = move || bench.features.with(|work| matches!(work.sae, SaeState::Failed(_)) && work.mapping.is_none());
    view! {
        <div class="dictionary">
            {move || info.get().map(|info| view! {
                <p class="small" data-testid="sae">
                    <b>{info.name}</b>
                    <span class="soft">{format!(": {} features of {}, {}", figures::grouped(info.features.into()), info.site, info.architecture)}</span>
                </p>
                {info.quality.map(|quality| view! { <p class="soft small" data-testid="sae-quality">{judged(&quality)}</p> })}
                {info.notes.into_iter().map(|note| view! { <p class="soft small">{note}</p> }).collect_view()}
            })}
            {move || asked.get().map(|sae| view! { <Consent sae/> })}
            {move || unmapped.get().map(|mapping| view! { <Mapping mapping/> })}
            <Show when=failed>
                <p class="small">"No sparse autoencoder could be loaded. "
                    <button class="plain" data-testid="reload-sae" on:click=move |_| bench.reload_sae()>"Try again"</button></p>
            </Show>
            <Show when=loading>
                <p class="small"><button class="plain" data-testid="stop-sae" on:click=move |_| bench.stop_loading_sae()>"Stop loading it"</button></p>
            </Show>
            <Show when=move || matches!(named.get(), Some(SaeRef::OnHub(_))) && comes_with_one()>
                <p class="small"><button class="plain" data-testid="shipped-sae" on:click=move |_| bench.use_shipped_sae()>"Use the one that comes with the page"</button></p>
            </Show>
            <Another/>
        </div>
    }
}

/// Asks before an SAE is downloaded that a link names.
#[component]
fn Consent(sae: HubSae) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let weights = &sae.weights;
    let size = weights.bytes.map_or_else(|| "size not said".into(), figures::bytes);
    let question =
        format!("This experiment uses the sparse autoencoder {} ({size}) from {}.", weights.file, weights.repo);
    view! {
        <div class="notice asks" role="group" aria-label="Download a sparse autoencoder?" data-testid="sae-consent">
            <div class="notice-text"><b>{question}</b></div>
            <button class="btn go" data-testid="sae-consent-load" on:click=move |_| bench.choose_sae(sae.clone())>"Load"</button>
            <button class="btn" on:click=move |_| bench.use_shipped_sae()>"Not now"</button>
        </div>
    }
}

/// Has the user confirm what the tensors of a file of no known layout are.
#[component]
fn Mapping(mapping: String) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let input = NodeRef::<leptos::html::Textarea>::new();
    let rows = mapping.lines().count().clamp(4, 30);
    let confirmed = move |_| {
        let Some(input) = input.get_untracked() else { return };
        bench.map_sae(input.value());
    };
    view! {
        <div class="mapping" role="group" aria-label="What its tensors are" data-testid="sae-mapping">
            <p><b>"This file says nothing of how it is laid out. Are these its tensors?"</b></p>
            <p class="soft small">"Proposed by their names and shapes. Compare it with where the file comes from: \"architecture\" is standard (ReLU), topk (with its \"k\"), jumprelu or gated; \"hook_name\" is the activation that it reads, such as \"blocks.14.hook_resid_post\"; \"transposed\" names what lies the other way round than [width, features] of W_enc; \"zeros\" the biases that it has not."</p>
            <textarea node_ref=input class="field mono" rows=rows spellcheck="false" autocapitalize="off" aria-label="mapping.json"
                data-testid="sae-mapping-text" prop:value=mapping></textarea>
            <div class="row">
                <button class="btn go" data-testid="sae-mapping-use" on:click=confirmed>"Use it so"</button>
                <button class="btn" on:click=move |_| bench.use_shipped_sae()>"Not now"</button>
            </div>
        </div>
    }
}

/// An SAE of the hub, or of one's own files.
#[component]
fn Another() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let input = NodeRef::<leptos::html::Input>::new();
    let unsaid = RwSignal::new(Unsaid::default());
    let opened = move |change: web_sys::Event| {
        let Some(input) = change.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else { return };
        let files: Vec<File> =
            input.files().map(|files| (0..files.length()).filter_map(|n| files.get(n)).collect()).unwrap_or_default();
        if !files.is_empty() {
            spawn_local(open(bench, files, unsaid.get_untracked()));
        }
        // The same files may be chosen again.
        input.set_value("");
    };
    let ready = move || matches!(bench.model.get(), ModelState::Ready(_));
    view! {
        <details class="another-sae" data-testid="another-sae">
            <summary>"Use another sparse autoencoder"</summary>
            <div class="another">
                <Find unsaid/>
                <p class="small">
                    <button class="btn" title="cfg.json and sae_weights.safetensors as SAELens saves them, params.npz of Gemma Scope, or any safetensors file, whose tensors you are then asked about. They stay on this machine"
                        prop:disabled=move || !ready()
                        on:click=move |_| { if let Some(input) = input.get() { input.click(); } }>"Open files of one"</button>
                    <span class="soft">" cfg.json and sae_weights.safetensors (SAELens), params.npz (Gemma Scope), or a safetensors file of any layout. They stay on this machine."</span>
                </p>
                <input node_ref=input type="file" multiple accept=".json,.safetensors,.npz" hidden aria-hidden="true" tabindex="-1"
                    data-testid="sae-files" on:change=opened/>
                <Unwritten unsaid/>
            </div>
        </details>
    }
}

/// What some files leave unsaid.
#[component]
fn Unwritten(unsaid: RwSignal<Unsaid>) -> impl IntoView {
    let text = |typed: String| Some(typed.trim().to_string()).filter(|text| !text.is_empty());
    view! {
        <details class="small">
            <summary>"Where its files do not say what it reads"</summary>
            <div class="row unsaid">
                <label class="labelled">"It reads"
                    <input class="field small mono" data-testid="sae-site" placeholder="blocks.12.hook_resid_post" maxlength="60" autocapitalize="off" spellcheck="false"
                        title="An activation, under TransformerLens's name. Gemma Scope says it in the names of folders only: layer_12 of a repository ending in -res reads blocks.12.hook_resid_post"
                        on:input=move |input| unsaid.update(|unsaid| unsaid.site = text(event_target_value(&input)))/>
                </label>
                <label class="labelled">"It writes"
                    <input class="field small mono" placeholder="a transcoder's output" maxlength="60" autocapitalize="off" spellcheck="false"
                        title="Where it is a transcoder: the activation that it writes"
                        on:input=move |input| unsaid.update(|unsaid| unsaid.site_out = text(event_target_value(&input)))/>
                </label>
                <label class="labelled">"Activations times"
                    <input class="field small" type="number" step="any" min="0" placeholder="1"
                        title="What activations were multiplied by before they were encoded, where it was trained on scaled ones (expected_average_only_in)"
                        on:input=move |input| unsaid.update(|unsaid| unsaid.input_scale = event_target_value(&input).parse().ok().filter(|scale: &f32| scale.is_finite()))/>
                </label>
            </div>
        </details>
    }
}

/// How good a sparse autoencoder is, beside what would be as sparse.
fn judged(quality: &SaeQuality) -> String {
    let percent = |share: f32| format!("{:.1} %", 100.0 * share);
    let dead = if quality.dead == 0 { "none of them dead".into() } else { format!("{} of them dead", quality.dead) };
    let (low, high) = quality.loss_interval;
    format!(
        "On text that it was not trained on it explains {} of the variance with {:.0} features at once, {dead}. With its \
         reconstruction in place the model loses {:.2} nats a token [{low:.2}, {high:.2}]: {} of what zeros cost is \
         recovered, where as many principal components recover {} and random directions {}.",
        percent(quality.explained_variance),
        quality.l0,
        quality.loss,
        percent(quality.recovered),
        percent(quality.recovered_by_components),
        percent(quality.recovered_by_random)
    )
}

/// More than the SAEs of small models have, and less than a tab can hold.
const LARGEST: f64 = 600e6;

async fn open(bench: Workbench, files: Vec<File>, unsaid: Unsaid) {
    if files.iter().map(|file| file.size()).sum::<f64>() > LARGEST {
        let remedy = "It has more than 600 MB; choose one with fewer features.";
        bench.notice(tiller_protocol::Failure::new("The sparse autoencoder is too large", remedy, false));
        return;
    }
    let mut read = Vec::new();
    for file in files {
        let Ok(bytes) = JsFuture::from(file.array_buffer()).await else {
            let remedy = "The browser could not read it; choose it again.";
            bench.notice(tiller_protocol::Failure::new("The file could not be read", remedy, true));
            return;
        };
        read.push(SaeFileBytes { name: file.name(), bytes: js_sys::Uint8Array::new(&bytes).to_vec() });
    }
    bench.open_sae(read, unsaid);
}
