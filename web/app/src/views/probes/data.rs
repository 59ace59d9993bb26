//! The labelled texts: one of the page's own datasets, or the user's.

use crate::csv::line;
use crate::probes::balance;
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::Failure;
use tiller_recipe::{DATASETS, LabelledText, ProbeData, ShippedDataset, labelled_texts};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{File, HtmlInputElement};

/// More than the most texts of the greatest length are worth.
const LARGEST_FILE: f64 = 4e6;
/// As the choice of datasets has the user's own.
const OWN: &str = "own";

#[component]
pub fn Data() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let data = Memo::new(move |_| bench.experiment.with(|experiment| experiment.probe.data.clone()));
    let rows = Memo::new(move |_| data.with(ProbeData::rows));
    let is_own = move || data.with(|data| matches!(data, ProbeData::Rows(_)));
    // What is typed is only taken once it is a table.
    let wrong = RwSignal::new(None::<String>);
    let take = move |table: &str| match labelled_texts(table) {
        Ok(rows) => {
            wrong.set(None);
            bench.change("dataset", |experiment| {
                experiment.probe.data = ProbeData::Rows(rows);
                experiment.probe.layer = None;
            });
        }
        Err(error) => wrong.set(Some(capitalised(&error.to_string()))),
    };
    let choose = move |change| {
        let name: String = event_target_value(&change);
        wrong.set(None);
        bench.change("dataset", |experiment| {
            experiment.probe.layer = None;
            experiment.probe.data = match ShippedDataset::named(&name) {
                Some(dataset) => ProbeData::Shipped(dataset.name.into()),
                // The user's own begin as what was there.
                None => ProbeData::Rows(experiment.probe.data.rows()),
            };
        });
    };
    let about = move || {
        data.with(|data| match data {
            ProbeData::Shipped(name) => ShippedDataset::named(name).map_or("", |dataset| dataset.about),
            ProbeData::Rows(_) => "The label of the first line is the class that probabilities are of. Texts of a group stay together when some are held back.",
        })
    };
    let input = NodeRef::<leptos::html::Input>::new();
    let opened = move |change: web_sys::Event| {
        let Some(input) = change.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else { return };
        if let Some(file) = input.files().and_then(|files| files.get(0)) {
            spawn_local(async move {
                if let Some(table) = text_of(bench, file).await {
                    take(&table);
                }
            });
        }
        // The same file may be chosen again.
        input.set_value("");
    };
    view! {
        <section class="card probe-data" aria-label="Labelled texts">
            <div class="row">
                <label class="small">"Texts "
                    <select class="field small" data-testid="probe-dataset" on:change=choose>
                        {DATASETS.map(|dataset| view! {
                            <option value=dataset.name selected=move || data.with(|data| *data == ProbeData::Shipped(dataset.name.into()))>{dataset.title}</option>
                        }).collect_view()}
                        <option value=OWN selected=is_own>"Your own"</option>
                    </select>
                </label>
                <button class="plain" title="A table of text, label and perhaps group, as CSV or with tabs"
                    on:click=move |_| { if let Some(input) = input.get() { input.click(); } }>"Open a file"</button>
                <input node_ref=input type="file" accept=".csv,.tsv,.txt,text/csv" hidden aria-hidden="true" tabindex="-1" on:change=opened/>
                <span class="small" data-testid="probe-balance">{move || rows.with(|rows| balance(rows))}</span>
            </div>
            <p class="soft small">{about}</p>
            <Show when=is_own fallback=move || view! { <Shown rows/> }>
                <textarea class="field mono" rows="8" data-testid="probe-rows" aria-label="Texts, labels and groups: a line for each text" spellcheck="false"
                    placeholder="The soup was delicious,good,soup" prop:value=move || rows.with(|rows| table(rows))
                    on:change=move |change| take(&event_target_value(&change))></textarea>
            </Show>
            {move || wrong.get().map(|wrong| view! { <p class="small wrong" role="alert" data-testid="probe-rows-error">{wrong}" The texts from before are still the ones that are used."</p> })}
        </section>
    }
}

/// A look at a dataset that comes with the page.
#[component]
fn Shown(rows: Memo<Vec<LabelledText>>) -> impl IntoView {
    view! {
        <details class="probe-texts">
            <summary>"Look at the texts"</summary>
            <div class="scrolled" tabindex="0" role="region" aria-label="The texts">
                <table class="texts">
                    <thead><tr><th scope="col">"Text"</th><th scope="col">"Label"</th><th scope="col">"Group"</th></tr></thead>
                    <tbody>
                        {move || rows.get().into_iter().map(|row| view! {
                            <tr><td>{row.text}</td><td>{row.label}</td><td>{row.group}</td></tr>
                        }).collect_view()}
                    </tbody>
                </table>
            </div>
        </details>
    }
}

/// The rows as a table that can be edited.
fn table(rows: &[LabelledText]) -> String {
    let record = |row: &LabelledText| {
        let cells: Vec<String> =
            [Some(&row.text), Some(&row.label), row.group.as_ref()].into_iter().flatten().cloned().collect();
        line(&cells).replace("\r\n", "\n")
    };
    rows.iter().map(record).collect()
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>() + ".").unwrap_or_default()
}

async fn text_of(bench: Workbench, file: File) -> Option<String> {
    let refuse = |message: &str| {
        bench.notice(Failure::new("The file cannot be used", message, false));
        None
    };
    if file.size() > LARGEST_FILE {
        return refuse("It is too large; choose a table of at most 4 MB.");
    }
    let Ok(buffer) = JsFuture::from(file.array_buffer()).await else {
        return refuse("The browser could not read it; choose it again.");
    };
    match String::from_utf8(js_sys::Uint8Array::new(&buffer).to_vec()) {
        Ok(text) => Some(text),
        Err(_) => refuse("It is not text in UTF-8; save it as such, and choose it again."),
    }
}
