//! Training a sparse autoencoder in the tab: paused and resumed, used, saved and opened again, and stopped half-way.

use crate::looks::photograph;
use crate::page::{LOADED, Page, WRITTEN};
use crate::recipes::{self, smollm2};
use crate::small_models::tiny;
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::time::{Duration, Instant};
use tiller_recipe::{Prompt, Recipe, SaeRef, View};

/// A page of text.
const TEXT: &str = include_str!("../../../ARCHITECTURE.md");
const LETTERS: usize = 3500;

/// What the view shows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Shown {
    /// `none`, `running` or `paused`.
    state: String,
    status: String,
    /// Points of the chart's line.
    points: usize,
    quality: String,
    sae: String,
    /// `read` once the prompt is read.
    features: String,
    tints: Vec<String>,
    listed: Vec<u32>,
    passages: usize,
    positive: usize,
}

const SHOWN: &str = "
    const at = (id) => document.querySelector(`[data-testid=${id}]`);
    const all = (selector) => [...document.querySelectorAll(selector)];
    const line = at('training-chart')?.querySelector('.unexplained').getAttribute('points') ?? '';
    return {
        state: at('training')?.dataset.state ?? 'no view',
        status: at('training-status')?.textContent ?? '',
        points: line.split(' ').filter(point => point).length,
        quality: at('trained-quality')?.textContent ?? '',
        sae: at('sae')?.textContent ?? '',
        features: at('features')?.dataset.state ?? '',
        tints: all('[data-testid=feature-tokens] button').map(token => token.style.background),
        listed: all('[data-testid=feature-list] button').map(button => Number(button.dataset.feature)),
        passages: all('[data-testid=passages] li').length,
        positive: all('[data-testid=positive-logits] li').length,
    };";

/// Keeps what the page saves, by name, instead of handing it to the browser.
const KEEP_SAVED: &str = "
    window.saved = {};
    const blobs = {};
    const create = URL.createObjectURL.bind(URL);
    URL.createObjectURL = (blob) => { const address = create(blob); blobs[address] = blob; return address; };
    HTMLAnchorElement.prototype.click = function () { window.saved[this.download] = blobs[this.href]; };";

/// Opens the saved files as the user would choose them.
const OPEN_SAVED: &str = "
    const files = new DataTransfer();
    for (const [name, blob] of Object.entries(window.saved)) files.items.add(new File([blob], name));
    const input = document.querySelector('[data-testid=sae-files]');
    input.files = files.files;
    input.dispatchEvent(new Event('change', { bubbles: true }));";

async fn until(page: &Page<'_>, what: &str, holds: impl Fn(&Shown) -> bool) -> Result<Shown> {
    page.until_read(SHOWN, what, WRITTEN, holds).await
}

async fn run(page: &Page<'_>, script: &str) -> Result<()> {
    page.browser.client.execute(script, vec![]).await?;
    Ok(())
}

/// The step that the status names.
fn step(shown: &Shown) -> u32 {
    let (_, after) = shown.status.split_once("Step ").unwrap_or_default();
    let digits = after.split(" of ").next().unwrap_or_default().replace(',', "");
    digits.parse().unwrap_or(0)
}

