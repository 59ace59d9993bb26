//! What is around every view: the header, progress, notices, keys.

use crate::experiment::model_name;
use crate::notices::{AskNumbering, Consent, Notices};
use crate::settings::{self, Theme};
use crate::views::{
    embed::Frame, features::Features, gallery::Exhibited, gallery::Gallery, lens::Lens, models::Models, patch::Patch,
    probes::Probes, progress, steer::Steer, vectors::Vectors,
};
use crate::workbench::{ModelState, Workbench};
use crate::{address, clipboard, figures};
use leptos::ev;
use leptos::prelude::*;
use tiller_recipe::{Code, View};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{HtmlElement, HtmlInputElement};

#[component]
pub fn Shell() -> impl IntoView {
    let bench = Workbench::open();
    provide_context(bench);
    let keys = window_event_listener(ev::keydown, move |key| on_key(bench, &key));
    let address = window_event_listener(ev::hashchange, move |_| bench.follow_address());
    let online = window_event_listener(ev::online, move |_| bench.on_online());
    on_cleanup(move || {
        keys.remove();
        address.remove();
        online.remove();
    });
    let (manual_link, framed) = (RwSignal::new(false), RwSignal::new(false));
    if let (Some(hidden), Some(root)) = (address::embedding(), root()) {
        let _ = root.set_attribute("data-embedded", "");
        let _ = root.set_attribute("data-hide", &hidden);
    }
    view! {
        <Header manual_link framed/>
        <LoadingBar/>
        <Consent/>
        <AskNumbering/>
        <Notices/>
        <Show when=move || manual_link.get()>
            <div class="notice" role="dialog" aria-label="Link to this experiment">
                <div class="notice-text">
                    <b>"Copy this link"</b>
                    <input class="field mono" readonly aria-label="Link" prop:value=move || link_of(bench).unwrap_or_default()
                        on:focus=|focus| focus.target().and_then(|t| t.dyn_into::<HtmlInputElement>().ok()).into_iter().for_each(|t| t.select())/>
                </div>
                <button class="btn" on:click=move |_| manual_link.set(false)>"Close"</button>
            </div>
        </Show>
        <Exhibited/>
        <Show when=move || framed.get()><Frame link=Callback::new(move |()| link_of(bench).ok()) close=Callback::new(move |()| framed.set(false))/></Show>
        <main>
            {move || match bench.view.get() {
                _ if bench.at_gallery.get() => view! { <Gallery/> }.into_any(),
                View::Steer => view! { <Steer/> }.into_any(),
                View::Vectors => view! { <Vectors/> }.into_any(),
                View::Lens => view! { <Lens/> }.into_any(),
                View::Patch => view! { <Patch/> }.into_any(),
                View::Features => view! { <Features/> }.into_any(),
                View::Probes => view! { <Probes/> }.into_any(),
                View::Models => view! { <Models/> }.into_any(),
            }}
        </main>
        <div class="toast" role="status" aria-live="polite" class:shown=move || bench.toast.with(Option::is_some)>
            {move || bench.toast.get().unwrap_or_default()}
        </div>
        <input type="hidden" data-testid="link-field" prop:value=move || link_of(bench).unwrap_or_default()/>
    }
}

/// The element that style sheets ask what the page looks like.
fn root() -> Option<web_sys::Element> {
    address::window().document().and_then(|document| document.document_element())
}

/// The link to what is shown; an error where it would be too long.
fn link_of(bench: Workbench) -> Result<String, tiller_recipe::RecipeError> {
    let backend = bench.backend.with(|report| report.as_ref().map(|report| report.backend.clone()));
    bench.experiment.with(|experiment| address::link(experiment, bench.view.get(), backend, bench.link_code.get()))
}

/// Keys that act everywhere. In a field, undoing is the field's own.
fn on_key(bench: Workbench, key: &web_sys::KeyboardEvent) {
    let target = key.target().and_then(|target| target.dyn_into::<HtmlElement>().ok());
    let types_text = target.is_some_and(|target| {
        let kind = target.get_attribute("type").unwrap_or_default();
        target.tag_name() == "TEXTAREA" || (target.tag_name() == "INPUT" && kind != "range" && kind != "checkbox")
    });
    let command = key.ctrl_key() || key.meta_key();
    match key.key().as_str() {
        "Enter" if command => {
            key.prevent_default();
            if bench.at_gallery.get_untracked() {
                return;
            }
            match bench.view.get_untracked() {
                View::Lens => bench.read_lens(),
                View::Probes => bench.fit_probes(),
                View::Patch => bench.run_patching(),
                View::Features => bench.read_features(),
                View::Steer | View::Vectors | View::Models => {
                    bench.show(View::Steer);
                    bench.write();
                }
            }
        }
        "Escape" => {
            bench.stop();
            bench.stop_lens();
            bench.stop_patching();
            bench.stop_probes();
            bench.stop_features();
        }
        "z" if command && !types_text => {
            key.prevent_default();
            bench.undo();
        }
        "y" | "Z" if command && !types_text => {
            key.prevent_default();
            bench.redo();
        }
        _ => {}
    }
}

