//! Training a sparse autoencoder on the user's own text.

use crate::training::{dead_share, judged, length, of_step, of_text, points};
use crate::views::progress;
use crate::workbench::{ModelState, TrainForm, TrainState, Workbench};
use leptos::prelude::*;
use tiller_protocol::{Failure, MOST_TRAINING_LETTERS, TrainMethod};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{File, HtmlInputElement};

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;

/// What of a block is read, and what it is called.
const HOOKS: [(&str, &str); 3] =
    [("hook_resid_post", "Residual stream"), ("hook_mlp_out", "MLP's output"), ("hook_attn_out", "Attention's output")];

/// SAELens's files, and what is known of the features.
const FILES: [(&str, &str); 3] = [
    ("cfg.json", "What it is: as SAELens saves it"),
    ("sae_weights.safetensors", "Its weights: as SAELens saves them"),
    (
        "features.json",
        "Where its features fire, with passages of your text; open it beside the others to see them again",
    ),
];

#[component]
pub fn Train() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let work = bench.training;
    let state = move || {
        work.with(|work| match work.state {
            TrainState::Running { .. } => "running",
            TrainState::Paused => "paused",
            TrainState::None => "none",
        })
    };
    let idle = move || work.with(|work| work.state == TrainState::None);
    let any = move || work.with(|work| !work.steps.is_empty());
    let trained = Memo::new(move |_| bench.trained());
    view! {
        <details class="card training" data-testid="training" data-state=state>
            <summary>"Train one on your own text"</summary>
            <div class="training-part">
                <p class="soft small">
                    "The model reads the text, and what it has in mind at each token is taken apart into features: of this text, in this tab, in a minute or two. The text stays on this machine."
                </p>
                <Show when=idle fallback=move || view! { <Running/> }>
                    <Form/>
                </Show>
                <Show when=any><Chart/></Show>
                {move || trained.get().map(|(sae, quality)| view! {
                    <p class="small" data-testid="trained-quality">{judged(&quality, sae.features)}</p>
                    <div class="row" role="group" aria-label="Save it">
                        <span class="small">"It is gone when the tab is closed or another is opened. Save it: "</span>
                        {FILES.map(|(file, title)| view! {
                            <button class="plain" title=title data-testid=format!("save-{}", file.replace(['.', '_'], "-")) on:click=move |_| bench.save_trained(file)>{file}</button>
                        }).collect_view()}
                    </div>
                })}
            </div>
        </details>
    }
}

#[component]
fn Form() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let work = bench.training;
    let input = NodeRef::<leptos::html::Input>::new();
    let opened = move |change: web_sys::Event| {
        let Some(input) = change.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else { return };
        let files: Vec<File> =
            input.files().map(|files| (0..files.length()).filter_map(|n| files.get(n)).collect()).unwrap_or_default();
        spawn_local(add(bench, files));
        // The same files may be chosen again.
        input.set_value("");
    };
    let cannot =
        move || work.with(|work| work.own_text.trim().is_empty()) || !matches!(bench.model.get(), ModelState::Ready(_));
    view! {
        <textarea class="field" rows="6" data-testid="training-text" aria-label="The text to train on" spellcheck="false" maxlength=MOST_TRAINING_LETTERS
            placeholder="Paste a chapter, an article, a log, some code: the more, the better" prop:value=move || work.with(|work| work.own_text.clone())
            on:input=move |input| {
                let text = event_target_value(&input);
                work.update(|work| work.own_text = text);
            }></textarea>
        <div class="row between">
            <span class="soft small" data-testid="training-length">{move || work.with(|work| length(&work.own_text))}</span>
            <button class="plain" title="Their text is added to what is there" on:click=move |_| { if let Some(input) = input.get() { input.click(); } }>"Open text files"</button>
            <input node_ref=input type="file" multiple accept=".txt,.md,text/plain" hidden aria-hidden="true" tabindex="-1" data-testid="training-files" on:change=opened/>
        </div>
        <div class="row choices">
            <Numbers/>
            <button class="btn go" data-testid="train" prop:disabled=cannot on:click=move |_| bench.begin_training()>"Train"</button>
        </div>
        <More/>
    }
}