#[tokio::test]
async fn an_sae_is_trained_in_the_tab_used_saved_opened_again_and_stopped_half_way() -> Result<()> {
    let stage = Stage::set("training").await?;
    let profile = stage.profile()?;
    let prompt = "A step runs rows through the network, and nothing is computed on a server.";
    let recipe = Recipe { prompt: Prompt::Text(prompt.into()), view: View::Features, ..recipes::plain(smollm2()) };
    let address = stage.address("/?backend=cpu") + &recipes::link(&recipe)?;
    let link = stage
        .play(&profile, async |page| {
            page.open(&address).await?;
            page.until_ready().await?;
            let shipped = until(&page, "the text is read", |now| now.features == "read" && now.positive > 0).await?;
            run(&page, "document.querySelector('[data-testid=training]').open = true").await?;
            let text: String = TEXT.chars().take(LETTERS).collect();
            page.set("training-text", &text).await?;
            photograph(&page, "training-empty").await?;
            for (field, value) in [("training-features", "96"), ("training-k", "8"), ("training-steps", "1500")] {
                page.set(field, value).await?;
            }
            let begun = Instant::now();
            page.click("train").await?;
            until(&page, "steps are made", |now| now.points > 5).await?;
            stage.took("reading the text", begun);
            photograph(&page, "training-running").await?;

            let pressed = Instant::now();
            page.click("pause-training").await?;
            let paused = until(&page, "it pauses", |now| now.state == "paused").await?;
            ensure!(pressed.elapsed() < Duration::from_secs(3), "a step is soon over: {:?}", pressed.elapsed());
            ensure!(step(&paused) > 0 && step(&paused) < 1500, "{}", paused.status);
            // Other work goes on meanwhile, with the autoencoder that is loaded.
            page.click("read-features").await?;
            until(&page, "the prompt is read again", |now| now.features == "read").await?;
            page.click("resume-training").await?;
            let begun = Instant::now();
            let trained = until(&page, "it is trained", |now| !now.quality.is_empty() && now.state == "none").await?;
            stage.took("1,500 steps of 96 features", begun);
            ensure!(trained.quality.contains("principal components of the text explain"), "{}", trained.quality);
            ensure!(trained.quality.contains("It made 1,500 steps"), "{}", trained.quality);
            let used = |now: &Shown| now.features == "read" && now.positive == 10 && now.sae.contains("96 features");
            let used = until(&page, "its features are shown", used).await?;
            ensure!(used.sae.contains("hook_resid_post") && used.listed != shipped.listed, "{used:?}");
            let deepest = used.tints.iter().skip(1).filter(|tint| tint.contains(" 60.0%")).count();
            ensure!(deepest > 0, "a feature of it tints a token: {:?}", used.tints);
            ensure!((1..=5).contains(&used.passages), "passages are of the text: {used:?}");
            photograph(&page, "training-done").await?;

            run(&page, KEEP_SAVED).await?;
            let saved = [
                ("save-cfg-json", "cfg.json"),
                ("save-sae-weights-safetensors", "sae_weights.safetensors"),
                ("save-features-json", "features.json"),
            ];
            for (button, file) in saved {
                page.click(button).await?;
                let script = format!("return window.saved['{file}']?.size ?? 0");
                page.until_read(&script, "it is saved", WRITTEN, |&bytes: &u64| bytes > 100).await?;
            }
            run(&page, OPEN_SAVED).await?;
            let opened = |now: &Shown| {
                now.sae.contains("cfg.json") && now.features == "read" && now.positive > 0 && now.passages > 0
            };
            let opened = until(&page, "it is opened again", opened).await?;
            ensure!(opened.quality.is_empty(), "how good it is was said of what was trained: {opened:?}");
            ensure!(opened.listed == used.listed, "{:?} are not {:?}", opened.listed, used.listed);
            ensure!(opened.passages == used.passages, "{opened:?}");

            // The weights alone, as if of unknown make: what they are is proposed, and confirmed.
            run(
                &page,
                &format!("window.saved = {{'mine.safetensors': window.saved['sae_weights.safetensors']}};{OPEN_SAVED}"),
            )
            .await?;
            let mapping = "return document.querySelector('[data-testid=sae-mapping-text]')?.value ?? ''";
            let asked = |mapping: &String| mapping.contains("\"W_enc\": \"W_enc\"");
            let mapping = page.until_read(mapping, "what the tensors are is proposed", WRITTEN, asked).await?;
            photograph(&page, "sae-mapping").await?;
            page.set("sae-mapping-text", &mapping.replace("standard", "of my own")).await?;
            page.click("sae-mapping-use").await?;
            let refused = |seen: &crate::page::Seen| seen.complaint().contains("of my own");
            page.until("what is not known is refused by its name", WRITTEN, refused).await?;
            let mapping = mapping.replace("standard\"", "topk\", \"k\": 8");
            let site = "\"hook_name\": \"blocks.15.hook_resid_post\"";
            page.set("sae-mapping-text", &mapping.replace("\"hook_name\": null", site)).await?;
            page.click("sae-mapping-use").await?;
            let mapped = |now: &Shown| now.sae.contains("mine.safetensors") && now.features == "read";
            let mapped = until(&page, "it is used as it was confirmed", mapped).await?;
            ensure!(mapped.sae.contains("TopK, k = 8") && !mapped.listed.is_empty(), "{mapped:?}");

            // Half-way.
            page.set("training-steps", "20000").await?;
            page.click("train").await?;
            until(&page, "steps are made", |now| step(now) > 20).await?;
            page.click("keep-training").await?;
            let kept = until(&page, "it is kept", |now| !now.quality.is_empty() && now.state == "none").await?;
            let made = kept.quality.split_once("It made ").map_or("", |(_, after)| after);
            let made: u32 =
                made.split(' ').next().unwrap_or("").replace(',', "").parse().context("a number of steps")?;
            ensure!((20..20_000).contains(&made), "{}", kept.quality);
            until(&page, "its features are shown", |now| now.features == "read" && now.passages > 0).await?;

            // And thrown away.
            page.click("train").await?;
            until(&page, "it is under way", |now| now.state == "running").await?;
            page.click("discard-training").await?;
            until(&page, "it is gone", |now| now.state == "none").await?;

            page.set("training-text", "Too little to learn from.").await?;
            page.click("train").await?;
            let little = |seen: &crate::page::Seen| seen.complaint().contains("too little text");
            page.until("too little text is refused", WRITTEN, little).await?;
            page.seen().await?.link.context("the page has a link")
        })
        .await?;

    // Nothing is lost: the link names what this browser keeps, and another browser says that it has not got it.
    let sae = recipes::of_link(&link)?.features.sae;
    ensure!(matches!(&sae, Some(SaeRef::OnHub(sae)) if sae.weights.is_kept_here()), "{sae:?}");
    let (_, fragment) = link.split_once('#').context("the link holds the experiment")?;
    let address = stage.address(&format!("/?backend=cpu#{fragment}"));
    stage
        .play(&profile, async |page| {
            page.open(&address).await?;
            page.until_ready().await?;
            let again = |now: &Shown| now.features == "read" && now.sae.contains("96 features") && now.passages > 0;
            until(&page, "it is here again", again).await?;
            Ok(())
        })
        .await?;
    let other = stage.profile()?;
    stage
        .play(&other, async |page| {
            page.open(&address).await?;
            let missing = |seen: &crate::page::Seen| seen.complaint().contains("trained in another browser");
            page.until("what is not here is said not to be", LOADED, missing).await?;
            Ok(())
        })
        .await
}

