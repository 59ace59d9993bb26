//! Links in a page that is open already, and links that cannot be used: each says why and what to do, and the page is
//! there for everything else.

use crate::browser::DRAWN;
use crate::page::WRITTEN;
use crate::recipes::{self, smollm2};
use crate::stage::Stage;
use anyhow::{Result, ensure};
use tiller_recipe::{LINK_LIMIT, Prompt, Recipe, VERSION};

#[tokio::test]
async fn links_that_cannot_be_used_say_why() -> Result<()> {
    let stage = Stage::set("links").await?;
    let profile = stage.profile()?;
    let whole = recipes::link(&recipes::steered(smollm2(), 576)?)?;
    let links = [
        ("damaged", whole[..whole.len() - 20].to_owned(), "copy it whole"),
        ("too large", format!("#r1={}", "A".repeat(LINK_LIMIT + 1)), "as a file"),
        ("newer version", format!("#r{}=eJwrSS0uAQAEXQHB", VERSION + 1), "reload the page"),
    ];
    stage
        .play(&profile, async |page| {
            for (says, link, remedy) in &links {
                page.open(&stage.address(&format!("/?backend=cpu{link}"))).await?;
                page.until("the link is refused", DRAWN, |seen| !seen.notices.is_empty()).await?;
                // Still there once everything else is: nobody reads a notice in a second.
                let seen = page.until_ready().await?;
                println!("e2e: links: {says}: {:?}", seen.notices);
                ensure!(seen.complaint().contains(says) && seen.complaint().contains(remedy), "{:?}", seen.notices);
                page.click("nav-steer").await?;
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

/// Pasted into the address bar of an open page, a link changes the fragment, and nothing is loaded anew.
#[tokio::test]
async fn a_link_opens_in_a_page_that_is_open() -> Result<()> {
    let stage = Stage::set("pasted-link").await?;
    let profile = stage.profile()?;
    let first = recipes::steered(smollm2(), 576)?;
    let second = Recipe { prompt: Prompt::Text("My favourite food is".into()), ..recipes::steered(smollm2(), 576)? };
    let address = |recipe: &Recipe| Ok::<_, anyhow::Error>(stage.address("/?backend=cpu") + &recipes::link(recipe)?);
    stage
        .play(&profile, async |page| {
            page.open(&address(&first)?).await?;
            page.until_ready().await?;
            let before = page.until_written().await?;
            stage.hub.log().clear();
            page.browser.client.goto(&address(&second)?).await?;
            let seen = page
                .until("the second link's text is written", WRITTEN, |seen| {
                    seen.plain.is("done") && seen.plain.ids() != before.plain.ids()
                })
                .await?;
            ensure!(
                seen.prompt.as_deref() == Some("My favourite food is"),
                "the second link's prompt: {:?}",
                seen.prompt
            );
            let asked = stage.hub.log().entries();
            ensure!(asked.is_empty(), "the page and the model are there already: {asked:#?}");
            Ok(())
        })
        .await
}
