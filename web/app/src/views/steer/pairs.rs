//! The contrasting sentences, and the vector that is built from them.

use crate::experiment::Experiment;
use crate::figures;
use crate::pasted_pairs::pasted_pairs;
use crate::starting_sets::STARTING_SETS;
use crate::views::progress;
use crate::workbench::{ModelState, Workbench};
use leptos::prelude::*;
use tiller_protocol::{Failure, VectorFormat};
use tiller_recipe::Pair;
use tiller_sites::VectorMethod;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{ClipboardEvent, File, HtmlInputElement};

/// A control vector of the largest model is some megabytes.
const LARGEST_VECTOR_FILE: f64 = 64e6;
const MOST_PAIRS: usize = 256;

#[component]
pub fn Pairs() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let count = move || bench.experiment.with(|experiment| experiment.pairs.len());
    let choose_set = move |change| {
        let index: Option<usize> = event_target_value(&change).parse().ok();
        if let Some(set) = index.and_then(|index| STARTING_SETS.get(index)) {
            bench.change("pairs", |experiment| {
                experiment.pairs = set.pairs();
                experiment.name = set.name.into();
            });
            bench.build_vector();
        }
    };
    let add = move |_| {
        bench.change("add pair", |experiment| {
            if experiment.pairs.len() < MOST_PAIRS {
                experiment.pairs.push(Pair { positive: String::new(), negative: String::new() });
            }
        });
    };
    view! {
        <div class="pairs-editor">
            <div class="row between">
                <h2>"Contrasting sentences"</h2>
                <select class="field small" aria-label="Sentences to start from" on:change=choose_set>
                    <option value="">"Start from"</option>
                    {STARTING_SETS.iter().enumerate().map(|(i, set)| view! { <option value=i>{set.name}</option> }).collect_view()}
                </select>
            </div>
            <label class="labelled">"The vector is called"
                <input class="field" data-testid="vector-name" maxlength="200"
                    prop:value=move || bench.experiment.with(|experiment| experiment.name.clone())
                    on:input=move |input| {
                        let name = event_target_value(&input);
                        bench.change("name", |experiment| experiment.name = name);
                    }/>
            </label>
            <div class="pairs">
                <span class="soft small">"more like this"</span><span class="soft small">"less like this"</span><span></span>
                <For each=move || 0..count() key=|row| *row let:row><PairRow row/></For>
            </div>
            <div class="row">
                <button class="btn" on:click=add>"Add a pair"</button>
                <BuildButton/>
            </div>
            <MethodChoice/>
            <VectorStatus/>
            <VectorFiles/>
        </div>
    }
}

#[component]
fn PairRow(row: usize) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let side = move |positive: bool| {
        let text = move || {
            bench.experiment.with(|experiment| {
                experiment
                    .pairs
                    .get(row)
                    .map(|pair| if positive { pair.positive.clone() } else { pair.negative.clone() })
            })
        };
        let set = move |text: String| {
            bench.change(if positive { "positive" } else { "negative" }, |experiment| {
                if let Some(pair) = experiment.pairs.get_mut(row) {
                    *(if positive { &mut pair.positive } else { &mut pair.negative }) = text;
                }
            });
        };
        let label = format!("Pair {}, {} like this", row + 1, if positive { "more" } else { "less" });
        view! {
            <textarea class="field" rows="2" maxlength="20000" aria-label=label
                data-testid=if positive { "pair-positive" } else { "pair-negative" }
                prop:value=move || text().unwrap_or_default()
                on:paste=move |paste| paste_table(bench, row, &paste)
                on:input=move |input| set(event_target_value(&input))></textarea>
        }
    };
    let remove = move |_| {
        bench.change("remove pair", |experiment| {
            if row < experiment.pairs.len() {
                experiment.pairs.remove(row);
            }
        })
    };
    view! {
        {side(true)}
        {side(false)}
        <button class="plain remove" aria-label=format!("Remove pair {}", row + 1) title="Remove this pair" on:click=remove>"×"</button>
    }
}

/// Two pasted columns fill the rows from this one on.
fn paste_table(bench: Workbench, row: usize, paste: &ClipboardEvent) {
    let text = paste.clipboard_data().and_then(|data| data.get_data("text").ok()).unwrap_or_default();
    let Some(pasted) = pasted_pairs(&text) else { return };
    paste.prevent_default();
    bench.change("paste", |experiment| {
        let end = (row + pasted.len()).min(experiment.pairs.len());
        experiment.pairs.splice(row..end, pasted);
        experiment.pairs.truncate(MOST_PAIRS);
    });
}

#[component]
fn BuildButton() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let ready = move || matches!(bench.model.get(), ModelState::Ready(_));
    view! {
        <button class="btn go" data-testid="build-vector" prop:disabled=move || !ready()
            title="A direction in the residual stream that tells the two sides apart, read at the last token, at every layer"
            on:click=move |_| bench.build_vector_as_asked()>"Build vector"</button>
    }
}

