//! What steering does and costs, beside random directions: measured by itself once both texts are written.

use crate::page::WRITTEN;
use crate::recipes::{self, smollm2};
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use std::time::Instant;

#[tokio::test]
async fn evidence_comes_with_its_control() -> Result<()> {
    let stage = Stage::set("evidence").await?;
    let profile = stage.profile()?;
    let link = recipes::link(&recipes::steered(smollm2(), 576)?)?;
    stage
        .play(&profile, async |page| {
            page.open(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            page.until_ready().await?;
            page.until_written().await?;
            let begun = Instant::now();
            let measured = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains("nats"));
            let seen = page.until("the evidence is measured", WRITTEN, |seen| measured(&seen.evidence)).await?;
            stage.took("measured the evidence", begun);
            let text = seen.evidence.context("the evidence is shown")?;
            println!("e2e: evidence: {text:?}");
            for words in ["random", "seeds", "Perplexity of a neutral text"] {
                ensure!(text.contains(words), "\"{words}\" is not in {text:?}");
            }
            Ok(())
        })
        .await
}