#[component]
fn Header(manual_link: RwSignal<bool>, framed: RwSignal<bool>) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let theme = RwSignal::new(settings::kept_theme());
    Effect::new(move |_| {
        if let Some(root) = root() {
            let _ = root.set_attribute("data-theme", theme.get().name());
        }
    });
    let tab = move |view: View, id: &'static str| {
        view! {
            <button class="tab" data-testid=id
                aria-current=move || (!bench.at_gallery.get() && bench.view.get() == view).then_some("page")
                on:click=move |_| bench.show(view)>{view.title()}</button>
        }
    };
    let change_theme = move |_| {
        theme.update(|theme| *theme = theme.next());
        settings::keep_theme(theme.get_untracked());
    };
    if address::embedding().is_some() {
        let whole = move || link_of(bench).unwrap_or_else(|_| "./".into());
        return view! {
            <header>
                <a class="mark" href=whole target="_blank" rel="noopener" data-testid="open-whole"
                    title="Open this experiment in a page of its own">"Till"<span>"er ↗"</span></a>
                <ModelStatus/>
            </header>
        }
        .into_any();
    }
    view! {
        <header>
            <div class="mark">"Till"<span>"er"</span></div>
            <nav aria-label="Views">
                <button class="tab" data-testid="nav-gallery" aria-current=move || bench.at_gallery.get().then_some("page")
                    on:click=move |_| bench.show_gallery()>"Gallery"</button>
                {tab(View::Steer, "nav-steer")}
                {tab(View::Vectors, "nav-vectors")}
                {tab(View::Lens, "nav-lens")}
                {tab(View::Probes, "nav-probes")}
                {tab(View::Patch, "nav-patch")}
                {tab(View::Features, "nav-features")}
                {tab(View::Models, "nav-models")}
            </nav>
            <ModelStatus/>
            <div class="tools">
                <button class="btn icon" aria-label="Undo" title="Undo (Ctrl+Z)"
                    prop:disabled=move || !bench.steps.get().0 on:click=move |_| bench.undo()>"↶"</button>
                <button class="btn icon" aria-label="Redo" title="Redo (Ctrl+Y)"
                    prop:disabled=move || !bench.steps.get().1 on:click=move |_| bench.redo()>"↷"</button>
                <button class="btn icon" title=move || format!("Theme: {}", theme.get().name())
                    aria-label=move || format!("Theme: {}. Change", theme.get().name()) on:click=change_theme>
                    {move || match theme.get() { Theme::System => "◐", Theme::Light => "☀", Theme::Dark => "☾" }}
                </button>
                <LinkCode/>
                <button class="btn" data-testid="copy-link"
                    title="A link that holds this whole experiment: prompt, pairs, vector, strength, seed. It is sent to no server."
                    on:click=move |_| copy_link(bench, manual_link)>"Copy link"</button>
                <button class="btn" data-testid="embed" title="HTML that shows this experiment in a page of yours"
                    on:click=move |_| framed.set(true)>"Embed"</button>
            </div>
        </header>
    }
    .into_any()
}

fn copy_link(bench: Workbench, manual_link: RwSignal<bool>) {
    let link = match untrack(|| link_of(bench)) {
        Ok(link) => link,
        Err(error) => {
            let message = format!("{error}. Fewer or shorter pairs make a shorter link.");
            bench.notice(tiller_protocol::Failure::new("No link can be made", message, false));
            return;
        }
    };
    let off =
        untrack(|| code_error(bench)).map_or_else(String::new, |error| format!("; {}", figures::code_error(error)));
    spawn_local(async move {
        if clipboard::copy(&link).await {
            bench.say(format!("Link copied, {}{}", figures::bytes(link.len() as u64), off));
        } else {
            manual_link.set(true);
        }
    });
}

/// How far the vectors of the link are off, as it would be copied now.
fn code_error(bench: Workbench) -> Option<f32> {
    let code = bench.link_code.get();
    bench.experiment.with(|experiment| {
        let recipe = experiment.to_recipe(bench.view.get(), None);
        code.map_or_else(|| recipe.code_error(), |code| recipe.compacted(code).code_error())
    })
}

