//! The Vectors view: kept, compared, combined, renamed, steered with, undone, kept over a reload, and by link.

use crate::browser::DRAWN;
use crate::looks::photograph;
use crate::page::Page;
use crate::recipes;
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tiller_recipe::View;

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Shown {
    names: Vec<String>,
    /// Rows of the cosines, as shown.
    cosines: Vec<Vec<String>>,
}

/// Reads [`Shown`].
const SHOWN: &str = "
    return {
        names: [...document.querySelectorAll('[data-testid=shelved] input')].map(input => input.value),
        cosines: [...document.querySelectorAll('[data-testid=cosines] tbody tr')]
            .map(row => [...row.querySelectorAll('td')].map(cell => cell.textContent.trim())),
    };";

async fn until(page: &Page<'_>, what: &str, holds: impl Fn(&Shown) -> bool) -> Result<Shown> {
    page.until_read(SHOWN, what, DRAWN, holds).await
}

#[tokio::test]
async fn vectors_are_kept_compared_combined_and_steered_with() -> Result<()> {
    let stage = Stage::set("vectors").await?;
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            page.open(&stage.address("/?backend=cpu")).await?;
            page.until_ready().await?;
            page.click("nav-vectors").await?;
            photograph(&page, "vectors-empty").await?;
            page.click("nav-steer").await?;
            page.until_vector_built().await?;
            page.click("nav-vectors").await?;
            page.click("shelve").await?;
            until(&page, "the vector is on the shelf", |now| now.names.len() == 1).await?;

            // Another method makes another vector of the same pairs.
            page.click("nav-steer").await?;
            page.set("method", "pca-center").await?;
            page.until("the vector is out of date", DRAWN, |seen| seen.vector.as_deref() == Some("stale")).await?;
            page.click("build-vector").await?;
            page.until_vector_built().await?;
            page.click("nav-vectors").await?;
            page.click("shelve").await?;
            let two = until(&page, "there are two", |now| now.names.len() == 2).await?;
            ensure!(two.cosines[0][0] == "1.00" && two.cosines[0][1] == two.cosines[1][0], "{two:#?}");
            let alike: f64 = two.cosines[0][1].parse().context("a cosine is a number")?;
            ensure!((0.3..=1.0).contains(&alike), "both are made of the same pairs: {alike}");

            page.set("combination", "difference").await?;
            page.click("combine").await?;
            let three = until(&page, "their difference is there too", |now| now.names.len() == 3).await?;
            // Of unit vectors, cos(a, a - b) = sqrt((1 - cos(a, b)) / 2); shown are two digits.
            let with_difference: f64 = three.cosines[0][2].parse().context("a cosine is a number")?;
            let of = |cosine: f64| ((1.0 - cosine).max(0.0) / 2.0).sqrt();
            let expected = of(alike + 0.005) - 0.006..of(alike - 0.005) + 0.006;
            ensure!(expected.contains(&with_difference), "{expected:?}: {three:#?}");
            photograph(&page, "vectors").await?;

            // The link of this view holds the shelf; a link of another view does not.
            let link = page.seen().await?.link.context("the page has a link")?;
            let recipe = recipes::of_link(&link)?;
            ensure!(recipe.view == View::Vectors && recipe.shelf.len() == 3, "{} vectors", recipe.shelf.len());

            page.browser
                .client
                .execute(
                    "document.querySelectorAll('[data-testid=shelved]')[2].querySelector('button:last-child').click()",
                    vec![],
                )
                .await?;
            until(&page, "the difference is gone", |now| now.names.len() == 2).await?;
            page.browser.client.execute("document.querySelector('[aria-label=Undo]').click()", vec![]).await?;
            until(&page, "it is back", |now| now.names.len() == 3).await?;

            // A reload loses nothing, the view neither, and the vector on the shelf can be steered with.
            page.open(&stage.address("/?backend=cpu")).await?;
            page.until_ready().await?;
            until(&page, "the shelf is as it was", |now| now.names == three.names).await?;
            page.browser
                .client
                .execute(
                    "document.querySelectorAll('[data-testid=shelved]')[2].querySelector('td .row button').click()",
                    vec![],
                )
                .await?;
            let written = page.until_written().await?;
            let recipe = recipes::of_link(written.link.as_deref().context("the page has a link")?)?;
            ensure!(
                recipe.vectors[0].method == "difference" && recipe.shelf.is_empty(),
                "{}",
                recipe.vectors[0].method
            );
            Ok(())
        })
        .await?;
    Ok(())
}
