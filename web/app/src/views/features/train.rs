//! Training a sparse autoencoder on the user's own text.

use crate::training::{chart, judged, length, of_step, of_text};
use crate::views::progress;
use crate::workbench::{ModelState, TrainForm, TrainState, Workbench};
use leptos::prelude::*;
use tiller_protocol::{Failure, MOST_TRAINING_LETTERS, TrainDevice, TrainMethod};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{File, HtmlInputElement};

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
                <div class="training-chart" inner_html=move || work.with(|work| chart(&work.steps))></div>
                {move || bench.trained().map(|quality| view! {
                    <p class="small" data-testid="trained-quality">{judged(&quality)}</p>
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
    let layers = Memo::new(move |_| match bench.model.get() {
        ModelState::Ready(model) => model.layers,
        _ => 1,
    });
    // The block in the middle, until another is chosen.
    Effect::new(move |_| {
        let layers = layers.get();
        if work.with_untracked(|work| work.form.layers != layers) {
            bench.change_training(|form| (form.layers, form.block) = (layers, layers / 2));
        }
    });
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
            {move || first_choices(layers.get())}
            <button class="btn go" data-testid="train" prop:disabled=cannot on:click=move |_| bench.begin_training()>"Train"</button>
        </div>
        <details class="more">
            <summary>"More"</summary>
            <div class="row choices">{other_choices()}</div>
        </details>
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
) -> AnyView {
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
    .into_any()
}

/// One of several, by place.
fn choice(
    label: &'static str,
    id: &'static str,
    titles: Vec<String>,
    value: fn(&TrainForm) -> usize,
    set: fn(&mut TrainForm, usize),
) -> AnyView {
    let bench = expect_context::<Workbench>();
    let now = move || bench.training.with(|work| value(&work.form));
    let changed = move |change| {
        if let Ok(place) = event_target_value(&change).parse() {
            bench.change_training(|form| set(form, place));
        }
    };
    let option = |(place, title): (usize, String)| view! { <option value=place selected=move || now() == place>{title}</option> };
    view! {
        <label class="labelled">{label}
            <select class="field" data-testid=id on:change=changed>{titles.into_iter().enumerate().map(option).collect_view()}</select>
        </label>
    }
    .into_any()
}

/// What is chosen at first sight.
fn first_choices(layers: u32) -> [AnyView; 2] {
    [
        choice(
            "Block",
            "training-block",
            (0..layers).map(|block| block.to_string()).collect(),
            |form| form.block as usize,
            |form, place| form.block = place as u32,
        ),
        number(
            "Features",
            "training-features",
            "Directions to learn: more find rarer things, and take longer",
            [16.0, 8192.0],
            |form| form.features.into(),
            |form, value| form.features = value as u32,
        ),
    ]
}

fn other_choices() -> [AnyView; 8] {
    [
        choice(
            "Read at",
            "training-hook",
            HOOKS.map(|(_, title)| title.into()).into(),
            |form| HOOKS.iter().position(|(hook, _)| *hook == form.hook).unwrap_or(0),
            |form, place| form.hook = HOOKS.get(place).unwrap_or(&HOOKS[0]).0,
        ),
        choice(
            "Method",
            "training-method",
            TrainMethod::ALL.map(|method| method.title().into()).into(),
            |form| TrainMethod::ALL.iter().position(|method| *method == form.method).unwrap_or(0),
            |form, place| form.method = TrainMethod::ALL.get(place).copied().unwrap_or_default(),
        ),
        number(
            "Active at once",
            "training-k",
            "Features at each token; standard and JumpReLU find out how many",
            [1.0, 512.0],
            |form| form.k.into(),
            |form, value| form.k = value as u32,
        ),
        number(
            "Cost of a feature",
            "training-sparsity",
            "For standard and JumpReLU: beside the squared error of activations of length √width; more makes fewer features active",
            [0.0, 1000.0],
            |form| form.sparsity.into(),
            |form, value| form.sparsity = value as f32,
        ),
        number(
            "Steps",
            "training-steps",
            "Batches of up to 256 tokens; the thresholds of JumpReLU need several thousand",
            [10.0, 20_000.0],
            |form| form.steps.into(),
            |form, value| form.steps = value as u32,
        ),
        number(
            "Learning rate",
            "training-rate",
            "Adam's, at its highest",
            [1e-6, 0.1],
            |form| (f64::from(form.learning_rate) * 1e9).round() / 1e9,
            |form, value| form.learning_rate = value as f32,
        ),
        number(
            "Seed",
            "training-seed",
            "Of the first directions and of the order of tokens",
            [0.0, 4_294_967_295.0],
            |form| form.seed.into(),
            |form, value| form.seed = value as u32,
        ),
        choice(
            "Steps are made by",
            "training-device",
            TrainDevice::ALL.map(|device| device.title().into()).into(),
            |form| TrainDevice::ALL.iter().position(|device| *device == form.device).unwrap_or(0),
            |form, place| form.device = TrainDevice::ALL.get(place).copied().unwrap_or_default(),
        ),
    ]
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
