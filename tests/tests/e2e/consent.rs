//! A link that names someone else's model asks before anything is downloaded.

use crate::browser::DRAWN;
use crate::looks::photograph;
use crate::recipes;
use crate::small_models::tiny;
use crate::stage::Stage;
use anyhow::{Result, ensure};
use tiller_sites::ModelRef;

#[tokio::test]
async fn a_link_to_another_repository_asks_first_and_only_once() -> Result<()> {
    let stage = Stage::set_small("consent").await?;
    let profile = stage.profile()?;
    let model = ModelRef { bytes: Some(123_456_789), ..tiny() };
    let with_size = recipes::link(&recipes::plain(model))?;
    let link = recipes::link(&recipes::plain(tiny()))?;
    let asked_for_model = || stage.hub.log().entries().iter().any(|entry| entry.path.contains("tiny"));
    stage
        .play(&profile, async |page| {
            page.open(&stage.address(&format!("/?backend=cpu{with_size}"))).await?;
            let seen = page.until("the page asks", DRAWN, |seen| seen.asked.is_some()).await?;
            let asked = seen.asked.unwrap_or_default();
            println!("e2e: consent: {asked:?}");
            for words in ["This link wants to load", "123.5 MB", "acme/tiny-GGUF", "127.0.0.1"] {
                ensure!(asked.contains(words), "\"{words}\" is not in {asked:?}");
            }
            photograph(&page, "consent").await?;
            page.click("consent-decline").await?;
            let seen = page.until("the question is gone", DRAWN, |seen| seen.asked.is_none()).await?;
            ensure!(seen.model_is("idle") && seen.notices.is_empty(), "declining is no failure: {seen:#?}");
            ensure!(!asked_for_model(), "nothing was asked of the hub: {:#?}", stage.hub.log().entries());

            page.open_and_agree(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            page.until_ready().await?;
            page.until_written().await?;
            Ok(())
        })
        .await?;
    stage.hub.log().clear();
    stage
        .play(&profile, async |page| {
            page.open(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            let seen = page.until_ready().await?;
            ensure!(seen.asked.is_none() && !asked_for_model(), "what is here already needs no question");
            Ok(())
        })
        .await
}
