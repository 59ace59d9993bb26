//! The main job: load, build a vector, steer, send the link; and come back later.

use crate::looks::photograph;
use crate::page::{LOADED, Page, Seen, WRITTEN};
use crate::recipes::smollm2;
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::time::Instant;

const TOKENS: usize = 6;

#[tokio::test]
async fn a_newcomer_steers_the_model_and_a_colleague_sees_the_same() -> Result<()> {
    let stage = Stage::set("steering").await?;
    let own = stage.profile()?;
    let sent = stage
        .play(&own, async |page| {
            load_with_visible_progress(&stage, &page).await?;
            build(&stage, &page).await?;
            let steered = steering_changes_what_is_written(&stage, &page).await?;
            photograph(&page, "steer-written").await?;
            strength_zero_is_the_plain_text(&page, &steered).await?;
            the_slider_acts_while_writing(&page).await?;
            Ok(steered)
        })
        .await?;
    stage.play(&own, async |page| a_later_visit_downloads_nothing(&stage, &page).await).await?;

    let colleague = stage.profile()?;
    stage.play(&colleague, async |page| the_link_gives_the_same_tokens(&stage, &page, &sent).await).await
}

async fn load_with_visible_progress(stage: &Stage, page: &Page<'_>) -> Result<()> {
    let begun = Instant::now();
    page.open_to_steer(&stage.address("/?backend=gpu")).await?;
    let mut shown = BTreeSet::new();
    while begun.elapsed() < LOADED {
        let seen = page.seen().await?;
        ensure!(!seen.model_is("failed"), "the model is not loaded: {:?}", seen.notices);
        if seen.model_is("ready") {
            break;
        }
        shown.extend(seen.progress);
    }
    let seen = page.until_ready().await?;
    stage.took("fetched and loaded on the GPU", begun);
    ensure!(seen.backend.as_deref() == Some("gpu"), "the GPU was asked for: {seen:#?}");
    let of_bytes: Vec<_> = shown.iter().filter(|text| text.contains("MB")).collect();
    ensure!(of_bytes.len() >= 3, "progress in bytes should be seen to move: {shown:#?}");
    let sent = stage.hub.log().bytes_sent(&smollm2().file);
    ensure!(Some(sent) == smollm2().bytes, "the hub sent {sent} bytes of the model");
    Ok(())
}

async fn build(stage: &Stage, page: &Page<'_>) -> Result<()> {
    let begun = Instant::now();
    let seen = page.until_vector_built().await?;
    stage.took(&format!("built a vector from {} pairs", seen.pairs.len()), begun);
    ensure!(seen.pairs.len() >= 4, "a newcomer finds examples: {:?}", seen.pairs);
    Ok(())
}

async fn steering_changes_what_is_written(stage: &Stage, page: &Page<'_>) -> Result<Seen> {
    page.set("max-tokens", &TOKENS.to_string()).await?;
    let begun = Instant::now();
    let seen = page.write().await?;
    stage.took(&format!("wrote {TOKENS} tokens twice"), begun);
    ensure!(seen.plain.tokens.len() == TOKENS, "as many tokens as were asked for: {:?}", seen.plain);
    ensure!(seen.strength.is_some_and(|strength| strength != 0.0), "a built vector acts at once: {seen:#?}");
    ensure!(seen.plain.ids() != seen.steered.ids(), "steering changes nothing: {:?}", seen.steered);
    Ok(seen)
}

/// With a run shown, the slider is enough: the steered text follows it.
async fn strength_zero_is_the_plain_text(page: &Page<'_>, before: &Seen) -> Result<()> {
    page.set("strength", "0").await?;
    let at_zero = |seen: &Seen| {
        let all = seen.steered.tokens.iter().all(|token| token.strength == Some(0.0));
        seen.steered.is("done") && !seen.steered.tokens.is_empty() && all
    };
    let seen = page.until("the steered text follows the slider", WRITTEN, at_zero).await?;
    ensure!(seen.plain == before.plain, "the plain text has no reason to change: {:?}", seen.plain);
    ensure!(seen.steered.ids() == seen.plain.ids(), "strength 0 is not the plain run: {:?}", seen.steered);
    Ok(())
}

