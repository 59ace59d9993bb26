//! Where a head looks.

use super::Looking;
use crate::lens::visible;
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::Attention;

#[component]
pub fn HeadAttention() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = expect_context::<Looking>();
    let pattern = Memo::new(move |_| {
        let (layer, head) = looking.head.get()?;
        bench.patch.with(|patch| {
            let attention = patch.attention.as_ref().filter(|attention| attention.layer == layer)?;
            Some((attention.clone(), head as usize))
        })
    });
    let is_by_head =
        move || looking.found.with(|found| found.attribution.is_some() || found.map().is_some_and(|map| map.by_head));
    view! {
        <section class="attention" data-testid="attention" aria-label="Where a head looks">
            {move || match (looking.head.get(), pattern.get()) {
                (Some((layer, head)), Some((attention, _))) => view! { <Pattern layer head attention/> }.into_any(),
                (Some(_), None) => view! { <p class="soft small">"Reading where it looks"</p> }.into_any(),
                (None, _) if is_by_head() => view! { <p class="soft small">"Press a head to see where it looks."</p> }.into_any(),
                (None, _) => ().into_any(),
            }}
        </section>
    }
}

/// A triangle of shares, and the text tinted by the row that is looked at.
#[component]
fn Pattern(layer: u32, head: u32, attention: Attention) -> impl IntoView {
    let Attention { tokens, heads, .. } = attention;
    let rows = heads.into_iter().nth(head as usize).unwrap_or_default();
    let texts: Vec<String> = tokens.iter().map(|token| visible(&token.text)).collect();
    let last = rows.len().saturating_sub(1);
    let from = RwSignal::new(last);
    let size = rows.len();
    let triangle = rows.iter().enumerate().map(|(query, row)| {
        let squares = row.iter().enumerate().map(|(key, share)| {
            let title = format!("{} looks at {}: {:.0} %", texts[query], texts[key], 100.0 * share);
            view! {
                <rect x=key y=query width="1" height="1" fill-opacity=format!("{share:.3}")><title>{title}</title></rect>
            }
        });
        view! { <g on:mouseover=move |_| from.set(query)>{squares.collect_view()}</g> }
    }).collect_view();
    let shown = rows.clone();
    let tinted = texts.iter().enumerate().map(|(key, text)| {
        let rows = shown.clone();
        let share = move || rows.get(from.get()).and_then(|row| row.get(key)).copied().unwrap_or(0.0);
        let of_title = share.clone();
        view! {
            <button type="button" class="mono looked" class:from=move || from.get() == key
                style=move || format!("--share:{:.3}", share()) title=move || format!("gets {:.0} %", 100.0 * of_title())
                on:mouseover=move |_| from.set(key) on:focus=move |_| from.set(key)>{text.clone()}</button>
        }
    }).collect_view();
    view! {
        <h3>{format!("Head {layer}.{head}: where it looks")}</h3>
        <p class="looked-text" data-testid="attention-text">{tinted}</p>
        <svg viewBox=format!("0 0 {size} {size}") class="triangle" role="img"
            aria-label="Attention by the token that looks, downwards, and the token that is looked at, across">
            {triangle}
            <rect class="looking" x="0" y=move || from.get() width=move || from.get() + 1 height="1"/>
        </svg>
        <p class="soft small">"A row is a token that looks, a column one that is looked at. The text is tinted for the row under the pointer."</p>
    }
}
