//! The Probes view: fitted from a link, looked at, read on a text, erased, steered with, and stopped; and one's own texts.

use crate::browser::DRAWN;
use crate::looks::photograph;
use crate::page::{Page, WRITTEN};
use crate::recipes::{self, smollm2};
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use fantoccini::key::Key;
use serde::Deserialize;
use std::time::Instant;
use tiller_recipe::{Probe, ProbeData, Prompt, Recipe, View};

/// What the view shows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Shown {
    /// `none`, `fitting` or `fitted`.
    state: String,
    status: String,
    balance: String,
    caption: String,
    /// The block of the probe that is looked at.
    block: Option<String>,
    accuracy: String,
    mistakes: String,
    /// Of each token of the text, the probability.
    probed: Vec<f64>,
    /// `none`, `erasing` or `erased`.
    erasure: String,
    erased: String,
    refusal: String,
    lines: usize,
}

/// Reads [`Shown`].
const SHOWN: &str = "
    const at = (id) => document.querySelector(`[data-testid=${id}]`);
    const text = (id) => at(id)?.innerText ?? '';
    return {
        state: at('probes')?.dataset.state ?? 'no view',
        status: text('probes-status'),
        balance: text('probe-balance'),
        caption: text('probe-caption'),
        block: at('probe-card')?.dataset.block ?? null,
        accuracy: text('probe-accuracy'),
        mistakes: text('probe-mistakes'),
        probed: [...document.querySelectorAll('[data-testid=probed] span')].map(span => Number(span.dataset.probability)),
        erasure: at('probe-erasure')?.dataset.state ?? 'none',
        erased: text('probe-erased'),
        refusal: text('probe-rows-error'),
        lines: document.querySelectorAll('[data-testid=probe-chart] polyline').length,
    };";

async fn until(page: &Page<'_>, what: &str, holds: impl Fn(&Shown) -> bool) -> Result<Shown> {
    page.until_read(SHOWN, what, WRITTEN, holds).await
}

fn sentiment() -> Recipe {
    let probe = Probe { method: "mass-mean".into(), ..Probe::default() };
    let prompt = Prompt::Text("The soup at the inn was terrible. The cake was wonderful.".into());
    Recipe { prompt, view: View::Probes, probe: Some(probe), ..recipes::plain(smollm2()) }
}

