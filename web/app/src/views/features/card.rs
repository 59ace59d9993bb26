//! A feature by itself: what it is called and how well that holds, what it writes, its neighbours, where it fires.

use super::{Looking, chip};
use crate::features::{label, share, title};
use crate::figures;
use crate::lens::visible;
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::{FeatureCard, FeatureSeen, Passage};

#[component]
pub fn Card() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = expect_context::<Looking>();
    let card = Memo::new(move |_| bench.features.with(|work| work.card.clone()));
    move || {
        let feature = looking.feature.get()?;
        Some(view! {
            <section class="card feature-card" data-testid="feature-card" data-feature=feature aria-label="The feature that is looked at">
                <Head feature/>
                {move || card.get().filter(|card| card.feature == feature).map(|card| view! { <Body card/> })}
            </section>
        })
    }
}

#[component]
fn Head(feature: u32) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = expect_context::<Looking>();
    let name = move || looking.labels.with(|labels| title(feature, labels));
    let holds = move || {
        looking.labels.with(|labels| {
            label(feature, labels).map(|label| {
                format!(
                    "#{feature}. The label names {:.0} % of the tokens on which it fires, and it fires on {:.0} % of those that the label names; on text that the label was not made from.",
                    100.0 * label.precision,
                    100.0 * label.recall
                )
            })
        })
    };
    let pinned = move || bench.experiment.with(|experiment| experiment.features.pinned.contains(&feature));
    let can_steer = move || {
        bench
            .features
            .with(|work| work.card.as_ref().is_some_and(|card| card.feature == feature && card.direction.is_some()))
    };
    view! {
        <h3>{name}</h3>
        {move || holds().map(|words| view! { <p class="soft small">{words}</p> })}
        <div class="row">
            <button class="btn go" data-testid="steer-with-feature" prop:disabled=move || !can_steer()
                title="Makes its direction the vector of the Steer view" on:click=move |_| bench.steer_with_feature()>"Steer with it"</button>
            <button class="btn" data-testid="pin-feature" title="Keeps it in sight, and in the link"
                on:click=move |_| bench.pin_feature(feature)>{move || if pinned() { "Unpin" } else { "Pin" }}</button>
        </div>
    }
}

#[component]
fn Body(card: FeatureCard) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = expect_context::<Looking>();
    let (largest, smallest) = card.random;
    let side = |tokens: Vec<(String, f32)>, random: f32| {
        let row = move |(token, logit): (String, f32)| {
            view! {
                // What random directions reach as well is no word of the feature's.
                <li class:within=move || logit.abs() <= random.abs()><span class="mono">{visible(&token)}</span><span class="mono share">{format!("{logit:+.2}")}</span></li>
            }
        };
        tokens.into_iter().map(row).collect_view()
    };
    let near = card.near.iter().map(|&(feature, cosine)| {
        view! {
            <li>{chip(bench, looking, feature)}<span class="mono share">{format!("{cosine:+.2}")}</span></li>
        }
    });
    view! {
        <div class="logits">
            <div><h2>"Speaks against"</h2><ul data-testid="negative-logits">{side(card.negative, smallest)}</ul></div>
            <div><h2>"Speaks for"</h2><ul data-testid="positive-logits">{side(card.positive, largest)}</ul></div>
        </div>
        <p class="soft small">{format!(
            "Logits that each unit of it adds directly. Random directions of its length reach {smallest:+.2} to {largest:+.2} at the most: pale words are within that."
        )}</p>
        {card.seen.map(|seen| view! { <Seen seen/> })}
        <h2>"Most alike"</h2>
        <ul class="near">{near.collect_view()}</ul>
    }
}

/// The feature on a corpus.
#[component]
fn Seen(seen: FeatureSeen) -> impl IntoView {
    let largest = seen.largest;
    view! {
        <h2>"Where it fires most"</h2>
        <p class="soft small">{format!(
            "On {} of a corpus's tokens; at most {}.", figures::probability(seen.density.max(f32::MIN_POSITIVE).ln()), figures::quantity(largest.into())
        )}</p>
        <ol class="passages" data-testid="passages">
            {seen.passages.into_iter().map(|passage| view! { <li>{tinted(passage, largest)}</li> }).collect_view()}
        </ol>
    }
}

fn tinted(passage: Passage, largest: f32) -> impl IntoView {
    let Passage { tokens, values } = passage;
    let token = |(token, value): (String, f32)| {
        let depth = 60.0 * share(value, largest);
        view! { <span style=format!("background:color-mix(in srgb, var(--accent) {depth:.1}%, transparent)") title=format!("{value:.4}")>{token.replace('\n', "↵")}</span> }
    };
    let values = values.into_iter().chain(std::iter::repeat(0.0));
    tokens.into_iter().zip(values).map(token).collect_view()
}
