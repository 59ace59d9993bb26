//! A disk that is full, storage that is refused, two tabs that want the same file.

use crate::browser::DRAWN;
use crate::looks::photograph;
use crate::orders;
use crate::page::{LOADED, Seen};
use crate::recipes;
use crate::small_models::{long, tiny};
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use tiller_localhub::Fault;

#[tokio::test]
async fn a_full_disk_leaves_the_model_in_memory_and_says_so() -> Result<()> {
    let stage = Stage::set_small("full-disk").await?;
    let profile = stage.profile()?;
    let link = recipes::link(&recipes::plain(long()))?;
    stage
        .play(&profile, async |page| {
            let quota = json!({ "origin": stage.hub.origin(), "quotaSize": 6_000_000 });
            page.browser.devtools("Storage.overrideQuotaForOrigin", quota).await?;
            page.open_and_agree(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            let seen = page.until_ready().await?;
            let note = seen.model_note.context("it says where the model is")?;
            println!("e2e: full-disk: {note:?}");
            ensure!(note.contains("full") && note.contains("until the tab is closed"), "{note:?}");
            page.until_written().await?;
            page.click("nav-models").await?;
            let list = page.find("cache-list").await?.text().await?;
            ensure!(list.contains("until this tab is closed"), "{list}");
            photograph(&page, "models-full-disk").await
        })
        .await
}

#[tokio::test]
async fn a_browser_that_refuses_storage_still_loads() -> Result<()> {
    let stage = Stage::set_small("no-storage").await?;
    orders::refuse_storage(stage.dist())?;
    let profile = stage.profile()?;
    let link = recipes::link(&recipes::plain(tiny()))?;
    stage
        .play(&profile, async |page| {
            page.open_and_agree(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            let seen = page.until_ready().await?;
            ensure!(seen.model_note.is_some_and(|note| note.contains("until the tab is closed")), "it says so");
            page.click("nav-models").await?;
            let list = page.find("cache-list").await?.text().await?;
            ensure!(list.contains("refuses storage"), "{list}");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_second_tab_waits_for_the_first_and_fetches_nothing() -> Result<()> {
    let stage = Stage::set_small("two-tabs").await?;
    let profile = stage.profile()?;
    let link = recipes::link(&recipes::plain(long()))?;
    let address = stage.address(&format!("/?backend=cpu{link}"));
    // Four parts at a time: some eight seconds for the file.
    stage.hub.faults().always(&long().file, Fault::Throttle { bytes_per_second: 1_000_000 });
    stage
        .play(&profile, async |page| {
            let client = &page.browser.client;
            page.open_and_agree(&address).await?;
            let comes = |seen: &Seen| seen.progress.as_ref().is_some_and(|text| text.contains("MB/s"));
            page.until("the first tab downloads", DRAWN, comes).await?;
            let first = client.window().await?;
            let second = client.new_window(true).await?.handle;
            client.switch_to_window(second.clone()).await?;
            page.open_and_agree(&address).await?;
            let waits = |seen: &Seen| seen.progress.as_ref().is_some_and(|text| text.contains("Another tab"));
            page.until("the second tab says that it waits", DRAWN, waits).await?;
            page.until_ready().await?;
            client.switch_to_window(first).await?;
            page.until("the first tab has its model", LOADED, |seen| seen.model_is("ready")).await?;
            let sent = stage.hub.log().bytes_sent("/cdn/");
            let whole = std::fs::metadata(recipes::place_of(&long(), stage.hub_root()))?.len();
            ensure!(sent == whole, "{sent} bytes were sent of a file of {whole}");
            client.switch_to_window(second).await?;
            client.close_window().await?;
            client.switch_to_window(client.windows().await?.remove(0)).await?;
            Ok(())
        })
        .await
}