/// How links write vectors.
#[component]
fn LinkCode() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let title = move || {
        let cost = code_error(bench).map_or_else(|| "exactly as they are here".into(), figures::code_error);
        format!("How links write vectors: fewer bits make them shorter. Now: {cost}")
    };
    let choose = move |change| {
        let name = event_target_value(&change);
        bench.link_code.set(Code::ALL.into_iter().find(|code| code.name() == name));
    };
    // Where there are none, there is nothing to choose.
    let any = Memo::new(move |_| bench.experiment.with(|experiment| experiment.has_vectors()));
    move || {
        any.get().then(|| view! {
            <select class="field small" data-testid="link-code" aria-label="How links write vectors" title=title on:change=choose>
                <option value="" selected=move || bench.link_code.get().is_none()>"Exact"</option>
                {Code::ALL.map(|code| view! {
                    <option value=code.name() selected=move || bench.link_code.get() == Some(code)>{code.title()}</option>
                })}
            </select>
        })
    }
}

#[component]
fn ModelStatus() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let state = move || match bench.model.get() {
        ModelState::Idle => "idle",
        ModelState::Asked(_) => "asking",
        ModelState::Loading { .. } => "loading",
        ModelState::Ready(_) => "ready",
        ModelState::Failed(_) => "failed",
    };
    let backend = move || bench.backend.with(|report| report.as_ref().map(|report| report.backend.clone()));
    let name = move || match bench.model.get() {
        ModelState::Idle | ModelState::Asked(_) => "No model".to_string(),
        ModelState::Loading { .. } => "Loading".into(),
        ModelState::Ready(model) => model_name(&model.reference),
        ModelState::Failed(_) => "Not loaded".into(),
    };
    let heap = move || match bench.model.get() {
        ModelState::Ready(model) => Some(model.heap_bytes.to_string()),
        _ => None,
    };
    let details = move || {
        let ModelState::Ready(model) = bench.model.get() else { return String::new() };
        let place = if backend().as_deref() == Some("gpu") { "WebGPU" } else { "CPU" };
        let speed = bench.speed.get().map(|rate| format!(", {} tok/s", figures::quantity(rate))).unwrap_or_default();
        format!("{} on {place}{speed}", model.quantisation)
    };
    let threads = move || bench.backend.with(|report| report.as_ref().map(|report| report.threads));
    let help = move || {
        let what = format!(
            "{}: the model in this tab, how its weights are stored, what computes, and tokens a second in the last run",
            name()
        );
        match threads().filter(|_| backend().as_deref() == Some("cpu")) {
            Some(threads) => format!("{what}. The CPU computes {}.", figures::threads(threads)),
            None => what,
        }
    };
    view! {
        <div class="model" data-testid="model-status" data-state=state data-backend=backend data-threads=threads
            data-heap-bytes=heap title=help>
            <span class="dot" aria-hidden="true"></span>
            <b>{name}</b>
            <span class="details">{details}</span>
        </div>
    }
}

/// What loading is doing, under the header, while it does.
#[component]
fn LoadingBar() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let began = StoredValue::new(0.0);
    Effect::new(move |was: Option<bool>| {
        let loading = matches!(bench.model.get(), ModelState::Loading { .. });
        if loading && was != Some(true) {
            began.set_value(js_sys::Date::now());
        }
        loading
    });
    // Only what changes is drawn anew: a button that is replaced while it is pressed is never clicked.
    let job = Memo::new(move |_| match bench.model.get() {
        ModelState::Loading { job, .. } => Some(job),
        _ => None,
    });
    let shown = move || match bench.model.get() {
        ModelState::Loading { progress, .. } => progress,
        _ => None,
    };
    let share = move || shown().as_ref().and_then(progress::share);
    let text = move || {
        let seconds = (js_sys::Date::now() - began.get_value()) / 1000.0;
        shown().as_ref().map_or_else(|| "Starting the engine".into(), |shown| progress::sentence(shown, seconds))
    };
    let cancel = move |_| {
        if let Some(job) = job.get_untracked() {
            bench.cancel(job);
        }
    };
    view! {
        <Show when=move || job.get().is_some()>
            <div class="loading" data-testid="progress" role="progressbar" aria-label="Loading the model"
                aria-valuenow=move || share().map(|share| format!("{:.0}", share * 100.0))>
                <div class="bar" class:unknown=move || share().is_none()
                    style:width=move || share().map_or_else(|| "100%".into(), |share| format!("{:.1}%", share * 100.0))></div>
                <span>{text}</span>
                <Show when=move || job.get() != Some(0)>
                    <button class="plain" on:click=cancel>"Cancel"</button>
                </Show>
            </div>
        </Show>
    }
}