/// A number of the form, within bounds.
fn number(
    label: &'static str,
    id: &'static str,
    help: &'static str,
    [min, max]: [f64; 2],
    value: fn(&TrainForm) -> f64,
    set: fn(&mut TrainForm, f64),
) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let now = move || bench.training.with(|work| value(&work.form).to_string());
    let changed = move |change| {
        if let Ok(value) = event_target_value(&change).parse::<f64>()
            && value.is_finite()
        {
            bench.change_training(|form| set(form, value.clamp(min, max)));
        }
    };
    view! {
        <label class="labelled" title=help>{label}
            <input class="field mono" type="number" data-testid=id min=min max=max step="any" prop:value=now on:change=changed/>
        </label>
    }
}

#[component]
fn Numbers() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let layers = Memo::new(move |_| match bench.model.get() {
        ModelState::Ready(model) => model.layers,
        _ => 1,
    });
    let block = move || bench.training.with(|work| work.form.block(layers.get()));
    let choose = move |change| {
        if let Ok(block) = event_target_value(&change).parse() {
            bench.change_training(|form| form.block = Some(block));
        }
    };
    view! {
        <label class="labelled" title="The block at whose output activations are read">"Block"
            <select class="field" data-testid="training-block" on:change=choose>
                {move || (0..layers.get()).map(|own| view! {
                    <option value=own selected=move || block() == own>{own}</option>
                }).collect_view()}
            </select>
        </label>
        {number("Features", "training-features", "Directions to learn: more find rarer things, and take longer", [16.0, 8192.0],
            |form| form.features.into(), |form, value| form.features = value as u32)}
    }
}

#[component]
fn More() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let form = move || bench.training.with(|work| work.form);
    let method = move |change| {
        let name: String = event_target_value(&change);
        if let Some(method) = TrainMethod::ALL.into_iter().find(|method| method.title() == name) {
            bench.change_training(|form| form.method = method);
        }
    };
    let hook = move |change| {
        let name: String = event_target_value(&change);
        if let Some((hook, _)) = HOOKS.into_iter().find(|(hook, _)| *hook == name) {
            bench.change_training(|form| form.hook = hook);
        }
    };
    view! {
        <details class="more">
            <summary>"More"</summary>
            <div class="row choices">
                <label class="labelled">"Read at"
                    <select class="field" data-testid="training-hook" on:change=hook>
                        {HOOKS.map(|(own, title)| view! { <option value=own selected=move || form().hook == own>{title}</option> }).collect_view()}
                    </select>
                </label>
                <label class="labelled" title="What keeps features few at each token">"Method"
                    <select class="field" data-testid="training-method" on:change=method>
                        {TrainMethod::ALL.map(|own| view! {
                            <option value=own.title() selected=move || form().method == own>{own.title()}</option>
                        }).collect_view()}
                    </select>
                </label>
                <Show when=move || form().method.has_k() fallback=move || number(
                    "Cost of a feature", "training-sparsity", "Beside the squared error of activations of length √width; more makes fewer features active", [0.0, 1000.0],
                    |form| form.sparsity.into(), |form, value| form.sparsity = value as f32)>
                    {number("Active at once", "training-k", "Features at each token", [1.0, 512.0], |form| form.k.into(), |form, value| form.k = value as u32)}
                </Show>
                {number("Steps", "training-steps", "Batches of 256 tokens", [10.0, 20_000.0], |form| form.steps.into(), |form, value| form.steps = value as u32)}
                {number("Learning rate", "training-rate", "Adam's, at its highest", [1e-6, 0.1],
                    |form| (f64::from(form.learning_rate) * 1e9).round() / 1e9, |form, value| form.learning_rate = value as f32)}
                {number("Seed", "training-seed", "Of the first directions and of the order of tokens", [0.0, 4_294_967_295.0],
                    |form| form.seed.into(), |form, value| form.seed = value as u32)}
            </div>
        </details>
    }
}

