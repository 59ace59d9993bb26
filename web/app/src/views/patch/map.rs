//! The map of effects: a row for each layer, a column for each token or head.

use super::Looking;
use crate::patching::{Map, MapCell};
use crate::views::cells::{Place, place_of, walk};
use leptos::prelude::*;
use web_sys::EventTarget;

#[component]
pub fn MapTable() -> impl IntoView {
    let looking = expect_context::<Looking>();
    let map = Memo::new(move |_| looking.found.with(|found| found.map()));
    let heads =
        Memo::new(move |_| map.with(|map| map.as_ref().map(|map| (map.heads.clone(), map.first)).unwrap_or_default()));
    let rows = move || map.with(|map| map.as_ref().map(rows_of).unwrap_or_default());
    let look = move |target: Option<EventTarget>| {
        if let Some(place) = target.and_then(place_of) {
            looking.chosen.set(Some(place));
        }
    };
    // A head that is pressed shows where it looks.
    let press = move |target: Option<EventTarget>| {
        let Some(Place { row, column }) = target.and_then(place_of) else { return };
        looking.chosen.set(Some(Place { row, column }));
        looking.head.set(map.with_untracked(|map| head_of(map.as_ref()?, row, column)));
    };
    let keys = move |key: web_sys::KeyboardEvent| match key.key().as_str() {
        "Enter" | " " if !key.ctrl_key() && !key.meta_key() => {
            key.prevent_default();
            press(key.target());
        }
        _ => walk(key),
    };
    view! {
        <div class="grid-scroll">
            <table class="grid effects" role="grid" data-testid="patch-map" aria-label="Effects by layer and column"
                on:mouseover=move |event| look(event.target()) on:focusin=move |event| look(event.target())
                on:click=move |event| press(event.target()) on:keydown=keys>
                <thead>
                    <tr>
                        <th class="corner" scope="col">"layer"</th>
                        {move || {
                            let (heads, first) = heads.get();
                            heads.into_iter().enumerate().map(|(column, head)| view! {
                                <th scope="col" class:same=column < first>{head}</th>
                            }).collect_view()
                        }}
                    </tr>
                </thead>
                <tbody>
                    <For each=rows key=|row| row.key.clone() let:row><Row row/></For>
                </tbody>
            </table>
        </div>
    }
}

/// A row as it is drawn. Its key changes with what is in it, so that only what has come is drawn anew.
#[derive(Clone)]
struct DrawnRow {
    key: (u32, Vec<u32>, usize),
    number: usize,
    cells: Vec<Option<(MapCell, f64, String)>>,
    first: usize,
}

fn rows_of(map: &Map) -> Vec<DrawnRow> {
    let drawn = |(number, (layer, cells)): (usize, &(u32, Vec<Option<MapCell>>))| DrawnRow {
        key: (*layer, cells.iter().map(|c| c.as_ref().map_or(1, |c| (c.effect as f32).to_bits())).collect(), map.first),
        number,
        cells: cells
            .iter()
            .map(|cell| cell.clone().map(|cell| (cell.clone(), map.shade(&cell), map.effect_text(&cell))))
            .collect(),
        first: map.first,
    };
    map.rows.iter().enumerate().map(drawn).collect()
}

/// The head that a cell is of.
fn head_of(map: &Map, row: usize, column: usize) -> Option<(u32, u32)> {
    let (layer, _) = map.rows.get(row)?;
    let is_head = map.by_head && map.heads.get(column)?.starts_with("head");
    is_head.then_some((*layer, column as u32))
}

#[component]
fn Row(row: DrawnRow) -> impl IntoView {
    let DrawnRow { key: (layer, ..), number, cells, first } = row;
    view! {
        <tr>
            <th scope="row">{layer}</th>
            {cells.into_iter().enumerate().map(|(column, cell)| {
                let within = cell.as_ref().is_some_and(|(cell, ..)| cell.is_within_controls());
                let shade = cell.as_ref().map_or(0.0, |(_, shade, _)| *shade);
                let text = cell.map(|(.., text)| text);
                let same = column < first;
                let title = if same { "the same in both prompts: nothing to patch" } else { "" };
                view! {
                    <td data-row=number data-column=column class:within=within class:away=shade < 0.0 class:same=same
                        class:deep={shade.abs() > 0.55 && !within} title=title style=format!("--size:{:.3}", shade.abs())
                        tabindex=if number == 0 && column == first { "0" } else { "-1" }>{text}</td>
                }
            }).collect_view()}
        </tr>
    }
}
