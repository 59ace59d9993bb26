//! Tables of cells that are looked at one at a time, by mouse, touch or keys.

use wasm_bindgen::JsCast;
use web_sys::{Element, EventTarget, HtmlElement, KeyboardEvent};

/// A cell, which says where it is by `data-row` and `data-column`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub row: usize,
    pub column: usize,
}

/// The cell that `target` is in.
pub fn place_of(target: EventTarget) -> Option<Place> {
    let cell = target.dyn_into::<Element>().ok()?.closest("td").ok()??;
    let number = |name: &str| cell.get_attribute(name)?.parse().ok();
    Some(Place { row: number("data-row")?, column: number("data-column")? })
}

/// Arrow keys walk from cell to cell.
pub fn walk(key: KeyboardEvent) {
    let Some(target) = key.target() else { return };
    let Some(Place { row, column }) = place_of(target.clone()) else { return };
    let table = target.dyn_into::<Element>().ok().and_then(|cell| cell.closest("table").ok()?);
    let Some(table) = table else { return };
    let far = |name: &str| {
        let last = table.query_selector_all(&format!("td[{name}]")).ok()?;
        last.item(last.length().checked_sub(1)?)?.dyn_into::<Element>().ok()?.get_attribute(name)?.parse().ok()
    };
    let last_column: usize = far("data-column").unwrap_or(column);
    let (row, column) = match key.key().as_str() {
        "ArrowUp" => (row.saturating_sub(1), column),
        "ArrowDown" => (row + 1, column),
        "ArrowLeft" => (row, column.saturating_sub(1)),
        "ArrowRight" => (row, column + 1),
        "Home" => (row, 0),
        "End" => (row, last_column),
        _ => return,
    };
    key.prevent_default();
    let to = table.query_selector(&format!("td[data-row=\"{row}\"][data-column=\"{column}\"]"));
    if let Some(to) = to.ok().flatten().and_then(|to| to.dyn_into::<HtmlElement>().ok()) {
        let _ = to.focus();
    }
}
