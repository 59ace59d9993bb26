//! The Patch view: maps that fill as cells come, heads and where they look, attribution, ablation, a null, and the link.

use crate::browser::DRAWN;
use crate::looks::photograph;
use crate::page::{Page, WRITTEN};
use crate::recipes::{self, smollm2};
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use fantoccini::key::Key;
use serde::Deserialize;
use std::time::Instant;
use tiller_recipe::{PatchQuestion, Patching, Recipe, View};

/// What the view shows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Shown {
    /// `none`, `running`, `part` or `whole`.
    state: String,
    /// By row from the top, what is in the cells.
    rows: Vec<Vec<String>>,
    /// The tokens that are marked as differing.
    differing: Vec<String>,
    details: String,
    bars: Vec<String>,
    /// The text that a head's attention tints.
    attention: String,
    too_alike: String,
}

/// Reads [`Shown`].
const SHOWN: &str = "
    const all = (selector) => [...document.querySelectorAll(selector)];
    const text = (id) => document.querySelector(`[data-testid=${id}]`)?.textContent ?? '';
    return {
        state: document.querySelector('[data-testid=patch]')?.dataset.state ?? 'no view',
        rows: all('[data-testid=patch-map] tbody tr').map(tr => [...tr.querySelectorAll('td')].map(td => td.textContent)),
        differing: all('[data-testid=patch-tokens] .differs').map(td => td.textContent),
        details: text('patch-details'),
        bars: all('[data-testid=patch-bars] li').map(li => li.innerText.replace(/\\s+/g, ' ')),
        attention: text('attention-text'),
        too_alike: text('too-alike'),
    };";

async fn until(page: &Page<'_>, what: &str, holds: impl Fn(&Shown) -> bool) -> Result<Shown> {
    page.until_read(SHOWN, what, WRITTEN, holds).await
}

async fn script(page: &Page<'_>, script: &str) -> Result<()> {
    page.browser.client.execute(script, vec![]).await?;
    Ok(())
}

fn capital() -> Recipe {
    let patch = Patching {
        clean: "The capital of France is".into(),
        corrupt: "The capital of Germany is".into(),
        answer: " Paris".into(),
        wrong: " Berlin".into(),
        controls: 1,
        ..Patching::default()
    };
    Recipe { view: View::Patch, patch, ..recipes::plain(smollm2()) }
}

#[tokio::test]
async fn a_link_opens_patching_and_the_map_is_traced_to_the_answer() -> Result<()> {
    let stage = Stage::set("patch").await?;
    let profile = stage.profile()?;
    let address = stage.address("/?backend=cpu") + &recipes::link(&capital())?;
    stage
        .play(&profile, async |page| {
            page.open(&address).await?;
            photograph(&page, "patch-empty").await?;
            page.until_ready().await?;
            let whole = until(&page, "the map is whole", |shown| shown.state == "whole").await?;
            ensure!(whole.rows.len() == 30 && whole.rows.iter().all(|row| row.len() == 5), "{:?}", whole.rows);
            ensure!(whole.differing == ["␣France", "␣Germany"], "{:?}", whole.differing);
            // The last block's output is the answer; the first one's still sits at the country.
            ensure!(whole.rows[0][4] == "+100 %" && whole.rows[29][3] == "+100 %", "{:?}", whole.rows);
            ensure!(whole.rows[0][0].is_empty(), "before the first difference there is nothing to patch");
            photograph(&page, "patch").await?;

            // With the keyboard alone: from the first cell down.
            script(&page, "document.querySelector('[data-testid=patch-map] td[tabindex=\"0\"]').focus()").await?;
            page.press(&char::from(Key::Down).to_string()).await?;
            until(&page, "the cell below is looked at", |shown| shown.details.contains("block 28")).await?;

            let recipe = recipes::of_link(&page.seen().await?.link.context("the page has a link")?)?;
            ensure!((recipe.view, &recipe.patch) == (View::Patch, &capital().patch), "{:?}", recipe.patch);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn heads_show_where_they_look_and_a_stopped_map_stays() -> Result<()> {
    let stage = Stage::set("patch-heads").await?;
    let profile = stage.profile()?;
    let address = stage.address("/?backend=cpu") + &recipes::link(&capital())?;
    stage
        .play(&profile, async |page| {
            page.open(&address).await?;
            page.until_ready().await?;
            page.set("patch-place", "heads-at-last").await?;
            page.click("run-patching").await?;
            let cells = |shown: &Shown| shown.rows.iter().flatten().filter(|cell| !cell.is_empty()).count();
            until(&page, "some cells have come", |shown| cells(shown) > 20).await?;
            page.click("stop-patching").await?;
            let begun = Instant::now();
            let part = until(&page, "it has stopped", |shown| shown.state != "running").await?;
            ensure!(begun.elapsed() < DRAWN, "it took {:?} to stop", begun.elapsed());
            ensure!(part.state == "part" && cells(&part) > 20, "{part:?}");
            photograph(&page, "patch-stopped").await?;

            page.click("run-patching").await?;
            let whole = until(&page, "all heads are there", |shown| shown.state == "whole").await?;
            ensure!(cells(&whole) == 270, "{} cells", cells(&whole));
            // Head 23.4 looks at the country from the end, and brings most of the answer.
            script(
                &page,
                "document.querySelector('[data-testid=patch-map] td[data-row=\"6\"][data-column=\"4\"]').click()",
            )
            .await?;
            let looked = until(&page, "its attention is shown", |shown| !shown.attention.is_empty()).await?;
            ensure!(looked.attention.contains("␣France"), "{}", looked.attention);
            photograph(&page, "patch-heads").await?;

            page.click("ask-attribution").await?;
            page.click("run-patching").await?;
            let parts =
                until(&page, "the parts are there", |shown| shown.state == "whole" && !shown.bars.is_empty()).await?;
            ensure!(parts.bars.len() == 25 && parts.bars[24].contains("smaller ones"), "{:?}", parts.bars);
            photograph(&page, "patch-attribution").await?;

            page.click("ask-ablation").await?;
            page.click("run-patching").await?;
            let row = |shown: &Shown| shown.rows.last().is_some_and(|row| row.iter().all(|cell| !cell.is_empty()));
            until(&page, "a layer is ablated", |shown| row(shown)).await?;
            page.click("stop-patching").await?;
            until(&page, "it has stopped", |shown| shown.state == "part").await?;
            photograph(&page, "patch-ablation").await?;

            // The model does not know this: no map is drawn of it.
            page.click("ask-patching").await?;
            page.set("patch-example", "5").await?;
            page.click("run-patching").await?;
            let null = until(&page, "it says so", |shown| !shown.too_alike.is_empty()).await?;
            ensure!(null.rows.is_empty() && null.too_alike.contains("does not tell"), "{null:?}");
            photograph(&page, "patch-null").await?;

            let recipe = recipes::of_link(&page.seen().await?.link.context("the page has a link")?)?;
            ensure!(recipe.patch.question == PatchQuestion::Patching && recipe.patch.answer == " No", "{recipe:?}");

            // Prompts of different lengths are shown, and refused in a sentence.
            page.set("patch-corrupt", "Is a shark a fish?").await?;
            page.click("run-patching").await?;
            let refused = page.until("it is refused", DRAWN, |seen| !seen.notices.is_empty()).await?;
            ensure!(refused.complaint().contains("must be as many"), "{:?}", refused.notices);
            photograph(&page, "patch-unequal").await
        })
        .await
}
