//! A model as its makers publish it: config.json, tokenizer.json and weights as safetensors, in one file or in several.

use crate::browser::DRAWN;
use crate::choosing::{look_up, open_without_model};
use crate::lens;
use crate::looks::photograph;
use crate::page::{Page, Seen, WRITTEN};
use crate::recipes;
use crate::small_models::COMMIT;
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use safetensors::SafeTensors;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tiller_recipe::Prompt;
use tiller_tests::architectures::{folder, load_repository};

const WHOLE: &str = "acme/tiny-llama";
const SHARDED: &str = "acme/tiny-gemma";
const SHARDS: [&str; 2] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const INDEX: &str = "model.safetensors.index.json";

/// What lies beside the weights.
const BESIDE: [&str; 5] =
    ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];

/// The golden model `name` as the repository `repo` of a hub rooted at `hub`; the files that lie beside its weights.
fn put_beside(hub: &Path, repo: &str, name: &str) -> Result<PathBuf> {
    let place = hub.join(repo).join(COMMIT);
    fs::create_dir_all(&place)?;
    for file in BESIDE.iter().filter(|file| folder(name).join(file).is_file()) {
        fs::copy(folder(name).join(file), place.join(file))?;
    }
    Ok(place)
}

/// The same weights in two files, and the list of which holds what.
fn put_in_shards(weights: &[u8], place: &Path) -> Result<()> {
    let tensors: Vec<_> = SafeTensors::deserialize(weights)?.tensors();
    let mut of_tensor = BTreeMap::new();
    for (tensors, shard) in tensors.chunks(tensors.len().div_ceil(2)).zip(SHARDS) {
        of_tensor.extend(tensors.iter().map(|(name, _)| (name.clone(), shard)));
        let tensors = tensors.iter().map(|(name, tensor)| (name, tensor));
        fs::write(place.join(shard), safetensors::serialize(tensors, None)?)?;
    }
    Ok(fs::write(place.join(INDEX), json!({ "metadata": {}, "weight_map": of_tensor }).to_string())?)
}

/// What the same model writes after the page's prompt, outside a browser.
fn written_natively(name: &str, max_tokens: u32) -> Result<Vec<u32>> {
    let mut session = load_repository(name, None, None);
    let recipe = recipes::plain(crate::small_models::tiny());
    let Prompt::Text(text) = recipe.prompt else { unreachable!("a plain recipe has a text") };
    let prompt = session.tokens(&Prompt::Text(text))?;
    let what = session.generation(prompt, Vec::new(), &[false], recipe.sampling, max_tokens);
    let (results, _) = pollster::block_on(session.engine.generate(&what, &(), || 0.0, |_| {}))?;
    Ok(results.into_iter().next().context("one lane")?.tokens)
}

async fn write(page: &Page<'_>) -> Result<Seen> {
    page.click("nav-steer").await?;
    page.click("write").await?;
    page.until("the text is written", WRITTEN, |seen| seen.plain.is("done") && !seen.plain.tokens.is_empty()).await
}

/// Waits until the lens has read the prompt with a model of so many blocks: it has a row for each, and one more.
async fn read_lens(page: &Page<'_>, blocks: usize) -> Result<()> {
    page.click("nav-lens").await?;
    lens::until(page, "the prompt is read", |shown| shown.state == "read" && shown.rows.len() == blocks + 1).await?;
    Ok(())
}

/// How many models can be deleted.
async fn kept_models(page: &Page<'_>) -> Result<u64> {
    let script = "return document.querySelectorAll('[data-testid=delete-model]').length";
    page.browser.client.execute(script, vec![]).await?.as_u64().context("a number of elements")
}

