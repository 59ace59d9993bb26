//! Pictures of every state of the page, in both widths and both themes, for people to look at; and that nothing is
//! wider than a phone.

use crate::browser::{DRAWN, Theme, Width};
use crate::page::{Page, Seen};
use crate::recipes::smollm2;
use crate::stage::Stage;
use anyhow::{Result, ensure};
use tiller_localhub::Fault;

#[tokio::test]
async fn loading_and_failing_have_looks_too() -> Result<()> {
    let stage = Stage::set("looks").await?;
    let slow = Fault::Throttle { bytes_per_second: 2_000_000 };
    stage.hub.faults().always(&smollm2().file, slow);
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            page.open_to_steer(&stage.address("/?backend=cpu")).await?;
            let bytes = |seen: &Seen| seen.progress.as_ref().is_some_and(|text| text.contains("MB/s"));
            page.until("progress is shown in bytes", DRAWN, bytes).await?;
            photograph(&page, "steer-loading").await?;
            page.click("nav-models").await?;
            photograph(&page, "models-loading").await
        })
        .await?;

    stage.hub.faults().clear();
    stage.hub.faults().always(&smollm2().file, Fault::Status(404));
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            page.open_to_steer(&stage.address("/?backend=cpu")).await?;
            page.until("the failure is shown", DRAWN, |seen| seen.model_is("failed")).await?;
            photograph(&page, "steer-failed").await
        })
        .await
}

/// Saves `{name}-{wide|phone}-{light|dark}.png`, and leaves the page wide and light.
pub async fn photograph(page: &Page<'_>, name: &str) -> Result<()> {
    for (width, width_name) in [(Width::Phone, "phone"), (Width::Wide, "wide")] {
        for (theme, theme_name) in [(Theme::Dark, "dark"), (Theme::Light, "light")] {
            page.browser.show(width, theme).await?;
            let script = "return document.documentElement.scrollWidth";
            let wide = page.browser.client.execute(script, vec![]).await?.as_u64();
            let (columns, _) = width.pixels();
            ensure!(wide <= Some(columns.into()), "{name} is {wide:?} pixels wide on a {width_name} of {columns}");
            page.browser.screenshot(&format!("{name}-{width_name}-{theme_name}"), width).await?;
        }
    }
    page.browser.show(Width::Wide, Theme::Light).await
}
