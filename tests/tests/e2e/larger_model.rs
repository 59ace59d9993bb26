//! A model of half a billion parameters on WebGPU: its file goes to the device without filling the tab's memory. It
//! takes 491 MB, so it is fetched only by `cargo xtask test optional`, and the scenario is ignored elsewhere.

use crate::browser::Width;
use crate::page::Seen;
use crate::recipes;
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use tiller_engine::BackendKind;
use tiller_localhub::QWEN25_CODER_05B;
use tiller_recipe::Recipe;
use tiller_sites::ModelRef;
use tiller_tests::running;

/// The most WebAssembly memory that loading may take.
const HEAP: u64 = 150_000_000;

/// On a software GPU, one token of the prompt and of the text takes seconds.
const PATIENCE: Duration = Duration::from_secs(900);

#[tokio::test]
#[ignore = "takes 491 MB: cargo xtask test optional"]
async fn a_larger_model_streams_to_the_gpu() -> Result<()> {
    let file = QWEN25_CODER_05B.path_in(&tiller_tests::hub_cache());
    ensure!(file.is_file(), "{} is missing: run `cargo xtask test optional`", file.display());
    let model = ModelRef {
        repo: QWEN25_CODER_05B.repo.into(),
        revision: QWEN25_CODER_05B.revision.into(),
        file: QWEN25_CODER_05B.file.into(),
        bytes: Some(QWEN25_CODER_05B.size),
        sha256: Some(QWEN25_CODER_05B.sha256.into()),
    };
    let recipe = Recipe { max_tokens: 3, ..recipes::plain(model) };
    let link = recipes::link(&recipe)?;
    // What the CPU writes, `tests/optional.rs` holds against independent implementations.
    let mut native = tiller_tests::load_file(&file, tiller_tests::open(BackendKind::Cpu), 512);
    let prompt = native.tokens(&recipe.prompt)?;
    let expected = running::write(&mut native, &running::generation(&[&prompt], recipe.max_tokens)).swap_remove(0);
    drop(native);

    let stage = Stage::set("larger-model").await?;
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            let begun = Instant::now();
            page.open_and_agree(&stage.address(&format!("/?backend=gpu{link}"))).await?;
            let over = |seen: &Seen| seen.model_is("ready") || seen.model_is("failed");
            let seen = page.until("the model is loaded", PATIENCE, over).await?;
            ensure!(seen.model_is("ready"), "the model is not loaded: {:?}", seen.notices);
            stage.took("loaded", begun);

            let heap = page.find("model-status").await?.attr("data-heap-bytes").await?;
            let heap: u64 = heap.context("the page knows its memory")?.parse()?;
            println!("e2e: larger-model: {heap} bytes of WebAssembly memory for a file of {}", QWEN25_CODER_05B.size);
            let begun = Instant::now();
            let seen = page.until("it has written", PATIENCE, |seen: &Seen| seen.plain.is("done")).await?;
            ensure!(seen.plain.ids() == expected, "{:?}, natively {expected:?}", seen.plain);
            stage.took("wrote three tokens", begun);
            page.click("nav-models").await?;
            page.browser.screenshot("larger-model", Width::Wide).await?;
            ensure!(heap <= HEAP, "loading takes {heap} bytes of the tab's memory");
            Ok(())
        })
        .await
}