#[tokio::test]
async fn safetensors_are_listed_loaded_and_kept_without_asking_the_hub_again() -> Result<()> {
    let stage = Stage::set_small("original-weights").await?;
    let place = put_beside(stage.hub_root(), WHOLE, "llama3")?;
    fs::copy(folder("llama3").join("model.safetensors"), place.join("model.safetensors"))?;
    let place = put_beside(stage.hub_root(), SHARDED, "gemma3")?;
    put_in_shards(&fs::read(folder("gemma3").join("model.safetensors"))?, &place)?;
    let expected = written_natively("llama3", 5)?;
    let profile = stage.profile()?;
    let links = stage
        .play(&profile, async |page| {
            open_without_model(&stage, &page).await?;
            let hint = page.find("listing").await?.text().await?;
            ensure!(hint.contains("GGUF") && hint.contains("safetensors"), "{hint}");

            let listing = look_up(&page, WHOLE).await?.listing.unwrap_or_default();
            for words in ["Safetensors, 5 files", "78.5 kB", "Proposed, because"] {
                ensure!(listing.contains(words), "\"{words}\" is not in {listing:?}");
            }
            photograph(&page, "models-safetensors").await?;
            page.click("load-proposed").await?;
            page.until_ready().await?;
            let whole = write(&page).await?;
            ensure!(whole.plain.ids() == expected, "{:?} is written, {expected:?} natively", whole.plain.ids());
            read_lens(&page, 2).await?;

            page.click("nav-models").await?;
            let listing = look_up(&page, SHARDED).await?.listing.unwrap_or_default();
            ensure!(listing.contains("Safetensors, 8 files"), "{listing:?}");
            page.click("load-proposed").await?;
            page.until("it is being loaded", DRAWN, |seen| !seen.model_is("ready")).await?;
            page.until_ready().await?;
            let sharded = write(&page).await?;
            read_lens(&page, 6).await?;
            ensure!(SHARDS.iter().all(|shard| stage.hub.log().bytes_sent(shard) > 0), "both shards were fetched");
            let link = |seen: Seen| seen.link.context("the page has a link");
            Ok([link(whole)?, link(sharded)?])
        })
        .await?;

    stage.hub.log().clear();
    let asked = || stage.hub.log().entries().into_iter().find(|entry| entry.path.contains("acme/"));
    stage
        .play(&profile, async |page| {
            for link in &links {
                page.open(link).await?;
                let seen = page.until_ready().await?;
                ensure!(seen.asked.is_none(), "what is here already needs no question: {seen:#?}");
                ensure!(asked().is_none(), "a model that is kept is loaded without the hub: {:?}", asked());
            }
            page.click("nav-models").await?;
            let kept = page.find("cache-list").await?;
            let text = kept.text().await?;
            for (repo, file) in [("tiny-llama", "model.safetensors"), ("tiny-gemma", INDEX)] {
                ensure!(text.contains(repo) && text.contains(file), "{repo} is one entry: {text:?}");
            }
            ensure!(!text.contains("tokenizer.json"), "a folder is one entry: {text:?}");
            // What is not all here any more is not fetched without a word.
            for left in [1, 0] {
                page.click("delete-model").await?;
                let begun = Instant::now();
                while kept_models(&page).await? != left {
                    ensure!(begun.elapsed() < DRAWN, "a model that is deleted is still listed");
                }
            }
            page.open(&links[1]).await?;
            page.until("the page asks", DRAWN, |seen| seen.asked.is_some()).await?;
            ensure!(asked().is_none(), "nothing is fetched before the user agrees: {:?}", asked());
            Ok(())
        })
        .await
}

#[tokio::test]
async fn of_safetensors_that_cannot_be_loaded_the_page_says_why() -> Result<()> {
    let stage = Stage::set_small("broken-weights").await?;
    let (short, unknown) = ("acme/a-shard-short", "acme/abacus");
    let place = put_beside(stage.hub_root(), short, "gemma3")?;
    put_in_shards(&fs::read(folder("gemma3").join("model.safetensors"))?, &place)?;
    fs::remove_file(place.join(SHARDS[1]))?;
    let place = put_beside(stage.hub_root(), unknown, "llama3")?;
    fs::copy(folder("llama3").join("model.safetensors"), place.join("model.safetensors"))?;
    fs::write(place.join("config.json"), json!({ "model_type": "abacus" }).to_string())?;
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            open_without_model(&stage, &page).await?;
            for (repo, says) in [(short, ["there is no", SHARDS[1]]), (unknown, ["abacus", "choose"])] {
                page.click("nav-models").await?;
                look_up(&page, repo).await?;
                page.click("load-proposed").await?;
                let complains =
                    |seen: &Seen| seen.model_is("failed") && says.iter().all(|w| seen.complaint().contains(w));
                let seen = page.until("the page says what is wrong", DRAWN, complains).await?;
                println!("e2e: broken-weights: {repo}: {:?}", seen.notices);
            }
            let weights = stage
                .hub
                .log()
                .entries()
                .into_iter()
                .find(|entry| entry.path.contains(unknown) && entry.path.ends_with("model.safetensors"));
            ensure!(weights.is_none(), "no weights of what cannot be run are fetched: {weights:?}");
            Ok(())
        })
        .await
}