/// A GPU in software takes about a second a step: few steps of a tiny model.
#[tokio::test]
async fn an_sae_is_trained_on_webgpu_paused_and_kept() -> Result<()> {
    let stage = Stage::set_small("training-gpu").await?;
    let profile = stage.profile()?;
    let recipe = Recipe { view: View::Features, ..recipes::plain(tiny()) };
    let address = stage.address("/?backend=gpu") + &recipes::link(&recipe)?;
    stage
        .play(&profile, async |page| {
            page.open_and_agree(&address).await?;
            page.until_ready().await?;
            run(&page, "document.querySelector('[data-testid=training]').open = true").await?;
            let text: String = TEXT.chars().take(LETTERS / 3).collect();
            page.set("training-text", &text).await?;
            for (field, value) in [("training-features", "32"), ("training-k", "4"), ("training-steps", "60")] {
                page.set(field, value).await?;
            }
            // Auto would leave a GPU in software alone.
            let choose = "
                const device = document.querySelector('[data-testid=training-device]');
                device.selectedIndex = [...device.options].findIndex(option => option.textContent == 'WebGPU');
                device.dispatchEvent(new Event('change', { bubbles: true }));";
            run(&page, choose).await?;
            let begun = Instant::now();
            page.click("train").await?;
            let by_gpu = |now: &Shown| now.status.contains("by the GPU") && step(now) > 0;
            until(&page, "the GPU makes steps", by_gpu).await?;
            page.click("pause-training").await?;
            let paused = until(&page, "it pauses", |now| now.state == "paused").await?;
            ensure!(step(&paused) < 60, "{}", paused.status);
            page.click("resume-training").await?;
            let trained = until(&page, "it is trained", |now| !now.quality.is_empty() && now.state == "none").await?;
            stage.took("60 steps of 32 features", begun);
            ensure!(trained.quality.contains("It made 60 steps"), "{}", trained.quality);
            until(&page, "its features are shown", |now| now.sae.contains("32 features") && now.features == "read")
                .await?;
            Ok(())
        })
        .await
}