/// How the vector was made, as people call it.
fn made_by(experiment: &Experiment) -> String {
    let name = experiment.vector.as_ref().map(|chosen| chosen.directions.method.as_str()).unwrap_or_default();
    name.parse::<VectorMethod>().map_or_else(|_| name.to_string(), |method| method.title().replace("Mean", "mean"))
}

#[component]
fn MethodChoice() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let method = move || bench.experiment.with(|experiment| experiment.method);
    let choose = move |input: web_sys::Event| {
        let chosen = event_target_value(&input).parse::<VectorMethod>().unwrap_or_default();
        bench.change("method", |experiment| experiment.method = chosen);
    };
    view! {
        <label class="small soft" title=move || method().explanation()>"Method "
            <select class="field small method" data-testid="method" on:change=choose>
                {VectorMethod::ALL.map(|each| view! {
                    <option value=each.name() title=each.explanation() selected=move || method() == each>{each.title()}</option>
                })}
            </select>
        </label>
    }
}

#[component]
fn VectorStatus() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let state = move || {
        if bench.building.with(Option::is_some) {
            return "building";
        }
        bench.experiment.with(|experiment| match (&experiment.vector, experiment.vector_is_stale()) {
            (None, _) => "none",
            (Some(_), true) => "stale",
            (Some(_), false) => "ready",
        })
    };
    let text = move || match state() {
        "building" => match bench.building.get().and_then(|building| building.progress) {
            Some(shown) => progress::sentence(&shown, 0.0),
            None => "Reading the pairs".into(),
        },
        "none" => "No vector yet.".into(),
        "stale" => "The pairs or the method were changed since the vector was built.".into(),
        _ => bench.experiment.with(|experiment| {
            let Some(at) = experiment.vector.as_ref().and_then(|chosen| chosen.at_layer()) else {
                return String::new();
            };
            let directions = experiment.vector.as_ref().map(|chosen| &chosen.directions);
            let pairs = directions.map_or(0, |directions| directions.pairs);
            let of_a_probe = directions.is_some_and(|directions| directions.method.starts_with("probe-"));
            let from = match pairs {
                0 if of_a_probe => "From a probe".into(),
                0 => "From a file".into(),
                _ => format!("From {pairs} pairs, {}", made_by(experiment)),
            };
            format!("{from}; {} long at layer {}.", figures::quantity(at.norm.into()), at.layer)
        }),
    };
    let cancel = move |_| {
        if let Some(building) = bench.building.get_untracked() {
            bench.cancel(building.job);
        }
    };
    view! {
        <p class="soft small status" data-testid="vector-status" data-state=state>
            {text}
            <Show when=move || bench.building.with(Option::is_some)>
                <button class="plain" on:click=cancel>"Cancel"</button>
            </Show>
        </p>
    }
}

#[component]
fn VectorFiles() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let has_vector = move || bench.experiment.with(|experiment| experiment.vector.is_some());
    let input = NodeRef::<leptos::html::Input>::new();
    let chosen = move |change: web_sys::Event| {
        let Some(input) = change.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else { return };
        if let Some(file) = input.files().and_then(|files| files.get(0)) {
            spawn_local(read(bench, file));
        }
        // The same file may be chosen again.
        input.set_value("");
    };
    view! {
        <div class="row">
            <button class="plain" prop:disabled=move || !has_vector() title="As a GGUF control vector, at every layer there is"
                on:click=move |_| bench.save_vector(VectorFormat::Gguf)>"Save GGUF"</button>
            <button class="plain" prop:disabled=move || !has_vector() title="As safetensors, at every layer there is: direction.N at its length, name, model and method beside it"
                on:click=move |_| bench.save_vector(VectorFormat::Safetensors)>"Save safetensors"</button>
            <button class="plain" title="A GGUF control vector, or safetensors. Where a file does not say from where it counts blocks, you are asked."
                on:click=move |_| { if let Some(input) = input.get() { input.click(); } }>"Load vector"</button>
            <input node_ref=input type="file" accept=".gguf,.safetensors" hidden aria-hidden="true" tabindex="-1" on:change=chosen/>
        </div>
    }
}

async fn read(bench: Workbench, file: File) {
    let refuse = |message: &str| {
        bench.notice(Failure::new("The file cannot be used", message, false));
    };
    if file.size() > LARGEST_VECTOR_FILE {
        return refuse("It is too large for a control vector; choose another file.");
    }
    match JsFuture::from(file.array_buffer()).await {
        Ok(buffer) => {
            let name =
                file.name().trim_end_matches(".gguf").trim_end_matches(".safetensors").chars().take(200).collect();
            bench.load_vector(name, js_sys::Uint8Array::new(&buffer).to_vec());
        }
        Err(_) => refuse("The browser could not read it; choose it again."),
    }
}