/// What can be done about a training that runs, or rests.
#[component]
fn Running() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let work = bench.training;
    let paused = move || work.with(|work| work.state == TrainState::Paused);
    let judging = move || work.with(|work| work.judging);
    let learnt = move || work.with(|work| !work.steps.is_empty());
    view! {
        <p class="small" role="status" data-testid="training-status">{move || status(bench)}</p>
        <div class="row">
            <Show when=paused fallback=move || view! {
                <button class="btn" data-testid="pause-training" prop:disabled=judging on:click=move |_| bench.pause_training()>"Pause"</button>
            }>
                <button class="btn go" data-testid="resume-training" on:click=move |_| bench.resume_training()>"Go on"</button>
            </Show>
            <button class="btn" data-testid="keep-training" title="What it has learnt so far is used" prop:disabled=move || judging() || !learnt()
                on:click=move |_| bench.keep_training()>"Stop and keep"</button>
            <button class="plain" data-testid="discard-training" prop:disabled=judging on:click=move |_| bench.discard_training()>"Discard"</button>
        </div>
    }
}

fn status(bench: Workbench) -> String {
    bench.training.with(|work| {
        let text = work.text.as_ref().map(|text| of_text(text) + " ").unwrap_or_default();
        match (work.state, &work.progress, work.steps.last()) {
            _ if work.judging => {
                format!("{text}Trying it on what was held back, and looking for its features in the text")
            }
            (TrainState::Paused, _, Some(step)) => format!("{text}Paused. {}", of_step(step)),
            (TrainState::Paused, ..) => format!("{text}Paused while reading"),
            (_, Some(shown), _) => text + &progress::sentence(shown, 0.0),
            (_, None, Some(step)) => text + &of_step(step),
            _ => text + "Waiting for the model to be free",
        }
    })
}

/// What is left unexplained, and how many features are dead, step by step.
#[component]
fn Chart() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let work = bench.training;
    let unexplained = move || work.with(|work| points(&work.steps, |step| step.unexplained, WIDTH, HEIGHT));
    let dead = move || work.with(|work| points(&work.steps, dead_share, WIDTH, HEIGHT));
    let steps = move || work.with(|work| work.steps.last().map_or(0, |step| step.steps));
    let last = move || work.with(|work| work.steps.last().map(of_step).unwrap_or_default());
    view! {
        <div class="training-chart">
            <div class="plot">
                <div class="ends soft" aria-hidden="true"><span>"100 %"</span><span>"0 %"</span></div>
                <svg viewBox=format!("0 -3 {WIDTH} {}", HEIGHT + 6.0) preserveAspectRatio="none" data-testid="training-chart" role="img" aria-label=last>
                    <polyline class="dead" points=dead stroke-dasharray="2 3"/>
                    <polyline class="unexplained" points=unexplained/>
                </svg>
            </div>
            <div class="scale" aria-hidden="true"><span>"0"</span><span>{move || format!("{} steps", crate::figures::grouped(steps().into()))}</span></div>
            <ul class="lines">
                <li title="Of the variance of the batch's activations"><svg viewBox="0 0 28 8" aria-hidden="true"><polyline class="unexplained" points="0,4 28,4"/></svg>"unexplained"</li>
                <li title="Features that were not active for a thirtieth of the training"><svg viewBox="0 0 28 8" aria-hidden="true"><polyline class="dead" points="0,4 28,4" stroke-dasharray="2 3"/></svg>"dead features"</li>
            </ul>
        </div>
    }
}

/// Adds the text of files, as far as there is room.
async fn add(bench: Workbench, files: Vec<File>) {
    for file in files {
        let refuse = |message: String| bench.notice(Failure::new("The file cannot be used", message, false));
        let name = file.name();
        // A letter has up to four bytes.
        if file.size() > 4.0 * MOST_TRAINING_LETTERS as f64 {
            return refuse(format!("{name} is too large: choose one of at most 1 MB."));
        }
        let Ok(buffer) = JsFuture::from(file.array_buffer()).await else {
            return refuse(format!("The browser could not read {name}: choose it again."));
        };
        let Ok(text) = String::from_utf8(js_sys::Uint8Array::new(&buffer).to_vec()) else {
            return refuse(format!("{name} is not text in UTF-8: save it as such, and choose it again."));
        };
        bench.training.update(|work| {
            let own = &mut work.own_text;
            if !own.is_empty() {
                own.push_str("\n\n");
            }
            let room = MOST_TRAINING_LETTERS.saturating_sub(own.chars().count());
            own.extend(text.chars().take(room));
        });
    }
}
