//! Links that cannot be used: each says why and what to do, and the page is there for everything else.

use crate::browser::DRAWN;
use crate::recipes::{self, smollm2};
use crate::stage::Stage;
use anyhow::{Result, ensure};
use tiller_recipe::LINK_LIMIT;

#[tokio::test]
async fn links_that_cannot_be_used_say_why() -> Result<()> {
    let stage = Stage::set("bad-links").await?;
    let profile = stage.profile()?;
    let whole = recipes::link(&recipes::steered(smollm2(), 576)?)?;
    let links = [
        ("damaged", whole[..whole.len() - 20].to_owned(), "copy it whole"),
        ("too large", format!("#r1={}", "A".repeat(LINK_LIMIT + 1)), "as a file"),
        ("newer version", "#r2=eJwrSS0uAQAEXQHB".to_owned(), "reload the page"),
    ];
    stage
        .play(&profile, async |page| {
            for (says, link, remedy) in &links {
                page.open(&stage.address(&format!("/?backend=cpu{link}"))).await?;
                page.until("the link is refused", DRAWN, |seen| !seen.notices.is_empty()).await?;
                // Still there once everything else is: nobody reads a notice in a second.
                let seen = page.until_ready().await?;
                println!("e2e: bad-links: {says}: {:?}", seen.notices);
                ensure!(seen.complaint().contains(says) && seen.complaint().contains(remedy), "{:?}", seen.notices);
                page.set("prompt", "Still here").await?;
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_vector_of_another_model_is_refused_when_it_is_to_act() -> Result<()> {
    let stage = Stage::set("other-width").await?;
    let profile = stage.profile()?;
    let link = recipes::link(&recipes::steered(smollm2(), 64)?)?;
    stage
        .play(&profile, async |page| {
            page.open(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            page.until_ready().await?;
            let seen = page.until("the vector is refused", DRAWN, |seen| !seen.notices.is_empty()).await?;
            println!("e2e: other-width: {:?}", seen.notices);
            for words in ["64", "576", "made with this model"] {
                ensure!(seen.complaint().contains(words), "\"{words}\" is not in {:?}", seen.notices);
            }
            page.click("build-vector").await?;
            page.until_vector_built().await?;
            let seen = page.write().await?;
            ensure!(seen.plain.ids() != seen.steered.ids(), "a vector of this model acts");
            Ok(())
        })
        .await
}
