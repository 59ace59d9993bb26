//! The browser's cache of model files, as its user sees it: what is kept can be deleted, and what is kept of a file that
//! was not fetched to the end is not fetched again.

use crate::browser::DRAWN;
use crate::page::{LOADED, Seen};
use crate::recipes::smollm2;
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use fantoccini::Locator;
use tiller_localhub::Fault;

#[tokio::test]
async fn a_download_goes_on_after_being_cancelled_and_a_deleted_file_is_gone() -> Result<()> {
    let stage = Stage::set("kept-files").await?;
    let model = smollm2();
    let profile = stage.profile()?;
    stage.hub.faults().always(&model.file, Fault::Throttle { bytes_per_second: 8_000_000 });
    stage
        .play(&profile, async |page| {
            page.open_to_steer(&stage.address("/?backend=cpu")).await?;
            let well_begun = || stage.hub.log().bytes_sent(&model.file) > 24_000_000;
            page.until("some of the model is fetched", LOADED, |_| well_begun()).await?;
            let cancel = Locator::XPath("//*[@data-testid='progress']//button[text()='Cancel']");
            page.browser.client.find(cancel).await?.click().await?;
            let seen = page.until("the download is cancelled", DRAWN, |seen| !seen.model_is("loading")).await?;
            ensure!(seen.model_is("idle") && seen.notices.is_empty(), "cancelling is no failure: {seen:#?}");

            stage.hub.faults().clear();
            stage.hub.log().clear();
            page.click("nav-models").await?;
            ensure!(page.find("cache-list").await?.text().await?.contains("not all of it"), "the part is listed");
            page.click("load-model").await?;
            page.until_ready().await?;
            let rest = stage.hub.log().bytes_sent(&model.file);
            let whole = model.bytes.context("the catalogue says the size")?;
            ensure!(rest > 0 && rest < whole - 16_000_000, "only the rest is fetched: {rest} bytes of {whole}");

            page.click("delete-model").await?;
            let list = page.find("cache-list").await?;
            let begun = std::time::Instant::now();
            while list.text().await?.contains(&model.file) {
                ensure!(begun.elapsed() < DRAWN, "the file is still listed: {}", list.text().await?);
            }
            page.click("nav-steer").await?;
            let written = |seen: &Seen| seen.plain.is("done");
            page.set("max-tokens", "3").await?;
            page.click("write").await?;
            page.until("the model that is loaded still writes", LOADED, written).await?;
            Ok(())
        })
        .await?;

    stage.hub.log().clear();
    stage
        .play(&profile, async |page| {
            page.open_to_steer(&stage.address("/?backend=cpu")).await?;
            page.until_ready().await?;
            let fetched = stage.hub.log().bytes_sent(&model.file);
            ensure!(Some(fetched) == model.bytes, "a deleted file is fetched whole: {fetched} bytes");
            Ok(())
        })
        .await
}
