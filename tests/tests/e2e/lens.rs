//! The Lens view: what each layer would say next, followed, steered, stopped, and by link.

use crate::browser::DRAWN;
use crate::looks::photograph;
use crate::page::{Page, WRITTEN};
use crate::recipes::{self, smollm2};
use crate::small_models::tiny;
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use fantoccini::key::Key;
use serde::Deserialize;
use std::time::Instant;
use tiller_recipe::{Lens, Prompt, Recipe, View};

fn key(key: Key) -> String {
    char::from(key).to_string()
}

const CAPITAL: &str = "The capital of France is";

/// What the view shows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Shown {
    /// `none`, `reading` or `read`.
    pub state: String,
    /// By row from the top, the guesses.
    pub rows: Vec<Vec<String>>,
    /// Of the top row: the probability that gives each cell its colour.
    shares: Vec<String>,
    /// The tokens that are followed, as the page puts it.
    followed: Vec<String>,
    details: String,
    courses: usize,
}

/// Reads [`Shown`].
const SHOWN: &str = "
    const all = (selector) => [...document.querySelectorAll(selector)];
    return {
        state: document.querySelector('[data-testid=lens]')?.dataset.state ?? 'no view',
        rows: all('[data-testid=lens-grid] tbody tr').map(tr => [...tr.querySelectorAll('td')].map(td => td.textContent)),
        shares: all('[data-testid=lens-grid] td[data-row=\"0\"]').map(td => td.style.getPropertyValue('--own')),
        followed: all('[data-testid=followed]').map(chip => chip.textContent),
        details: document.querySelector('[data-testid=lens-details]')?.innerText ?? '',
        courses: all('[data-testid=lens-course] .plot polyline').length,
    };";

pub async fn until(page: &Page<'_>, what: &str, holds: impl Fn(&Shown) -> bool) -> Result<Shown> {
    page.until_read(SHOWN, what, WRITTEN, holds).await
}

fn capital() -> Recipe {
    let follow = vec![" Paris".into(), " Llanfairpwll".into()];
    let lens = Lens { follow, edited: false, tuned: false };
    Recipe { prompt: Prompt::Text(CAPITAL.into()), view: View::Lens, lens, ..recipes::plain(smollm2()) }
}

#[tokio::test]
async fn a_link_opens_the_lens_and_it_is_read_on_webgpu() -> Result<()> {
    let stage = Stage::set("lens").await?;
    let profile = stage.profile()?;
    let address = stage.address("/?backend=gpu") + &recipes::link(&capital())?;
    stage
        .play(&profile, async |page| {
            page.open(&address).await?;
            page.until_ready().await?;
            let read = until(&page, "the prompt is read", |shown| shown.state == "read").await?;
            ensure!(read.rows.len() == 31 && read.rows.iter().all(|row| row.len() == 5), "{:?}", read.rows);
            ensure!(read.rows[0][4] == "␣Paris" && read.rows[30][4] == "␣is", "{:?}", read.rows);
            // What the reference has: 77.3 %.
            let share: f64 = read.shares[4].parse()?;
            ensure!((share - 0.773).abs() < 0.002, "the model's answer has {share}");
            ensure!(read.details.contains("block 29") && read.details.contains("rank 1"), "{}", read.details);
            ensure!(read.courses == 2, "the answer and the followed token: {}", read.courses);
            ensure!(read.followed.len() == 2 && !read.followed[0].contains("not one token"), "{:?}", read.followed);
            ensure!(read.followed[1].contains("not one token"), "{:?}", read.followed);
            photograph(&page, "lens").await?;

            // With the keyboard alone: from the first cell down and to the right.
            let focus = "document.querySelector('[data-testid=lens-grid] td').focus()";
            page.browser.client.execute(focus, vec![]).await?;
            page.press(&key(Key::Down)).await?;
            page.press(&key(Key::Right)).await?;
            let walked = until(&page, "another place is looked at", |shown| shown.details.contains("block 28")).await?;
            ensure!(walked.details.contains("token 1") && walked.details.contains("␣capital"), "{}", walked.details);

            // A guess that is pressed is followed, and undone again.
            let press = "document.querySelector('[data-testid=lens-details] .word').click()";
            page.browser.client.execute(press, vec![]).await?;
            // The answer, the next token, and two that are followed.
            until(&page, "it is followed", |shown| shown.followed.len() == 3 && shown.courses == 4).await?;
            let recipe = recipes::of_link(&page.seen().await?.link.context("the page has a link")?)?;
            ensure!(recipe.view == View::Lens && recipe.lens.follow.len() == 3, "{:?}", recipe.lens);
            page.browser.client.execute("document.querySelector('[aria-label=Undo]').click()", vec![]).await?;
            until(&page, "it is not followed any more", |shown| shown.followed.len() == 2).await?;
            Ok(())
        })
        .await
}

