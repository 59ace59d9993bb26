//! HTML for someone's own page, with this experiment in a frame.

use crate::address::{PARTS, frame};
use crate::clipboard;
use crate::workbench::Workbench;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::HtmlTextAreaElement;

#[component]
pub fn Frame(
    /// The link to what is shown; `None` where it would be too long.
    link: Callback<(), Option<String>>,
    close: Callback<()>,
) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let hidden = RwSignal::new(Vec::<&'static str>::new());
    let html = move || link.run(()).map(|link| frame(&link, &hidden.get()));
    let copy = move |_| {
        let Some(html) = untrack(html) else { return };
        spawn_local(async move {
            if clipboard::copy(&html).await {
                bench.say("HTML copied");
            }
        });
    };
    let select = |focus: web_sys::FocusEvent| {
        if let Some(field) = focus.target().and_then(|target| target.dyn_into::<HtmlTextAreaElement>().ok()) {
            field.select();
        }
    };
    let part = move |name: &'static str, title: &'static str| {
        let choose = move |change| {
            let shown = event_target_checked(&change);
            hidden.update(|hidden| {
                hidden.retain(|other| *other != name);
                if !shown {
                    hidden.push(name);
                }
            });
        };
        view! { <label class="check"><input type="checkbox" checked data-part-name=name on:change=choose/>{title}</label> }
    };
    view! {
        <div class="notice asks embedding" role="dialog" aria-label="Embed this experiment" data-testid="embedding">
            <div class="notice-text">
                <b>"Put this into the HTML of your page"</b>
                <textarea class="field mono" rows="3" readonly aria-label="HTML" data-testid="embed-html" on:focus=select
                    prop:value=move || html().unwrap_or_else(|| "This experiment is too long for a link: fewer or shorter texts make a shorter one.".into())></textarea>
                <div class="row" role="group" aria-label="Parts that are shown">
                    {PARTS.map(|(name, title)| part(name, title)).collect_view()}
                </div>
            </div>
            <button class="btn go" on:click=copy>"Copy"</button>
            <button class="btn" on:click=move |_| close.run(())>"Close"</button>
        </div>
    }
}
