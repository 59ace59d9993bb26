//! Sparse autoencoders of the hub: found in a repository, loaded, refused, named in a link; features named by the author,
//! and a text held against another.

use crate::looks::photograph;
use crate::page::{Page, WRITTEN};
use crate::recipes::{self, place_of};
use crate::small_models::{COMMIT, tiny};
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::fs;
use std::path::Path;
use tiller_formats::{Precision, SaeFile, TrainedOn};
use tiller_recipe::{Prompt, Recipe, SaeRef, View};
use tiller_sae::{Activation, Normalisation, Sae};
use tiller_sites::ModelRef;

const REPOSITORY: &str = "acme/saes";
/// As [`tiny`]'s activations are wide.
const WIDTH: usize = 64;

fn weights(folder: &str) -> ModelRef {
    let file = format!("{folder}/sae_weights.safetensors");
    ModelRef { repo: REPOSITORY.into(), revision: COMMIT.into(), file, bytes: None, sha256: None }
}

/// Each feature reads one number of the activation, one way or the other.
fn signs(site: &str) -> SaeFile {
    let mut w_enc = vec![0.0; 2 * WIDTH * WIDTH];
    for feature in 0..2 * WIDTH {
        w_enc[feature * WIDTH + feature / 2] = if feature % 2 == 0 { 1.0 } else { -1.0 };
    }
    let sae = Sae {
        d_in: WIDTH,
        d_sae: 2 * WIDTH,
        w_dec: w_enc.clone(),
        w_enc,
        b_enc: vec![0.0; 2 * WIDTH],
        b_dec: vec![0.0; WIDTH],
        apply_b_dec_to_input: false,
        activation: Activation::Relu,
        normalisation: Normalisation::None,
        transcoder: None,
    };
    let trained_on =
        TrainedOn { site: Some(site.into()), neuronpedia: Some("tiny/1-res".into()), ..TrainedOn::default() };
    SaeFile { sae, trained_on }
}

