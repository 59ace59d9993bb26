//! On the CPU, as many threads compute as the page may have, and they compute what one does.

use crate::browser::Width;
use crate::page::Seen;
use crate::recipes;
use crate::small_models::tiny;
use crate::stage::Stage;
use anyhow::{Result, ensure};
use std::time::Instant;
use tiller_engine::BackendKind;
use tiller_tests::running;

/// As many as there are cores, and four at the most.
fn most_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(4)
}

#[tokio::test]
async fn an_isolated_page_computes_with_several_threads_and_writes_what_one_writes() -> Result<()> {
    let recipe = recipes::steered(recipes::smollm2(), 576)?;
    let link = recipes::link(&recipe)?;
    let mut native = tiller_tests::load(BackendKind::Cpu, 512);
    let prompt = native.tokens(&recipe.prompt)?;
    let expected = running::write(&mut native, &running::generation(&[&prompt], recipe.max_tokens)).swap_remove(0);
    drop(native);

    let written = async |stage: Stage| -> Result<Seen> {
        let profile = stage.profile()?;
        stage
            .play(&profile, async |page| {
                page.open(&stage.address(&format!("/?backend=cpu{link}"))).await?;
                page.until_ready().await?;
                let begun = Instant::now();
                let seen = page.until_written().await?;
                stage.took(&format!("wrote with {:?} threads", seen.threads), begun);
                let help: String =
                    page.read("return document.querySelector('[data-testid=\"model-status\"]').title").await?;
                let threads = if seen.threads == Some(1) { "in one thread" } else { "threads" };
                ensure!(help.contains(threads), "the status says how many threads: {help}");
                page.browser.screenshot("threads", Width::Wide).await?;
                Ok(seen)
            })
            .await
    };
    let isolated = written(Stage::set("threads").await?).await?;
    ensure!(isolated.threads == Some(most_threads()), "{:?} of {} threads", isolated.threads, most_threads());
    ensure!(isolated.plain.ids() == expected, "plain: {:?}, natively {expected:?}", isolated.plain);

    let alone = written(Stage::set_without_isolation("one-thread").await?).await?;
    ensure!(alone.threads == Some(1), "memory that is not shared: {:?}", alone.threads);
    ensure!(alone.plain.ids() == expected, "plain: {:?}, natively {expected:?}", alone.plain);
    ensure!(alone.steered.ids() == isolated.steered.ids(), "steered: {:?}, {:?}", alone.steered, isolated.steered);
    Ok(())
}

#[tokio::test]
async fn threads_that_do_not_start_are_done_without() -> Result<()> {
    let stage = Stage::set_small("no-lanes").await?.expecting(&["lane.js"]);
    std::fs::remove_file(stage.dist().join("lane.js"))?;
    let profile = stage.profile()?;
    let link = recipes::link(&recipes::plain(tiny()))?;
    stage
        .play(&profile, async |page| {
            page.open_and_agree(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            let seen = page.until_ready().await?;
            ensure!(seen.threads == Some(1), "{:?}", seen.threads);
            page.until_written().await?;
            Ok(())
        })
        .await
}
