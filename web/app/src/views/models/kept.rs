//! What this browser keeps of models, and room for more.

use crate::figures;
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::CacheEntry;

#[component]
pub fn Kept() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    // Browsers pad and delay what they say of the use; the files themselves are known.
    let used = move || {
        let report = bench.cache.get()?;
        let stored = report.entries.iter().filter(|entry| entry.outlives_tab || !report.persistent);
        Some((stored.map(|entry| entry.bytes).sum::<u64>(), report.quota.filter(|_| report.persistent)))
    };
    let use_text = move || {
        used().map(|(used, quota)| match quota {
            Some(quota) => {
                format!("{} of the {} that this browser allows.", figures::bytes(used), figures::bytes(quota))
            }
            None => format!("{} in all.", figures::bytes(used)),
        })
    };
    let share = move || {
        let (used, quota) = used().filter(|(used, _)| *used > 0)?;
        Some(100.0 * (used as f64 / quota.filter(|&quota| quota > 0)? as f64).min(1.0))
    };
    let fleeting = move || bench.cache.with(|report| report.as_ref().is_some_and(|report| !report.persistent));
    let holds = move || used().is_some_and(|(used, _)| used > 0);
    view! {
        <section class="card" aria-label="Kept in this browser" data-testid="cache-list">
            <h2>"Kept in this browser"</h2>
            <p class="soft">{use_text}</p>
            {move || share().map(|share| view! {
                <div class="meter" aria-hidden="true"><span style:width=format!("{share:.2}%")></span></div>
            })}
            <Show when=fleeting>
                <p class="soft">"This browser refuses storage: files are kept only until the tab is closed."</p>
            </Show>
            <Show when=move || holds() && !fleeting() && bench.files_kept.get().is_some()>
                {move || match bench.files_kept.get() {
                    Some(true) => view! { <p class="soft small">"This browser leaves them alone until you delete them."</p> }.into_any(),
                    _ => view! {
                        <p class="soft small">"This browser may delete them when its disk fills up. "
                            <button class="plain" data-testid="keep-files" on:click=move |_| bench.keep_files()>"Ask it not to"</button></p>
                    }.into_any(),
                }}
            </Show>
            {move || match bench.cache.get() {
                None => view! { <p class="soft">"Looking."</p> }.into_any(),
                Some(report) if report.entries.is_empty() => view! { <p class="soft">"Nothing yet. A model that is loaded stays here, so that the next visit needs no download."</p> }.into_any(),
                Some(report) => report.entries.into_iter().map(|entry| view! { <KeptFile entry/> }).collect_view().into_any(),
            }}
        </section>
    }
}

#[component]
fn KeptFile(entry: CacheEntry) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let CacheEntry { model, bytes, complete, outlives_tab } = entry;
    let mut facts = vec![model.repo.clone(), figures::bytes(bytes)];
    facts.extend((!complete).then(|| "not all of it".to_string()));
    facts.extend((!outlives_tab).then(|| "until this tab is closed".to_string()));
    let (load, delete) = (model.clone(), model.clone());
    view! {
        <div class="entry">
            <div><b>{model.file.clone()}</b><p class="soft">{facts.join(" · ")}</p></div>
            <div class="row">
                {(!model.is_sae()).then(|| view! { <button class="btn" on:click=move |_| bench.choose_model(load.clone())>"Load"</button> })}
                <button class="btn" data-testid="delete-model" on:click=move |_| bench.delete_cached(delete.clone())>"Delete"</button>
            </div>
        </div>
    }
}
