//! The Features view: the SAE that comes with the page, features by text, by name and by number, and steering by one.

use crate::looks::photograph;
use crate::page::{Page, WRITTEN};
use crate::recipes::{self, smollm2};
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tiller_recipe::{Features, Prompt, Recipe, View};

/// What the view shows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Shown {
    /// `none`, `loading`, `reading` or `read`.
    state: String,
    sae: String,
    quality: String,
    tokens: Vec<String>,
    /// How deep each token's colour is.
    tints: Vec<String>,
    /// The features that are listed.
    listed: Vec<u32>,
    /// The feature whose card is shown, once it is there.
    card: Option<u32>,
    positive: Vec<String>,
    passages: usize,
    found: Vec<u32>,
    pinned: Vec<u32>,
    /// Changes of features, in words.
    changes: Vec<String>,
    /// Tokens that were written, and on which the feature is active.
    active: usize,
}

const SHOWN: &str = "
    const at = (id) => document.querySelector(`[data-testid=${id}]`);
    const all = (selector) => [...document.querySelectorAll(selector)];
    const numbers = (selector) => all(selector).map(element => Number(element.dataset.feature));
    return {
        state: at('features')?.dataset.state ?? 'no view',
        sae: at('sae')?.textContent ?? '',
        quality: at('sae-quality')?.textContent ?? '',
        tokens: all('[data-testid=feature-tokens] button').map(token => token.textContent),
        tints: all('[data-testid=feature-tokens] button').map(token => token.style.background),
        listed: numbers('[data-testid=feature-list] button'),
        card: at('positive-logits') ? Number(at('feature-card').dataset.feature) : null,
        positive: all('[data-testid=positive-logits] li span:first-child').map(token => token.textContent),
        passages: all('[data-testid=passages] li').length,
        found: numbers('[data-testid=found-features] button'),
        pinned: numbers('[data-testid=pinned-features] button'),
        changes: all('[data-testid=feature-edits] li').map(row => row.textContent),
        active: all('[data-testid=steered-text] .tok')
            .filter(token => token.style.background && !token.style.background.includes(' 0%')).length,
    };";

async fn until(page: &Page<'_>, what: &str, holds: impl Fn(&Shown) -> bool) -> Result<Shown> {
    page.until_read(SHOWN, what, WRITTEN, holds).await
}

#[tokio::test]
async fn features_of_a_text_are_found_named_pinned_linked_and_steered_by() -> Result<()> {
    let stage = Stage::set("features").await?;
    let profile = stage.profile()?;
    let text = "The old captain sailed his ship across the stormy sea to London in 1842.";
    let recipe = Recipe { prompt: Prompt::Text(text.into()), view: View::Features, ..recipes::plain(smollm2()) };
    let address = stage.address("/?backend=cpu") + &recipes::link(&recipe)?;
    let link = stage
        .play(&profile, async |page| {
            page.open(&address).await?;
            photograph(&page, "features-empty").await?;
            page.until_ready().await?;
            let read = until(&page, "the text is read", |now| now.state == "read" && now.card.is_some()).await?;
            ensure!(read.sae.contains("4,096 features") && read.sae.contains("hook_resid_post"), "{}", read.sae);
            ensure!(read.quality.contains("recovered, where as many principal components"), "{}", read.quality);
            ensure!(read.tokens.len() > 12 && read.listed.len() == 20, "{read:?}");
            ensure!(read.card == read.listed.first().copied(), "the strongest is looked at first: {read:?}");
            ensure!(read.positive.len() == 10, "{:?}", read.positive);
            let deepest: Vec<usize> = (0..read.tints.len()).filter(|&n| read.tints[n].contains(" 60.0%")).collect();
            ensure!(
                !deepest.is_empty() && !deepest.contains(&0),
                "the strongest token but the first: {:?}",
                read.tints
            );
            photograph(&page, "features").await?;

            // At one token.
            let last = "[...document.querySelectorAll('[data-testid=feature-tokens] button')].at(-2).click()";
            page.browser.client.execute(last, vec![]).await?;
            let of_token = until(&page, "another list is shown", |now| now.listed != read.listed).await?;
            ensure!(!of_token.listed.is_empty() && of_token.card == read.card, "{of_token:?}");

            let second = read.listed[1];
            page.set("find-feature", &second.to_string()).await?;
            until(&page, "it is found by its number", |now| now.found == [second]).await?;
            page.click("feature-chip").await?;
            let other = until(&page, "another card is shown", |now| now.card == Some(second)).await?;
            ensure!(other.positive != read.positive, "another feature writes other words");
            page.click("pin-feature").await?;
            until(&page, "it is pinned", |now| now.pinned == [second]).await?;
            page.set("find-feature", "no such word").await?;
            until(&page, "nothing is found", |now| now.found.is_empty()).await?;

            let link = page.seen().await?.link.context("the page has a link")?;
            let features = recipes::of_link(&link)?.features;
            ensure!(
                features == Features { feature: Some(second), pinned: vec![second], ..Features::default() },
                "{features:?}"
            );

            // What is lost without it, beside other features.
            page.click("ablate-feature").await?;
            let lost = "return document.querySelector('[data-testid=feature-loss]')?.textContent ?? ''";
            let lost =
                page.until_read(lost, "what is lost is measured", WRITTEN, |lost: &String| !lost.is_empty()).await?;
            ensure!(lost.contains("nats [") && lost.contains("along other features"), "{lost}");

            // Held at its largest value while the model writes.
            page.click("change-feature").await?;
            let changed = page.until_written().await?;
            ensure!(changed.plain.ids() != changed.steered.ids(), "a feature held high changes what is written");
            let shown = until(&page, "written tokens are tinted", |now| now.active > 0).await?;
            ensure!(shown.changes.len() == 1 && shown.changes[0].contains("held at"), "{:?}", shown.changes);
            let edits = recipes::of_link(&changed.link.context("the page has a link")?)?.feature_edits;
            ensure!(edits.len() == 1 && edits[0].feature == second, "{edits:?}");
            photograph(&page, "features-changed").await?;
            page.click("leave-feature").await?;
            until(&page, "the change is gone", |now| now.changes.is_empty()).await?;

            page.click("steer-with-feature").await?;
            page.click("write").await?;
            let written = page.until_written().await?;
            let vector = recipes::of_link(&written.link.context("the page has a link")?)?.vectors;
            ensure!(vector.len() == 1 && vector[0].method == "sae-feature", "{vector:?}");
            ensure!(written.plain.ids() != written.steered.ids(), "a feature's direction changes what is written");
            photograph(&page, "features-steered").await?;
            Ok(link)
        })
        .await?;

    // Whoever gets the link sees the same feature.
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            page.open(&link.replace("/#", "/?backend=cpu#")).await?;
            page.until_ready().await?;
            let opened = until(&page, "the feature is shown", |now| now.card.is_some()).await?;
            ensure!(opened.card == opened.pinned.first().copied(), "{opened:?}");
            Ok(())
        })
        .await
}
