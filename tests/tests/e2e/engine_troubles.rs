//! A GPU that is taken away, a worker that falls over: the experiment is kept, and goes on.

use crate::browser::DRAWN;
use crate::looks::photograph;
use crate::page::{LOADED, Seen, WRITTEN};
use crate::recipes;
use crate::small_models::tiny;
use crate::stage::Stage;
use anyhow::{Result, ensure};

#[tokio::test]
async fn a_lost_gpu_is_replaced_and_one_that_does_not_hold_is_given_up() -> Result<()> {
    let stage = Stage::set_small("lost-gpu").await?;
    let profile = stage.profile()?;
    let link = recipes::link(&recipes::plain(tiny()))?;
    stage
        .play(&profile, async |page| {
            page.open_and_agree(&stage.address(&format!("/?backend=gpu{link}"))).await?;
            page.until_ready().await?;
            let before = page.until_written().await?;
            for time in 1..=2 {
                page.order("lose the GPU").await?;
                page.click("write").await?;
                let told = |seen: &Seen| seen.complaint().contains("gpu was lost") && seen.model_is("ready");
                page.until("the model is loaded again", LOADED, told).await?;
                let written = |seen: &Seen| seen.plain.is("done") && seen.plain.ids() == before.plain.ids();
                page.until("the same text is written", WRITTEN, written).await?;
                if time == 1 {
                    photograph(&page, "lost-gpu").await?;
                }
            }
            page.order("lose the GPU").await?;
            page.click("write").await?;
            let seen = page.until("it is given up", DRAWN, |seen| seen.complaint().contains("does not hold")).await?;
            println!("e2e: lost-gpu: {:?}", seen.notices);
            page.click("use-cpu").await?;
            page.until("the CPU computes", LOADED, |seen| {
                seen.model_is("ready") && seen.backend.as_deref() == Some("cpu")
            })
            .await?;
            let seen = page.write().await?;
            ensure!(seen.plain.ids() == before.plain.ids(), "both backends write the same: {:?}", seen.plain);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_worker_that_falls_over_can_be_started_again() -> Result<()> {
    // The panic itself, and its way out of the worker.
    let stage = Stage::set_small("crash").await?.expecting(&["panicked at", "Uncaught"]);
    let profile = stage.profile()?;
    let link = recipes::link(&recipes::plain(tiny()))?;
    stage
        .play(&profile, async |page| {
            page.open_and_agree(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            page.until_ready().await?;
            page.until_written().await?;
            page.set("prompt", "Written before it fell over").await?;
            page.order("panic").await?;
            page.click("write").await?;
            let seen = page.until("the page says so", DRAWN, |seen| seen.model_is("failed")).await?;
            ensure!(seen.complaint().contains("engine stopped"), "{:?}", seen.notices);
            photograph(&page, "crashed").await?;
            page.click("retry").await?;
            page.until_ready().await?;
            let seen = page.write().await?;
            ensure!(seen.prompt.as_deref() == Some("Written before it fell over"), "{:?}", seen.prompt);
            Ok(())
        })
        .await
}