#[tokio::test]
async fn the_lens_follows_the_prompt_and_the_vector_and_can_be_stopped() -> Result<()> {
    let stage = Stage::set("lens-changes").await?;
    let profile = stage.profile()?;
    let steered = Recipe { view: View::Lens, ..recipes::steered(smollm2(), 576)? };
    let address = stage.address("/?backend=cpu") + &recipes::link(&steered)?;
    stage
        .play(&profile, async |page| {
            page.open(&address).await?;
            photograph(&page, "lens-empty").await?;
            page.until_ready().await?;
            let plain = until(&page, "it is read", |shown| shown.state == "read").await?;
            page.click("lens-edited").await?;
            let steered =
                until(&page, "it is read steered", |shown| shown.state == "read" && shown.rows != plain.rows).await?;
            ensure!(steered.rows[30] == plain.rows[30], "the vector acts at a block, not at the embedding");

            page.set("prompt", CAPITAL).await?;
            page.click("lens-edited").await?;
            until(&page, "the new prompt is read", |shown| {
                shown.state == "read" && shown.rows[0].last().is_some_and(|guess| guess == "␣Paris")
            })
            .await?;

            // Long enough to be stopped.
            page.set("prompt", &"The harbour town had two clocks, and they disagreed. ".repeat(40)).await?;
            until(&page, "it reads", |shown| shown.state == "reading").await?;
            page.click("stop-reading").await?;
            let begun = Instant::now();
            until(&page, "it has stopped", |shown| shown.state == "none").await?;
            ensure!(begun.elapsed() < DRAWN, "it took {:?} to stop", begun.elapsed());
            page.click("read").await?;
            until(&page, "it is read after all", |shown| shown.state == "read" && shown.rows[0].len() == 64).await?;
            let note = page
                .browser
                .client
                .execute("return document.querySelector('.lens .status').textContent", vec![])
                .await?;
            ensure!(note.as_str().is_some_and(|note| note.contains("last 64 of")), "{note}");
            photograph(&page, "lens-long").await
        })
        .await
}

#[tokio::test]
async fn a_tuned_lens_is_trained_when_asked_for_told_beside_the_logit_lens_and_kept() -> Result<()> {
    let stage = Stage::set_small("tuned-lens").await?;
    let profile = stage.profile()?;
    let lens = Lens { tuned: true, ..Lens::default() };
    let recipe = Recipe { view: View::Lens, lens, ..recipes::plain(tiny()) };
    let address = stage.address("/?backend=cpu") + &recipes::link(&recipe)?;
    let judged = "return document.querySelector('[data-testid=lens-tuning]')?.textContent ?? ''";
    stage
        .play(&profile, async |page| {
            page.open_and_agree(&address).await?;
            page.until_ready().await?;
            let told = |told: &String| told.contains("It is trained once for this model");
            page.until_read(judged, "it says that it would have to be trained", WRITTEN, told).await?;
            let seen: Shown = until(&page, "nothing is read unasked", |shown| shown.state == "none").await?;
            ensure!(seen.rows.is_empty(), "{seen:?}");

            page.click("read").await?;
            let begun = Instant::now();
            let told = |told: &String| told.contains("nats from the model's own") && told.contains("shuffled");
            page.until_read(judged, "it is trained and judged", WRITTEN, told).await?;
            stage.took("trained a lens of a tiny model", begun);
            let tuned = until(&page, "the prompt is read through it", |shown| shown.state == "read").await?;
            photograph(&page, "lens-tuned").await?;

            let choose = |which: &str| {
                format!(
                    "const lens = document.querySelector('[data-testid=which-lens]');
                     lens.value = '{which}';
                     lens.dispatchEvent(new Event('change', {{ bubbles: true }}));"
                )
            };
            page.browser.client.execute(&choose("logit"), vec![]).await?;
            let read = |shown: &Shown| shown.state == "read" && shown.shares != tuned.shares;
            until(&page, "the logit lens reads otherwise", |shown| read(shown) || shown.rows != tuned.rows).await?;
            // It is trained already: it reads at once.
            page.browser.client.execute(&choose("tuned"), vec![]).await?;
            until(&page, "the tuned lens reads as before", |now| now.state == "read" && now.rows == tuned.rows).await?;
            Ok(())
        })
        .await
}
