//! A feature by itself: what it is called and how well that holds, what it writes, its neighbours, where it fires.

use super::changes::ChangeIt;
use super::{Looking, chip};
use crate::features::{name_of, share, title};
use crate::figures;
use crate::lens::visible;
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::{Estimate, FeatureCard, FeatureLoss, FeatureSeen, Passage};

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
    let name = move || looking.names.with(|names| title(feature, names));
    let holds = move || match looking.names.with(|names| name_of(feature, names).map(|name| name.holds)) {
        Some(Some((precision, recall))) => format!(
            "#{feature}. Of the tokens on which it fires, {:.0} % are what the name says; of those that the name means, it fires on {:.0} %. Text that the name was not made from.",
            100.0 * precision,
            100.0 * recall
        ),
        Some(None) => format!("#{feature}. The name was given by hand."),
        None => format!("#{feature}. It has no name yet."),
    };
    let own = move || {
        bench.experiment.with(|experiment| {
            let own = experiment.features.labels.iter().find(|(named, _)| *named == feature);
            own.map(|(_, name)| name.clone()).unwrap_or_default()
        })
    };
    // Where Neuronpedia has a page of it.
    let page = move || {
        bench.features.with(|work| {
            let id = work.sae.info()?.neuronpedia.clone()?;
            Some(format!("https://www.neuronpedia.org/{id}/{feature}"))
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
        <p class="soft small">{holds}</p>
        <div class="row">
            <button class="btn go" data-testid="steer-with-feature" prop:disabled=move || !can_steer()
                title="Makes its direction the vector of the Steer view" on:click=move |_| bench.steer_with_feature()>"Steer with it"</button>
            <button class="btn" data-testid="pin-feature" title="Keeps it in sight, and in the link"
                on:click=move |_| bench.pin_feature(feature)>{move || if pinned() { "Unpin" } else { "Pin" }}</button>
            <label class="labelled inline">"Call it"
                <input class="field small" data-testid="name-feature" maxlength="80" placeholder="a name of your own"
                    title="Kept with the experiment, and in its link" prop:value=own
                    on:change=move |change| bench.name_feature(feature, &event_target_value(&change))/>
            </label>
            {move || page().map(|address| view! { <a class="small" href=address target="_blank" rel="noopener noreferrer">"Its page on Neuronpedia"</a> })}
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
        <ChangeIt feature=card.feature/>
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

/// How often it has which value: a bar for each part of the way to the largest one.
fn histogram(counts: &[u32], largest: f32) -> impl IntoView + use<> {
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f32;
    let width = largest / counts.len().max(1) as f32;
    let bar = |(n, &count): (usize, &u32)| {
        let (low, high) =
            (figures::quantity((n as f32 * width).into()), figures::quantity(((n + 1) as f32 * width).into()));
        // Roots: the few high values are what one wants to see.
        let height = 100.0 * (count as f32 / most).sqrt();
        view! { <i style=format!("height:{height:.1}%") title=format!("{count} tokens with {low} to {high}")></i> }
    };
    let bars = counts.iter().enumerate().map(bar).collect_view();
    view! {
        <div class="histogram" role="img" aria-label="How often it has which value" data-testid="histogram">{bars}</div>
        <p class="row between soft small"><span>"0"</span><span>"how often which value (root scale)"</span><span>{figures::quantity(largest.into())}</span></p>
    }
}

/// The feature on a corpus.
#[component]
fn Seen(seen: FeatureSeen) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = expect_context::<Looking>();
    let largest = seen.largest;
    let together = seen.together.iter().map(|&(feature, share)| {
        view! {
            <li>{chip(bench, looking, feature)}<span class="mono share" title="Of the tokens on which either is active, the share on which both are">{figures::probability(share.max(f32::MIN_POSITIVE).ln())}</span></li>
        }
    });
    let together = together.collect_view();
    let any_together = !seen.together.is_empty();
    view! {
        <h2>"Where it fires most"</h2>
        <p class="soft small">{format!(
            "On {} of the tokens that were read for this; at most {}.", figures::probability(seen.density.max(f32::MIN_POSITIVE).ln()), figures::quantity(largest.into())
        )}</p>
        {(!seen.histogram.is_empty()).then(|| histogram(&seen.histogram, largest))}
        <ol class="passages" data-testid="passages">
            {seen.passages.into_iter().map(|passage| view! { <li>{tinted(passage, largest)}</li> }).collect_view()}
        </ol>
        {any_together.then(|| view! { <h2>"Active on the same tokens"</h2><ul class="near">{together}</ul> })}
        <Without/>
    }
}

/// What the model loses without the feature.
#[component]
fn Without() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = expect_context::<Looking>();
    let measuring = move || bench.features.with(|work| work.ablating.is_some());
    let found = move || {
        let loss = bench.features.with(|work| work.loss.clone())?;
        (looking.feature.get() == Some(loss.feature)).then(|| without(&loss))
    };
    view! {
        <h2>"Without it"</h2>
        <p class="small" data-testid="feature-loss">{found}</p>
        <p class="row">
            <Show when=measuring fallback=move || view! {
                <button class="btn" data-testid="ablate-feature" title="Takes it away in the texts above, at the tokens where it fires, and sees how much worse the model guesses the next one"
                    on:click=move |_| if let Some(feature) = looking.feature.get_untracked() { bench.ablate_feature(feature) }>"Measure what is lost without it"</button>
            }>
                <button class="btn" data-testid="stop-ablating" on:click=move |_| bench.stop_ablating()>"Stop"</button>
            </Show>
        </p>
    }
}

/// What was found, beside other features and whether it is more than nothing.
fn without(loss: &FeatureLoss) -> String {
    let Some(Estimate { mean, interval, .. }) = loss.increase else {
        return "It is active nowhere in these texts.".into();
    };
    let shown = match interval {
        Some((low, high)) => format!(" [{low:+.2}, {high:+.2}]"),
        None => " (one text, which says nothing of others)".into(),
    };
    let random = loss.random.iter().map(|random| format!("{random:+.2}")).collect::<Vec<_>>().join(", ");
    let verdict = match interval {
        Some((low, _)) if low > loss.random.iter().copied().fold(0.0, f64::max) => "",
        _ => " That is no more than chance.",
    };
    format!(
        "At {} tokens of {} texts, the next token costs {mean:+.2} nats{shown}; with as much taken away along other features, {random}.{verdict}",
        loss.tokens, loss.passages
    )
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
