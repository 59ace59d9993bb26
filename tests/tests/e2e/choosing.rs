//! Any model of the hub: name a repository, see what it offers, load it; and what stands in the way.

use crate::browser::DRAWN;
use crate::looks::photograph;
use crate::page::{Page, Seen};
use crate::recipes;
use crate::small_models::{VERSIONS, tiny};
use crate::stage::Stage;
use anyhow::{Result, ensure};
use tiller_localhub::Fault;

/// Opens the page with a model that is not loaded.
pub async fn open_without_model(stage: &Stage, page: &Page<'_>) -> Result<()> {
    let link = recipes::link(&recipes::plain(tiny()))?;
    page.open(&stage.address(&format!("/?backend=cpu{link}"))).await?;
    page.until("the page asks", DRAWN, |seen| seen.asked.is_some()).await?;
    page.click("consent-decline").await?;
    page.click("nav-models").await
}

pub async fn look_up(page: &Page<'_>, repository: &str) -> Result<Seen> {
    page.set("repository", repository).await?;
    page.click("look-up").await?;
    let answered =
        |seen: &Seen| seen.listing.as_ref().is_some_and(|text| !text.contains("Asking") && !text.contains("often end"));
    page.until("the hub has answered", DRAWN, answered).await
}

#[tokio::test]
async fn a_repository_is_listed_and_what_is_proposed_loads() -> Result<()> {
    let stage = Stage::set_small("choosing").await?;
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            open_without_model(&stage, &page).await?;
            let seen = look_up(&page, VERSIONS).await?;
            let listing = seen.listing.unwrap_or_default();
            println!("e2e: choosing: {listing:?}");
            for words in ["tiny.Q8_0.gguf", "tiny.F16.gguf", "Proposed, because Q8_0", "files that cannot be loaded"] {
                ensure!(listing.contains(words), "\"{words}\" is not in {listing:?}");
            }
            photograph(&page, "models-listing").await?;
            page.click("load-proposed").await?;
            page.until_ready().await?;
            ensure!(stage.hub.log().bytes_sent("tiny.Q8_0.gguf") > 0, "the proposed file is the one that was fetched");

            for (repository, words) in [
                ("acme/nothing", "no repository acme/nothing"),
                ("acme/pictures", "no model here"),
                ("acme/../x", "no repository name"),
                ("acme", "owner/name"),
            ] {
                page.set("repository", repository).await?;
                page.click("look-up").await?;
                let says = |seen: &Seen| seen.listing.as_ref().is_some_and(|text| text.contains(words));
                if repository.contains('/') {
                    page.until("the page says what is wrong", DRAWN, says).await?;
                }
            }
            photograph(&page, "models-refused").await
        })
        .await
}

#[tokio::test]
async fn a_gated_model_is_loaded_with_a_token_that_is_kept_nowhere() -> Result<()> {
    const RIGHT: &str = "hf_rightToken";
    let stage = Stage::set_small("gated").await?;
    stage.hub.faults().always(&tiny().file, Fault::Gated { token: RIGHT });
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            let link = recipes::link(&recipes::plain(tiny()))?;
            page.open_and_agree(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            let seen = page.until("the hub refuses", DRAWN, |seen| seen.model_is("failed")).await?;
            ensure!(seen.complaint().contains("accepted its terms"), "it says what to do: {:?}", seen.notices);
            photograph(&page, "gated").await?;

            page.set("token", "hf_wrong").await?;
            page.click("use-token").await?;
            let refused = |seen: &Seen| seen.complaint().contains("another token");
            page.until("a wrong token is refused", DRAWN, refused).await?;
            page.set("token", RIGHT).await?;
            page.click("use-token").await?;
            let seen = page.until_ready().await?;
            ensure!(seen.link.is_some_and(|link| !link.contains(RIGHT)), "no link holds the token");
            let script =
                "return JSON.stringify({ ...localStorage, ...sessionStorage }) + document.documentElement.outerHTML
                + [...document.querySelectorAll('input')].map((input) => input.value).join()";
            let kept = page.browser.client.execute(script, vec![]).await?.to_string();
            ensure!(!kept.contains(RIGHT), "the token is kept in the page");
            Ok(())
        })
        .await
}