/// Layers 0 and 1, and one whose configuration nobody knows.
fn fill(hub: &Path) -> Result<()> {
    for (folder, site) in [
        ("layer_1", "blocks.1.hook_resid_post"),
        ("layer_0", "blocks.0.hook_resid_post"),
        ("strange", "blocks.0.hook_resid_post"),
    ] {
        let place = place_of(&weights(folder), hub);
        let place = place.parent().context("a file lies in a folder")?;
        fs::create_dir_all(place)?;
        for (name, bytes) in signs(site).to_saelens(Precision::F32) {
            let bytes = match folder == "strange" && name == "cfg.json" {
                true => String::from_utf8(bytes)?.replace("\"standard\"", "\"<b>oracle</b>\"").into_bytes(),
                false => bytes,
            };
            fs::write(place.join(name), bytes)?;
        }
    }
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Shown {
    state: String,
    listing: String,
    choices: Vec<String>,
    sae: String,
    asked: String,
    card: Option<u32>,
    title: String,
    tokens: usize,
    compared: usize,
    failed: bool,
    page: String,
}

const SHOWN: &str = "
    const at = (id) => document.querySelector(`[data-testid=${id}]`);
    const all = (selector) => [...document.querySelectorAll(selector)];
    return {
        state: at('features')?.dataset.state ?? 'no view',
        listing: at('sae-listing')?.dataset.state ?? '',
        choices: all('[data-testid=sae-choice] b').map(name => name.textContent),
        sae: at('sae')?.textContent ?? '',
        asked: at('sae-consent')?.textContent ?? '',
        card: at('positive-logits') ? Number(at('feature-card').dataset.feature) : null,
        title: at('feature-card')?.querySelector('h3')?.textContent ?? '',
        tokens: all('[data-testid=feature-tokens] button').length,
        compared: all('[data-testid=contrasted] li').length,
        failed: !!at('reload-sae'),
        page: at('feature-card')?.querySelector('a')?.href ?? '',
    };";

async fn until(page: &Page<'_>, what: &str, holds: impl Fn(&Shown) -> bool) -> Result<Shown> {
    page.until_read(SHOWN, what, WRITTEN, holds).await
}

/// Presses the button beside the SAE of this name.
async fn load(page: &Page<'_>, name: &str) -> Result<()> {
    let script = "
        const row = [...document.querySelectorAll('[data-testid=sae-choice]')]
            .find(row => row.querySelector('b').textContent === arguments[0]);
        row.querySelector('button').click();";
    page.browser.client.execute(script, vec![name.into()]).await?;
    Ok(())
}

/// Sets a field as somebody does who leaves it afterwards.
async fn enter(page: &Page<'_>, id: &str, value: &str) -> Result<()> {
    page.set(id, value).await?;
    let leave =
        "document.querySelector(`[data-testid=${arguments[0]}]`).dispatchEvent(new Event('change', { bubbles: true }))";
    page.browser.client.execute(leave, vec![id.into()]).await?;
    Ok(())
}

#[tokio::test]
async fn saes_of_a_repository_are_listed_loaded_refused_and_linked() -> Result<()> {
    let stage = Stage::set_small("hub-saes").await?;
    fill(stage.hub_root())?;
    let recipe = Recipe { prompt: Prompt::Text("abc abd".into()), view: View::Features, ..recipes::plain(tiny()) };
    let address = stage.address("/?backend=cpu") + &recipes::link(&recipe)?;
    let asked_for_sae = || stage.hub.log().entries().iter().any(|entry| entry.path.contains("layer_1"));
    let profile = stage.profile()?;
    let link = stage
        .play(&profile, async |page| {
            page.open_and_agree(&address).await?;
            page.until_ready().await?;
            let none = until(&page, "no SAE comes with the page", |now| now.state == "none").await?;
            ensure!(none.sae.is_empty() && !none.failed, "{none:?}");
            page.browser
                .client
                .execute("document.querySelector('[data-testid=another-sae]').open = true", vec![])
                .await?;
            page.set("sae-repository", REPOSITORY).await?;
            page.click("look-up-saes").await?;
            let listed = until(&page, "the repository is listed", |now| now.listing == "found").await?;
            ensure!(listed.choices == ["layer_0", "layer_1", "strange"], "{listed:?}");
            photograph(&page, "hub-saes-listed").await?;

            load(&page, "strange").await?;
            let refused = page.until("it is refused", WRITTEN, |seen| !seen.notices.is_empty()).await?;
            ensure!(refused.complaint().contains("<b>oracle</b>"), "{}", refused.complaint());
            until(&page, "another try is offered", |now| now.failed).await?;
            photograph(&page, "hub-saes-refused").await?;

            ensure!(!asked_for_sae(), "nothing is fetched that nobody chose");
            load(&page, "layer_1").await?;
            let read = until(&page, "the text is read", |now| now.state == "read" && now.card.is_some()).await?;
            ensure!(
                read.sae.contains("acme/saes/layer_1") && read.sae.contains("128 features of blocks.1.hook_resid_post"),
                "{read:?}"
            );
            let page_of_it = format!("https://www.neuronpedia.org/tiny/1-res/{}", read.card.unwrap_or_default());
            ensure!(read.page == page_of_it, "{read:?}");
            ensure!(page.seen().await?.notices.is_empty(), "what was wrong before is over");

            enter(&page, "name-feature", "<i>mine</i>").await?;
            until(&page, "it has the name", |now| now.title == "<i>mine</i>").await?;
            page.browser.client.execute("document.querySelector('[data-testid=against]').open = true", vec![]).await?;
            enter(&page, "against-text", "zzz zzy").await?;
            page.click("contrast").await?;
            let compared = until(&page, "the texts are compared", |now| now.compared > 4).await?;
            ensure!(compared.state == "read", "{compared:?}");
            photograph(&page, "hub-saes").await?;

            page.browser.client.refresh().await?;
            page.until_ready().await?;
            let again = until(&page, "what was chosen is kept", |now| now.card.is_some()).await?;
            ensure!(again.sae.is_empty() || again.sae == read.sae, "{again:?}");
            page.seen().await?.link.context("the page has a link")
        })
        .await?;

    let features = recipes::of_link(&link)?.features;
    let Some(SaeRef::OnHub(sae)) = &features.sae else { anyhow::bail!("the link names no SAE: {features:?}") };
    ensure!(sae.weights.repo == REPOSITORY && sae.weights.file.starts_with("layer_1/"), "{sae:?}");
    ensure!(features.labels.iter().any(|(_, name)| name == "<i>mine</i>"), "{features:?}");
    ensure!(features.against.as_deref() == Some("zzz zzy"), "{features:?}");

    // Whoever gets the link is asked before anything is fetched that the link alone names.
    stage.hub.log().clear();
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            page.open_and_agree(&link.replace("/#", "/?backend=cpu#")).await?;
            page.until_ready().await?;
            let asked = until(&page, "the page asks", |now| !now.asked.is_empty()).await?;
            ensure!(asked.asked.contains(REPOSITORY) && asked.asked.contains("layer_1"), "{asked:?}");
            ensure!(!asked_for_sae(), "nothing was asked of the hub: {:#?}", stage.hub.log().entries());
            photograph(&page, "hub-saes-asked").await?;
            page.click("sae-consent-load").await?;
            let opened = until(&page, "the features are shown", |now| now.card.is_some()).await?;
            ensure!(opened.tokens > 2 && opened.title == "<i>mine</i>", "{opened:?}");
            Ok(())
        })
        .await
}
