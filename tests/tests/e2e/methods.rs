//! Another way to make a vector of the same pairs: chosen, built, and in the link.

use crate::browser::DRAWN;
use crate::looks::photograph;
use crate::recipes;
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};

#[tokio::test]
async fn a_vector_is_built_by_another_method_and_the_link_says_so() -> Result<()> {
    let stage = Stage::set("methods").await?;
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            page.open_to_steer(&stage.address("/?backend=cpu")).await?;
            page.until_ready().await?;
            let first = page.until_vector_built().await?;
            let vector = |link: &Option<String>| -> Result<tiller_recipe::Vector> {
                let recipe = recipes::of_link(link.as_deref().context("the page has a link")?)?;
                recipe.vectors.into_iter().next().context("the recipe has a vector")
            };
            let before = vector(&first.link)?;
            ensure!(before.method == "mean-diff", "{}", before.method);

            page.set("method", "pca-center").await?;
            page.until("the vector is out of date", DRAWN, |seen| seen.vector.as_deref() == Some("stale")).await?;
            page.click("build-vector").await?;
            let built = page.until_vector_built().await?;
            let after = vector(&built.link)?;
            ensure!(after.method == "pca-center" && after.direction != before.direction, "{}", after.method);
            ensure!((after.norm - 1.0).abs() < 1e-3, "a component has length one: {}", after.norm);
            let status = page.find("vector-status").await?.text().await?;
            ensure!(status.contains("PCA of the differences"), "{status}");
            photograph(&page, "steer-method").await
        })
        .await
}
