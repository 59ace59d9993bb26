//! The Vectors view: what is on the shelf, how alike it is, and what can be made of it.

use crate::shelf::Combination;
use crate::views::save::SaveText;
use crate::workbench::Workbench;
use crate::{csv, figures};
use leptos::prelude::*;
use tiller_protocol::VectorFormat;
use tiller_recipe::Shelved;

#[component]
pub fn Vectors() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let shelf = Memo::new(move |_| bench.experiment.with(|experiment| experiment.shelf.clone()));
    let current = Memo::new(move |_| bench.current_vector());
    // What is chosen below is not forgotten when a vector more stands on the shelf.
    let is_empty = Memo::new(move |_| shelf.with(|shelf| shelf.is_empty()));
    let is_there = move || current.get().is_some_and(|current| shelf.with(|shelf| shelf.contains(&current)));
    let add = move |_| {
        if let Some(current) = current.get_untracked() {
            bench.shelve(current);
        }
    };
    view! {
        <div class="vectors" data-testid="vectors">
            <section class="card" aria-label="The vector in use">
                <h2>"The vector in use"</h2>
                {move || match current.get() {
                    Some(current) => view! {
                        <p>{described(&current)}</p>
                        <div class="row">
                            <button class="btn" data-testid="shelve" prop:disabled=is_there on:click=add>
                                {move || if is_there() { "On the shelf" } else { "Keep on the shelf" }}
                            </button>
                        </div>
                    }.into_any(),
                    None => view! { <p class="soft">"There is none yet. Build one from pairs in the Steer view, or open a file there."</p> }.into_any(),
                }}
            </section>
            {move || match is_empty.get() {
                true => view! {
                    <section class="empty">
                        <h2>"The shelf is empty"</h2>
                        <p class="soft">
                            "Keep vectors here to compare them: of other layers, other methods, other pairs. Two vectors for the same concept \
                             should point the same way; a cosine near 0 says that they do not."
                        </p>
                    </section>
                }.into_any(),
                false => view! {
                    <Shelf shelf/>
                    <Cosines shelf/>
                    <Combine shelf/>
                }.into_any(),
            }}
        </div>
    }
}

/// One line: what it is, where from, how long.
fn described(shelved: &Shelved) -> String {
    let vector = &shelved.vector;
    let norm = figures::quantity(vector.norm.into());
    let stream = figures::quantity(vector.typical_norm.into());
    format!("{}: {}, layer {}, {norm} long where the stream is {stream}", vector.name, vector.method, vector.layer)
}

#[component]
fn Shelf(shelf: Memo<std::sync::Arc<Vec<Shelved>>>) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let row = move |place: usize, shelved: Shelved| {
        let misfit = bench.misfit(&shelved);
        let fits = misfit.is_none();
        let vector = shelved.vector.clone();
        let model = shelved.model.clone();
        view! {
            <tr data-testid="shelved">
                <td>{place + 1}</td>
                <td>
                    <input class="field" aria-label=format!("Name of vector {}", place + 1) prop:value=vector.name.clone()
                        on:change=move |change| bench.rename_on_shelf(place, &event_target_value(&change))/>
                </td>
                <td>{vector.method}</td>
                <td class="figure">{vector.layer}</td>
                <td class="figure" title="Length of the difference before it was made a unit direction">{figures::quantity(vector.norm.into())}</td>
                <td class="figure" title="Typical length of the residual stream at this layer: the unit of strengths">{figures::quantity(vector.typical_norm.into())}</td>
                <td class="origin" title=model.clone()>{model.rsplit('/').next().unwrap_or_default().to_string()}</td>
                <td><div class="row">
                    <button class="plain" prop:disabled=!fits title=misfit.unwrap_or_else(|| "Steer with this vector".into())
                        on:click=move |_| bench.steer_with(place)>"Steer"</button>
                    {[(VectorFormat::Gguf, "GGUF", "A GGUF control vector, as repeng and llama.cpp read it"),
                      (VectorFormat::Safetensors, "safetensors", "A safetensors file: direction.N at its length, name, model and method beside it")]
                        .map(|(format, label, title)| {
                            let shelved = shelved.clone();
                            view! { <button class="plain" prop:disabled=!fits title=title on:click=move |_| bench.save_shelved(&shelved, format)>{label}</button> }
                        })}
                    <button class="plain" aria-label=format!("Remove vector {}", place + 1) on:click=move |_| bench.remove_from_shelf(place)>"Remove"</button>
                </div></td>
            </tr>
        }
    };
    view! {
        <section aria-label="The shelf">
            <div class="row between">
                <h2>"The shelf"</h2>
                <SaveText label="JSON" title="All vectors with their numbers" name="vectors.json"
                    content=Callback::new(move |()| shelf.with_untracked(|shelf| serde_json::to_string_pretty(&**shelf).unwrap_or_default()))/>
            </div>
            <div class="wide">
                <table class="shelf">
                    <thead>
                        <tr>
                            <th scope="col"></th><th scope="col">"Name"</th><th scope="col">"Made by"</th><th scope="col">"Layer"</th>
                            <th scope="col">"Length"</th><th scope="col">"Stream"</th><th scope="col">"Model"</th><th scope="col"></th>
                        </tr>
                    </thead>
                    <tbody>
                        {move || shelf.get().iter().cloned().enumerate().map(|(place, shelved)| row(place, shelved)).collect_view()}
                    </tbody>
                </table>
            </div>
        </section>
    }
}

