//! A hub that is busy, simple-minded or out of reach: the page says so, and goes on when it can.

use crate::browser::DRAWN;
use crate::looks::photograph;
use crate::page::Seen;
use crate::recipes;
use crate::small_models::{long, tiny};
use crate::stage::Stage;
use anyhow::{Result, ensure};
use tiller_localhub::Fault;

#[tokio::test]
async fn a_busy_hub_is_waited_for() -> Result<()> {
    let stage = Stage::set_small("busy").await?;
    stage.hub.faults().times(1, &tiny().file, Fault::Busy { retry_after_s: 4 });
    let profile = stage.profile()?;
    let link = recipes::link(&recipes::plain(tiny()))?;
    stage
        .play(&profile, async |page| {
            page.open_and_agree(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            let waits = |seen: &Seen| seen.progress.as_ref().is_some_and(|text| text.contains("asks to wait"));
            page.until("the page says that it waits", DRAWN, waits).await?;
            page.until_ready().await?;
            Ok(())
        })
        .await?;

    stage.hub.faults().always(&long().file, Fault::Busy { retry_after_s: 900 });
    let link = recipes::link(&recipes::plain(long()))?;
    stage
        .play(&profile, async |page| {
            page.open_and_agree(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            let seen = page.until("it is given up", DRAWN, |seen| seen.model_is("failed")).await?;
            ensure!(seen.complaint().contains("15 minutes"), "it says for how long: {:?}", seen.notices);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_server_without_ranges_and_a_line_that_breaks_twice_deliver_all_the_same() -> Result<()> {
    let stage = Stage::set_small("no-ranges").await?;
    let link = recipes::link(&recipes::plain(long()))?;
    for (faults, requests) in [(vec![Fault::NoRanges], 1..=1), (vec![Fault::Cut { after: 2_000_000 }], 9..=30)] {
        stage.hub.faults().clear();
        stage.hub.log().clear();
        for fault in faults {
            match fault {
                Fault::Cut { .. } => stage.hub.faults().times(2, &long().file, fault),
                _ => stage.hub.faults().always(&long().file, fault),
            }
        }
        let profile = stage.profile()?;
        stage
            .play(&profile, async |page| {
                page.open_and_agree(&stage.address(&format!("/?backend=cpu{link}"))).await?;
                page.until_ready().await?;
                let sent = stage.hub.log().entries();
                let sent = sent.iter().filter(|entry| entry.path.contains("/cdn/") && entry.method == "GET").count();
                ensure!(requests.contains(&sent), "{sent} requests, where {requests:?} were expected");
                Ok(())
            })
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn without_a_line_the_page_says_so_and_goes_on_when_it_is_back() -> Result<()> {
    let stage = Stage::set_small("offline").await?;
    let profile = stage.profile()?;
    let link = recipes::link(&recipes::plain(tiny()))?;
    stage
        .play(&profile, async |page| {
            page.open(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            page.until("the page asks", DRAWN, |seen| seen.asked.is_some()).await?;
            page.order("go offline").await?;
            page.click("consent-load").await?;
            let seen = page.until("it says that it is offline", DRAWN, |seen| seen.model_is("failed")).await?;
            ensure!(seen.complaint().contains("offline"), "{:?}", seen.notices);
            photograph(&page, "offline").await?;

            page.order("go online").await?;
            page.browser.client.execute("window.dispatchEvent(new Event('online'))", vec![]).await?;
            let seen = page.until_ready().await?;
            ensure!(seen.notices.is_empty(), "the notice goes with its cause: {:?}", seen.notices);

            // What is here needs no line.
            page.order("go offline").await?;
            page.write().await?;
            Ok(())
        })
        .await
}