#[tokio::test]
async fn a_link_fits_probes_which_read_erase_and_steer() -> Result<()> {
    let stage = Stage::set("probes").await?;
    let profile = stage.profile()?;
    let address = stage.address("/?backend=cpu") + &recipes::link(&sentiment())?;
    stage
        .play(&profile, async |page| {
            page.open(&address).await?;
            photograph(&page, "probes-empty").await?;
            page.until_ready().await?;
            let begun = Instant::now();
            let found = until(&page, "the probes are fitted", |shown| shown.state == "fitted").await?;
            stage.took("96 texts are read, and 30 probes fitted with their controls", begun);
            ensure!(found.balance == "96 texts: 48 positive, 48 negative; 12 groups.", "{}", found.balance);
            ensure!(
                found.status.contains("48 texts to train") && found.status.contains("groups kept"),
                "{}",
                found.status
            );
            ensure!(found.accuracy.contains("24 texts") && found.lines == 3, "{found:?}");
            photograph(&page, "probes").await?;

            // With the keyboard alone, another layer; it goes into the link.
            let focus = "document.querySelector('[data-testid=probe-chart]').focus()";
            page.browser.client.execute(focus, vec![]).await?;
            page.press(&char::from(Key::End).to_string()).await?;
            let last =
                until(&page, "the last layer is looked at", |shown| shown.block.as_deref() == Some("29")).await?;
            ensure!(last.caption.starts_with("Block 29"), "{}", last.caption);
            let recipe = recipes::of_link(&page.seen().await?.link.context("the page has a link")?)?;
            let probe = recipe.probe.context("the link has the probe")?;
            ensure!((recipe.view, probe.layer, &*probe.method) == (View::Probes, Some(29), "mass-mean"), "{probe:?}");
            page.press(&char::from(Key::Left).to_string()).await?;
            until(&page, "the one before is", |shown| shown.block.as_deref() == Some("28")).await?;
            page.browser.client.execute("document.querySelector('[aria-label=Undo]').click()", vec![]).await?;
            page.browser.client.execute("document.querySelector('[aria-label=Undo]').click()", vec![]).await?;
            until(&page, "the best is again", |shown| shown.caption.contains("best")).await?;

            page.click("probe-text").await?;
            let read = until(&page, "the text is read", |shown| !shown.probed.is_empty()).await?;
            ensure!(read.probed.iter().all(|p| (0.0..=1.0).contains(p)), "{:?}", read.probed);
            let (first, second) = (read.probed[read.probed.len() / 2], read.probed[read.probed.len() - 1]);
            ensure!(second > first, "the text ends well: {:?}", read.probed);

            page.click("erase-probe").await?;
            let erased = until(&page, "it is erased", |shown| shown.erasure == "erased").await?;
            ensure!(erased.erased.contains("block 29") && erased.erased.contains("Perplexity"), "{}", erased.erased);
            photograph(&page, "probes-erased").await?;

            page.click("steer-with-probe").await?;
            let steered = page.until("the vector is the probe's", DRAWN, |seen| seen.vector.is_some()).await?;
            ensure!(steered.vector.as_deref() == Some("ready"), "{steered:?}");
            let recipe = recipes::of_link(&page.seen().await?.link.context("the page has a link")?)?;
            ensure!(recipe.vectors[0].method == "probe-mass-mean", "{}", recipe.vectors[0].method);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn ones_own_texts_are_checked_line_by_line_fitted_and_can_be_stopped() -> Result<()> {
    let stage = Stage::set("probes-own").await?;
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            page.open(&stage.address("/?backend=cpu")).await?;
            page.until_ready().await?;
            page.click("nav-probes").await?;
            page.set("probe-dataset", "own").await?;
            page.set("probe-rows", "warm,summer\njust words").await?;
            let refused = until(&page, "it is refused", |shown| !shown.refusal.is_empty()).await?;
            ensure!(refused.refusal.contains("Line 2 has one column"), "{}", refused.refusal);
            photograph(&page, "probes-refused").await?;

            let row = |n: usize| match n % 2 {
                0 => format!("\"It was a warm day, number {n}\",<b>summer</b>\n"),
                _ => format!("It was an icy day of number {n},winter\n"),
            };
            let rows: String = (0..400).map(row).collect();
            page.set("probe-rows", &rows).await?;
            until(&page, "the texts are taken", |shown| shown.balance.starts_with("400 texts: 200 <b>summer</b>"))
                .await?;
            page.click("fit-probes").await?;
            until(&page, "it reads", |shown| shown.status.contains("Reading")).await?;
            page.click("stop-probes").await?;
            let begun = Instant::now();
            until(&page, "it has stopped", |shown| shown.state == "none").await?;
            ensure!(begun.elapsed() < DRAWN, "it took {:?} to stop", begun.elapsed());

            page.set("probe-rows", &(0..40).map(row).collect::<String>()).await?;
            page.click("fit-probes").await?;
            let found = until(&page, "they are fitted", |shown| shown.state == "fitted").await?;
            ensure!(found.status.contains("row by row") && found.mistakes.contains("no test text wrong"), "{found:?}");
            let recipe = recipes::of_link(&page.seen().await?.link.context("the page has a link")?)?;
            let data = recipe.probe.context("the link has the probe")?.data;
            ensure!(matches!(&data, ProbeData::Rows(rows) if rows.len() == 40 && rows[0].text.contains(", number")));
            Ok(())
        })
        .await
}