#[component]
fn Cosines(shelf: Memo<std::sync::Arc<Vec<Shelved>>>) -> impl IntoView {
    let table = move || {
        shelf.with_untracked(|shelf| {
            let names = shelf.iter().map(|s| s.vector.name.clone());
            let heading = csv::line(&[String::new()].into_iter().chain(names).collect::<Vec<_>>());
            let line = |a: &Shelved| {
                let cells =
                    shelf.iter().map(|b| cosine_of(a, b).map_or(String::new(), |cosine| format!("{cosine:.4}")));
                csv::line(&[a.vector.name.clone()].into_iter().chain(cells).collect::<Vec<_>>())
            };
            heading + &shelf.iter().map(line).collect::<String>()
        })
    };
    let cell = |a: &Shelved, b: &Shelved| match cosine_of(a, b) {
        Some(cosine) => {
            let tint = format!("--tint:{:.3}", cosine.abs().min(1.0));
            let title = format!("{} and {}: cosine {cosine:.4}", a.vector.name, b.vector.name);
            let shown = format!("{}{:.2}", if cosine < -0.005 { "−" } else { "" }, cosine.abs());
            view! { <td><span class="cell" class:against=cosine < 0.0 style=tint title=title>{shown}</span></td> }
                .into_any()
        }
        None => view! { <td class="untried" title="They are of different models">"–"</td> }.into_any(),
    };
    view! {
        <section aria-label="Cosines" data-testid="cosines">
            <div class="row between">
                <h2 title="1 where two directions are the same, 0 where they have nothing in common, −1 where they are opposite">"Cosines"</h2>
                <SaveText label="CSV" title="The cosines as a table" name="cosines.csv" content=Callback::new(move |()| table())/>
            </div>
            <div class="wide">
                <table class="cells cosines">
                    <thead>
                        <tr>
                            <td></td>
                            {move || (1..=shelf.get().len()).map(|n| view! { <th scope="col">{n}</th> }).collect_view()}
                        </tr>
                    </thead>
                    <tbody>
                        {move || {
                            let shelf = shelf.get();
                            shelf.iter().enumerate().map(|(n, a)| view! {
                                <tr>
                                    <th scope="row" title=a.vector.name.clone()>{n + 1}</th>
                                    {shelf.iter().map(|b| cell(a, b)).collect_view()}
                                </tr>
                            }).collect_view()
                        }}
                    </tbody>
                </table>
            </div>
            <p class="soft small">
                {move || shelf.with(|shelf| shelf.first().map(|first| chance(first.vector.direction.width())))}
            </p>
        </section>
    }
}

/// Vectors of different models have no cosine, even where their widths agree.
fn cosine_of(a: &Shelved, b: &Shelved) -> Option<f64> {
    a.vector.direction.cosine(&b.vector.direction).filter(|_| a.model == b.model)
}

/// What cosines of directions that have nothing to do with each other come to.
fn chance(width: usize) -> String {
    let deviation = 1.0 / (width.max(1) as f64).sqrt();
    format!(
        "Two random directions of this width have a cosine of 0 ± {deviation:.2}. The residual stream is no random place, though: vectors of unrelated concepts often share more."
    )
}

#[component]
fn Combine(shelf: Memo<std::sync::Arc<Vec<Shelved>>>) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let (a, b, how) = (RwSignal::new(0usize), RwSignal::new(1usize), RwSignal::new(Combination::Sum));
    let pick = move |signal: RwSignal<usize>, label: &'static str| {
        view! {
            <select class="field" aria-label=label on:change=move |change| signal.set(event_target_value(&change).parse().unwrap_or(0))>
                {move || shelf.get().iter().enumerate().map(|(n, shelved)| view! {
                    <option value=n selected=move || signal.get() == n>{format!("{} {}", n + 1, shelved.vector.name)}</option>
                }).collect_view()}
            </select>
        }
    };
    view! {
        <section aria-label="Combine two">
            <h2 title="Both at unit length; what comes out is put on the shelf, scaled and placed as the first">"Combine two"</h2>
            <div class="row combine">
                {pick(a, "The first")}
                <select class="field" aria-label="How" data-testid="combination"
                    on:change=move |change| how.set(Combination::named(&event_target_value(&change)).unwrap_or(Combination::Sum))>
                    {Combination::ALL.map(|each| view! { <option value=each.name() selected=move || how.get() == each>{each.sign()}</option> }).collect_view()}
                </select>
                {pick(b, "The second")}
                <button class="btn" data-testid="combine" prop:disabled=move || shelf.with(|shelf| shelf.len() < 2)
                    on:click=move |_| bench.combine_on_shelf(a.get_untracked(), how.get_untracked(), b.get_untracked())>"Make"</button>
            </div>
        </section>
    }
}