async fn the_slider_acts_while_writing(page: &Page<'_>) -> Result<()> {
    page.click("write").await?;
    let begun = |seen: &Seen| seen.steered.is("writing") && !seen.steered.tokens.is_empty();
    page.until("a token is written", WRITTEN, begun).await?;
    page.set("strength", "2").await?;
    let seen = page.until_written().await?;
    let strengths: Vec<_> = seen.steered.tokens.iter().map(|token| token.strength).collect();
    let changed = strengths.iter().position(|&strength| strength == Some(2.0));
    let changed = changed.with_context(|| format!("no token was written with the new strength: {strengths:?}"))?;
    ensure!(
        strengths[..changed].iter().all(|&strength| strength == Some(0.0)),
        "first the old strength: {strengths:?}"
    );
    ensure!(strengths[changed..].iter().all(|&strength| strength == Some(2.0)), "then the new: {strengths:?}");
    let (plain, steered) = (seen.plain.ids(), seen.steered.ids());
    ensure!(plain[..changed] == steered[..changed], "until then, the runs are one: {plain:?} {steered:?}");
    ensure!(plain[changed..] != steered[changed..], "from then on they part: {plain:?} {steered:?}");
    Ok(())
}

async fn a_later_visit_downloads_nothing(stage: &Stage, page: &Page<'_>) -> Result<()> {
    stage.hub.log().clear();
    let begun = Instant::now();
    page.open_to_steer(&stage.address("/?backend=gpu")).await?;
    page.until_ready().await?;
    stage.took("loaded on the GPU from the browser's cache", begun);
    let asked: Vec<_> = stage.hub.log().entries().into_iter().filter(|entry| entry.path.contains(".gguf")).collect();
    ensure!(asked.iter().all(|entry| entry.method != "GET"), "the model was fetched again: {asked:#?}");

    let heap = page.find("model-status").await?.attr("data-heap-bytes").await?;
    let heap: u64 = heap.context("the page knows its memory")?.parse()?;
    let file = smollm2().bytes.context("the model's length is pinned")?;
    println!("e2e: steering: {heap} bytes of WebAssembly memory for a file of {file}");
    ensure!(heap as f64 <= 1.3 * file as f64, "loading takes {heap} bytes of the tab's memory for {file} of the file");

    page.click("nav-models").await?;
    page.find("cache-list").await?;
    photograph(page, "models").await
}

async fn the_link_gives_the_same_tokens(stage: &Stage, page: &Page<'_>, sent: &Seen) -> Result<()> {
    let link = sent.link.as_deref().context("the page shows its link")?;
    let (_, fragment) = link.split_once('#').with_context(|| format!("the link holds the experiment: {link}"))?;
    println!("e2e: steering: the link has {} characters", link.len());
    page.open(&stage.address(&format!("/?backend=gpu#{fragment}"))).await?;
    let at_once = page.seen().await?;
    ensure!(!at_once.model_is("ready"), "this profile has no model yet");
    ensure!(at_once.prompt == sent.prompt, "the prompt is there at once: {at_once:#?}");
    ensure!(at_once.pairs == sent.pairs, "the pairs are there at once: {at_once:#?}");
    ensure!(at_once.strength == sent.strength, "the strength is there at once: {at_once:#?}");
    page.until_ready().await?;
    let seen = page.until_written().await?;
    ensure!(seen.plain.ids() == sent.plain.ids(), "plain: {:?}, sent {:?}", seen.plain, sent.plain);
    ensure!(seen.steered.ids() == sent.steered.ids(), "steered: {:?}, sent {:?}", seen.steered, sent.steered);
    Ok(())
}
