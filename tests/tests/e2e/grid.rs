//! The search for a layer and a strength: begun, stopped, begun again, and its choice taken.

use crate::browser::DRAWN;
use crate::looks::photograph;
use crate::page::{Page, WRITTEN};
use crate::recipes;
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::time::{Duration, Instant};

/// What the panel shows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Shown {
    /// What its cells say, tried ones only.
    cells: Vec<String>,
    searching: bool,
    outcome: String,
    all: String,
}

/// Reads [`Shown`].
const SHOWN: &str = "
    const panel = document.querySelector('[data-testid=grid]');
    return {
        cells: [...panel.querySelectorAll('td button')].map(cell => cell.textContent.trim()),
        searching: !panel.querySelector('[data-testid=grid-search]'),
        outcome: panel.querySelector('[data-testid=grid-outcome]')?.innerText ?? '',
        all: panel.innerText,
    };";

async fn until(page: &Page<'_>, what: &str, limit: Duration, holds: impl Fn(&Shown) -> bool) -> Result<Shown> {
    page.until_read(SHOWN, what, limit, holds).await
}

#[tokio::test]
async fn layers_and_strengths_are_compared_and_the_choice_is_taken() -> Result<()> {
    let stage = Stage::set("grid").await?;
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            page.open_to_steer(&stage.address("/?backend=cpu")).await?;
            page.until_ready().await?;
            page.until_vector_built().await?;

            page.click("grid-search").await?;
            until(&page, "two cells are tried", WRITTEN, |now| now.cells.len() >= 2).await?;
            photograph(&page, "steer-grid-searching").await?;
            let begun = Instant::now();
            let cancel = "[...document.querySelectorAll('[data-testid=grid] button')]
                .find(button => button.textContent.trim() === 'Cancel').click()";
            page.browser.client.execute(cancel, vec![]).await?;
            let stopped = until(&page, "it stops", DRAWN, |now| !now.searching).await?;
            stage.took("stopping the search", begun);
            ensure!(stopped.cells.len() >= 2 && stopped.all.contains("none is chosen"), "{stopped:#?}");

            page.click("grid-search").await?;
            let done =
                until(&page, "all is tried", 2 * WRITTEN, |now| !now.searching && !now.outcome.is_empty()).await?;
            ensure!(done.cells.len() == 30, "{} cells", done.cells.len());
            ensure!(
                done.outcome.contains("on the 5 others") && done.outcome.contains("random directions"),
                "{done:#?}"
            );
            photograph(&page, "steer-grid").await?;

            // The chosen cell is taken by a click, and is in the link.
            page.browser.client.execute("document.querySelector('[data-testid=grid] .chosen').click()", vec![]).await?;
            let place = done.outcome.split(',').next().context("the outcome names a place")?.to_string();
            let seen = page.until("the slider moves", DRAWN, |seen| seen.strength.is_some_and(|s| s != 0.25)).await?;
            let recipe = recipes::of_link(seen.link.as_deref().context("the page has a link")?)?;
            let (vector, edit) = (&recipe.vectors[0], &recipe.edits[0]);
            let strength = format!("+{}×", edit.strength);
            let said = format!("Layer {} at {strength}", edit.site.layer().context("a block's output")?);
            ensure!(said == place && vector.method == "mean-diff", "{said}, and the panel said {place}");
            Ok(())
        })
        .await
}
