//! Without a GPU worth the name, the page computes on the CPU, says so, and writes the same.

use crate::page::Seen;
use crate::recipes;
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use std::time::Instant;

#[tokio::test]
async fn both_backends_write_the_same_and_software_gpus_are_not_used_unasked() -> Result<()> {
    let stage = Stage::set("fallback").await?;
    let profile = stage.profile()?;
    let link = recipes::link(&recipes::steered(recipes::smollm2(), 576)?)?;
    let written_with = async |choice: &str| -> Result<Seen> {
        stage
            .play(&profile, async |page| {
                page.open(&stage.address(&format!("/?backend={choice}{link}"))).await?;
                let ready = page.until_ready().await?;
                let begun = Instant::now();
                let written = page.until_written().await?;
                stage.took(&format!("wrote {} tokens twice with {choice}", written.plain.tokens.len()), begun);
                Ok(Seen { note: ready.note, ..written })
            })
            .await
    };
    let auto = written_with("auto").await?;
    let note = auto.note.as_deref().context("a software adapter is worth a note")?.to_lowercase();
    ensure!(note.contains("software") && note.contains("cpu"), "the note says what is used, and why: {note}");
    ensure!(auto.backend.as_deref() == Some("cpu"), "a software GPU is slower than the CPU: {auto:#?}");

    let gpu = written_with("gpu").await?;
    ensure!(gpu.backend.as_deref() == Some("gpu"), "the GPU was asked for: {gpu:#?}");
    ensure!(gpu.plain.ids() == auto.plain.ids(), "plain: GPU {:?}, CPU {:?}", gpu.plain, auto.plain);
    ensure!(gpu.steered.ids() == auto.steered.ids(), "steered: GPU {:?}, CPU {:?}", gpu.steered, auto.steered);
    ensure!(gpu.plain.ids() != gpu.steered.ids(), "the edit of the link acts");
    Ok(())
}
