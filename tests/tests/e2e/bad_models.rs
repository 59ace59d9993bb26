//! Files that are no models, and networks that do not deliver: a message that says what to do, and a page that works on.

use crate::browser::DRAWN;
use crate::folders::Scratch;
use crate::gguf_bytes;
use crate::page::LOADED;
use crate::recipes::{self, place_of, smollm2};
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::Read;
use tiller_localhub::{Config, Fault};
use tiller_sites::ModelRef;

/// A file that cannot be loaded, and words that the message must have: what is wrong, and what to do.
struct Bad {
    file: &'static str,
    bytes: Vec<u8>,
    says: [&'static str; 2],
}

fn bad_files() -> Result<Vec<Bad>> {
    let mut truncated = Vec::new();
    File::open(tiller_tests::model_file())?.take(4 << 20).read_to_end(&mut truncated)?;
    let absurd: (&str, &[u64]) = ("token_embd.weight", &[1 << 40, 1 << 40]);
    let beyond: (&str, &[u64]) = ("token_embd.weight", &[1 << 20, 1 << 10]);
    Ok(vec![
        Bad { file: "truncated.gguf", bytes: truncated, says: ["ends at byte 4194304", "download it again"] },
        Bad { file: "magic.gguf", bytes: b"GGML, as it was".to_vec(), says: ["not a gguf file", "choose"] },
        Bad {
            file: "absurd.gguf",
            bytes: gguf_bytes::header("llama", &[absurd]),
            says: ["dimensions", "download it again"],
        },
        Bad {
            file: "beyond.gguf",
            bytes: gguf_bytes::header("llama", &[beyond]),
            says: ["ends at byte", "download it again"],
        },
        Bad {
            file: "unknown.gguf",
            bytes: gguf_bytes::header("abacus", &[]),
            says: ["architecture is \"abacus\"", "choose"],
        },
        Bad { file: "empty.gguf", bytes: Vec::new(), says: ["gguf", "choose"] },
    ])
}

fn on_the_bad_shelf(file: &str) -> ModelRef {
    ModelRef { repo: "bad/models".into(), revision: "main".into(), file: file.into(), bytes: None, sha256: None }
}

/// A hub with the bad files and, by a link, the good one.
fn fill(hub: &Scratch, bad: &[Bad]) -> Result<()> {
    for Bad { file, bytes, .. } in bad {
        let place = place_of(&on_the_bad_shelf(file), hub.path());
        fs::create_dir_all(place.parent().context("a file lies in a folder")?)?;
        fs::write(place, bytes)?;
    }
    let place = place_of(&smollm2(), hub.path());
    fs::create_dir_all(place.parent().context("a file lies in a folder")?)?;
    std::os::unix::fs::symlink(tiller_tests::model_file(), place)?;
    Ok(())
}

#[tokio::test]
async fn files_that_are_no_models_are_refused_in_words() -> Result<()> {
    let bad = bad_files()?;
    let folder = Scratch::new("hub")?;
    fill(&folder, &bad)?;
    let other_hub = tiller_localhub::serve(Config::new(folder.path()))?;
    let stage = Stage::set("bad-models").await?;
    let profile = stage.profile()?;
    let missing = Bad { file: "missing.gguf", bytes: Vec::new(), says: ["missing.gguf", "check"] };
    stage
        .play(&profile, async |page| {
            for Bad { file, says, .. } in bad.iter().chain([&missing]) {
                let link = recipes::link(&recipes::plain(on_the_bad_shelf(file)))?;
                let address = stage.address(&format!("/?backend=cpu&hub={}{link}", other_hub.origin()));
                page.open_and_agree(&address).await?;
                let seen = page.until("the file is refused", DRAWN, |seen| seen.model_is("failed")).await?;
                println!("e2e: bad-models: {file}: {:?}", seen.notices);
                for words in says {
                    ensure!(seen.complaint().contains(words), "{file}: \"{words}\" is not in {:?}", seen.notices);
                }
                page.set("prompt", "Still here").await?;
            }
            page.click("nav-models").await?;
            page.click("load-model").await?;
            page.until_ready().await?;
            page.click("nav-steer").await?;
            let seen = page.until_written().await?;
            ensure!(seen.prompt.as_deref() == Some("Still here"), "what was entered meanwhile is kept");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_cut_connection_is_taken_up_where_it_broke() -> Result<()> {
    // Within a part of the file: long files come in parts.
    const CUT: u64 = 3_000_000;
    let stage = Stage::set("cut").await?;
    let model = smollm2();
    stage.hub.faults().times(2, &model.file, Fault::Cut { after: CUT });
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            page.open(&stage.address("/?backend=cpu")).await?;
            page.until_ready().await?;
            let log = stage.hub.log();
            let gets: Vec<_> = log.entries().into_iter().filter(|e| e.method == "GET" && e.bytes_sent > 0).collect();
            let gets: Vec<_> = gets.into_iter().filter(|e| e.path.ends_with(&model.file)).collect();
            ensure!(gets.iter().all(|get| get.status == 206), "a long file comes in parts: {gets:#?}");
            // What the connections still held when they were given up is fetched a second time.
            let again = log.bytes_sent(&model.file) - model.bytes.context("the catalogue says the size")?;
            println!("e2e: cut: {again} bytes were fetched twice, in {} requests", gets.len());
            // At each cut, no more than four parts of 4 MiB can have been on their way.
            ensure!(again < 2 * 4 * (4 << 20), "more than the parts on their way was fetched again: {again} bytes");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_damaged_file_is_not_loaded_and_trying_again_helps() -> Result<()> {
    let stage = Stage::set("damaged").await?;
    stage.hub.faults().always(&smollm2().file, Fault::Corrupt { at: 50_000_000 });
    let profile = stage.profile()?;
    stage
        .play(&profile, async |page| {
            page.open(&stage.address("/?backend=cpu")).await?;
            let seen = page.until("the file is refused", LOADED, |seen| seen.model_is("failed")).await?;
            println!("e2e: damaged: {:?}", seen.notices);
            ensure!(seen.complaint().contains("sha256") || seen.complaint().contains("checksum"), "{:?}", seen.notices);
            stage.hub.faults().clear();
            page.click("retry").await?;
            let seen = page.until_ready().await?;
            ensure!(seen.notices.is_empty(), "the notice goes with its cause: {:?}", seen.notices);
            Ok(())
        })
        .await
}
