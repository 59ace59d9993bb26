//! What a visitor sees first, and what a teacher puts into a page of their own.

use crate::browser::DRAWN;
use crate::lens;
use crate::looks::photograph;
use crate::page::{Page, WRITTEN};
use crate::recipes;
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tiller_recipe::{GALLERY, View};

/// What is there of the gallery.
#[derive(Debug, PartialEq, Deserialize)]
struct Shown {
    exhibits: Vec<String>,
    /// What stands above an experiment.
    about: String,
    /// The tab that is marked.
    tab: String,
    patch: String,
}

const SHOWN: &str = "
    const all = (id) => [...document.querySelectorAll(`[data-testid=${id}]`)];
    return {
        exhibits: all('exhibit').map(card => card.dataset.name),
        about: all('about').map(note => note.innerText).join(),
        tab: document.querySelector('nav [aria-current]')?.textContent ?? '',
        patch: all('patch').map(view => view.dataset.state).join(),
    };";

async fn until(page: &Page<'_>, what: &str, holds: impl Fn(&Shown) -> bool) -> Result<Shown> {
    page.until_read(SHOWN, what, WRITTEN, holds).await
}

async fn open_exhibit(page: &Page<'_>, name: &str) -> Result<()> {
    let click = "document.querySelector(`[data-name=${arguments[0]}]`).click()";
    page.browser.client.execute(click, vec![name.into()]).await?;
    Ok(())
}

#[tokio::test]
async fn a_first_visit_opens_on_experiments_that_run_by_themselves() -> Result<()> {
    let stage = Stage::set("gallery").await?;
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            page.open(&stage.address("/?backend=cpu")).await?;
            let first = until(&page, "the gallery is shown", |shown| !shown.exhibits.is_empty()).await?;
            ensure!(first.exhibits == GALLERY.map(|exhibit| exhibit.name), "{:?}", first.exhibits);
            ensure!(first.tab == "Gallery", "{first:?}");
            photograph(&page, "gallery").await?;

            open_exhibit(&page, "capital").await?;
            let read = lens::until(&page, "the lens is read", |shown| shown.state == "read").await?;
            ensure!(read.rows.len() == 31, "{:?}", read.rows);
            let opened = until(&page, "it says what it is about", |shown| shown.about.contains("Watch")).await?;
            ensure!(opened.tab == "Lens" && opened.about.contains("Next: "), "{opened:?}");
            photograph(&page, "gallery-opened").await?;

            page.browser.client.back().await?;
            until(&page, "the way back leads to the gallery", |shown| shown.exhibits.len() == GALLERY.len()).await?;
            open_exhibit(&page, "country-patched").await?;
            until(&page, "the map is whole", |shown| shown.patch == "whole").await?;
            page.click("next-exhibit").await?;
            page.until("the next experiment writes", WRITTEN, |seen| {
                seen.steered.is("done") && seen.steered.tokens.iter().any(|token| token.text.contains("buddy"))
            })
            .await?;
            // A second visit begins where the first one ended.
            page.open(&stage.address("/?backend=cpu")).await?;
            let again = until(&page, "a view is marked", |shown| !shown.tab.is_empty()).await?;
            ensure!(again.tab == "Steer" && again.exhibits.is_empty(), "{again:?}");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn an_experiment_is_embedded_without_the_parts_that_are_left_out() -> Result<()> {
    let stage = Stage::set("embed").await?;
    let profile = stage.profile()?;
    let cheerful = GALLERY.iter().find(|exhibit| exhibit.recipe().view == View::Steer).context("one steers")?;
    let address = stage.address("/?backend=cpu") + &recipes::link(&cheerful.recipe())?;
    stage
        .play(&profile, async |page| {
            page.open(&address).await?;
            page.until_ready().await?;
            page.until_written().await?;
            page.click("embed").await?;
            let leave_out = "document.querySelector('[data-part-name=search]').click();
                document.querySelector('[data-part-name=pairs]').click();
                document.querySelector('[data-part-name=sampling]').click();";
            page.browser.client.execute(leave_out, vec![]).await?;
            photograph(&page, "embed-dialog").await?;
            let html: String = page.read("return document.querySelector('[data-testid=embed-html]').value").await?;
            let source = html.split('"').nth(1).context("the frame has a source")?.replace("&amp;", "&");
            ensure!(
                html.starts_with("<iframe src=") && source.contains("?embed&hide=search,pairs,sampling#"),
                "{html}"
            );

            let kept = "return localStorage.getItem('tiller.experiment')";
            let before: Option<String> = page.read(kept).await?;
            // The frame itself, as wide as course notes are; with a backend named, as all scenarios do.
            page.open(&source.replace("?embed", "?backend=cpu&embed")).await?;
            page.until_ready().await?;
            page.until_written().await?;
            let hidden = "return [...document.querySelectorAll('[data-part]')]
                .filter(part => !part.checkVisibility()).map(part => part.dataset.part)";
            let mut hidden: Vec<String> = page.read(hidden).await?;
            hidden.sort();
            ensure!(hidden == ["pairs", "sampling", "search"], "{hidden:?}");
            let navigation: u32 = page.read("return document.querySelectorAll('nav').length").await?;
            ensure!(navigation == 0, "navigation stays outside a frame");
            let shown: Shown = page.read(SHOWN).await?;
            ensure!(shown.about.contains(cheerful.title), "it says what it is about: {shown:?}");
            photograph(&page, "embedded").await?;
            page.set("prompt", "Tell me about your week.").await?;
            page.click("write").await?;
            page.until("it writes what the visitor asks", DRAWN, |seen| seen.prompt.as_deref() != Some("")).await?;
            let after: Option<String> = page.read(kept).await?;
            ensure!(after == before, "what the visitor keeps is left alone");
            let whole = page.find("open-whole").await?.attr("href").await?.unwrap_or_default();
            ensure!(whole.contains('#') && !whole.contains("embed"), "the way to the whole page: {whole}");
            Ok(())
        })
        .await
}
