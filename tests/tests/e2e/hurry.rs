//! Someone who is faster than the page is drawn.

use crate::lens;
use crate::recipes;
use crate::small_models::tiny;
use crate::stage::Stage;
use anyhow::{Result, ensure};

/// Opens every view in turn, several times, and leaves each before the browser has drawn it. Returns how many there are.
const HURRY: &str = "
    const done = arguments[arguments.length - 1];
    const views = [...document.querySelectorAll('nav [data-testid^=nav-]')].map(link => link.dataset.testid);
    (async () => {
        for (let round = 0; round < 10; round++) {
            for (const view of views) {
                document.querySelector(`[data-testid=${view}]`).click();
                await new Promise(resolve => setTimeout(resolve));
            }
        }
        requestAnimationFrame(() => setTimeout(() => done(views.length)));
    })();";

#[tokio::test]
async fn views_that_are_left_before_they_are_drawn_break_nothing() -> Result<()> {
    let stage = Stage::set_small("hurry").await?;
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            let link = recipes::link(&recipes::plain(tiny()))?;
            page.open_and_agree(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            page.until_ready().await?;
            // A view with findings has the most to draw.
            page.click("nav-lens").await?;
            lens::until(&page, "the prompt is read", |shown| shown.state == "read").await?;
            let views = page.browser.client.execute_async(HURRY, vec![]).await?;
            ensure!(views == 8, "{views} views were opened");
            Ok(())
        })
        .await
}
