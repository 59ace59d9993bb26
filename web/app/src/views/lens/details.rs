//! The place that is looked at: what is probable there, and where the other tokens stand.

use super::Looking;
use crate::figures;
use crate::lens::{place, visible};
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::{LensCell, Ranked};

#[component]
pub fn Details() -> impl IntoView {
    let looking = expect_context::<Looking>();
    let shown = Memo::new(move |_| {
        let at = looking.place()?;
        looking.found.with(|found| {
            let layer = found.layers.get(at.row)?;
            let title = format!("{}, token {}", place(layer), found.text.first as usize + at.column);
            Some((title, visible(found.token(at.column)), layer.cells.get(at.column)?.clone()))
        })
    });
    view! {
        <section class="details" data-testid="lens-details" aria-label="What is looked at">
            {move || shown.get().map(|(title, token, cell)| view! {
                <h3>{title}" "<span class="mono">{token}</span></h3>
                <Guesses cell=cell.clone()/>
                <Standing cell/>
            })}
        </section>
    }
}

#[component]
fn Guesses(cell: LensCell) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let most = cell.top.first().map_or(0.0, |first| first.log_prob.exp()).max(f32::MIN_POSITIVE);
    view! {
        <div class="alternatives">
            <ul>
                {cell.top.into_iter().map(|guess| {
                    let share = 100.0 * guess.log_prob.exp() / most;
                    let token = guess.text.clone();
                    view! {
                        <li>
                            <button class="plain mono word" title="Follow this token through the layers"
                                on:click=move |_| bench.follow(token.clone())>{visible(&guess.text)}</button>
                            <span class="track"><span style=format!("width:{share:.1}%")></span></span>
                            <span class="mono share">{figures::probability(guess.log_prob)}</span>
                        </li>
                    }
                }).collect_view()}
            </ul>
        </div>
    }
}

/// Where the tokens stand that are worth comparing, and how undecided the layer is.
#[component]
fn Standing(cell: LensCell) -> impl IntoView {
    let line = |what: &'static str, ranked: Ranked| {
        let rank = figures::grouped(u64::from(ranked.rank));
        view! {
            <dt>{what}" "<span class="mono">{visible(&ranked.text)}</span></dt>
            <dd class="mono">{figures::probability(ranked.log_prob)}", rank "{rank}</dd>
        }
    };
    let entropy = format!("{} nats", figures::quantity(f64::from(cell.entropy)));
    view! {
        <dl class="standing">
            {line("The model's answer", cell.output)}
            {cell.next.map(|next| line("Next in the text", next))}
            {cell.followed.into_iter().flatten().map(|followed| line("Followed", followed)).collect_view()}
            <dt title="0 where one token has all the probability; the more even it is spread, the higher">"Entropy"</dt>
            <dd class="mono">{entropy}</dd>
        </dl>
    }
}
