//! What the page's address asks for, and the link to what it shows.

use crate::experiment::Experiment;
use tiller_protocol::BackendChoice;
use tiller_recipe::{Code, Recipe, RecipeError, View, from_fragment, to_fragment};
use tiller_sites::PUBLIC_HUB;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{HtmlMetaElement, UrlSearchParams, Window};

pub fn window() -> Window {
    web_sys::window().expect("the page runs in a window")
}

fn parameter(name: &str) -> Option<String> {
    let search = window().location().search().ok()?;
    UrlSearchParams::new_with_str(&search).ok()?.get(name).filter(|value| !value.is_empty())
}

/// The hub's base address: `?hub=`, or what the server that sent the page wrote into it. Empty means the public hub.
pub fn hub() -> String {
    let written = || {
        let document = window().document()?;
        let meta = document.query_selector("meta[name=\"tiller-hub\"]").ok()??;
        Some(meta.dyn_into::<HtmlMetaElement>().ok()?.content())
    };
    parameter("hub").or_else(written).unwrap_or_default()
}

/// Whether the address itself names a hub, as whoever wrote it chose.
pub fn names_hub() -> bool {
    parameter("hub").is_some()
}

/// The hub's host as people know it, to say where something is sent.
pub fn hub_host() -> String {
    let hub = Some(hub()).filter(|hub| !hub.is_empty()).unwrap_or_else(|| PUBLIC_HUB.into());
    hub.split_once("://").map_or(hub.as_str(), |(_, host)| host).trim_end_matches('/').to_string()
}

/// `?backend=gpu|cpu|auto`, which wins over the setting.
pub fn backend() -> Option<BackendChoice> {
    match parameter("backend")?.as_str() {
        "gpu" => Some(BackendChoice::Gpu),
        "cpu" => Some(BackendChoice::Cpu),
        "auto" => Some(BackendChoice::Auto),
        _ => None,
    }
}

/// The parts of a view that a page which embeds it may leave out.
pub const PARTS: [(&str, &str); 7] = [
    ("prompt", "Prompt"),
    ("slider", "Slider"),
    ("pairs", "Layer and pairs"),
    ("sampling", "Sampling"),
    ("evidence", "Evidence"),
    ("search", "Search for layer and strength"),
    ("about", "What the experiment is about"),
];

/// `?embed&hide=prompt,search`: whether another page shows this one in a frame, and the parts that it leaves out,
/// separated by spaces.
pub fn embedding() -> Option<String> {
    let search = window().location().search().ok()?;
    let parameters = UrlSearchParams::new_with_str(&search).ok()?;
    parameters.get("embed")?;
    let hidden = parameters.get("hide").unwrap_or_default();
    let known = PARTS.iter().map(|(name, _)| *name).filter(|name| hidden.split(',').any(|part| part == *name));
    Some(known.collect::<Vec<_>>().join(" "))
}

/// The recipe in the address, if there is one.
pub fn recipe() -> Result<Option<Recipe>, RecipeError> {
    from_fragment(&window().location().hash().unwrap_or_default())
}

/// Takes the recipe out of the address: what the page shows is no longer what the link says.
pub fn forget_recipe() {
    let location = window().location();
    if location.hash().is_ok_and(|hash| !hash.is_empty())
        && let (Ok(path), Ok(search)) = (location.pathname(), location.search())
        && let Ok(history) = window().history()
    {
        // Where the browser refuses, the link stays in the address, and a reload opens it again.
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&(path + &search)));
    }
}

/// Whether the address still names what the page opened with.
pub fn names_recipe() -> bool {
    !matches!(recipe(), Ok(None))
}

/// HTML that shows an experiment in a frame, without the parts named.
pub fn frame(link: &str, hidden: &[&str]) -> String {
    let hide = if hidden.is_empty() { String::new() } else { format!("&hide={}", hidden.join(",")) };
    let (page, fragment) = link.split_once('#').unwrap_or((link, ""));
    // A link has no characters that HTML would take for its own.
    format!(
        "<iframe src=\"{page}?embed{}#{fragment}\" width=\"540\" height=\"480\" loading=\"lazy\" \
         allow=\"clipboard-write\" title=\"An experiment with a small language model\"></iframe>",
        hide.replace('&', "&amp;")
    )
}

/// The link to an experiment: this page's address without what was asked of it, and the recipe in the fragment.
/// Vectors are written in `code`, or exactly.
pub fn link(
    experiment: &Experiment,
    view: View,
    backend: Option<String>,
    code: Option<Code>,
) -> Result<String, RecipeError> {
    let location = window().location();
    let page = location.origin().unwrap_or_default() + &location.pathname().unwrap_or_default();
    let recipe = experiment.to_recipe(view, backend);
    let recipe = code.map_or_else(|| recipe.clone(), |code| recipe.compacted(code));
    Ok(page + &to_fragment(&recipe)?)
}
