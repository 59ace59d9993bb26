//! `tiller sae harvest`, `train` and `describe`, one after the other, on SmolLM2-135M-Instruct's third block.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use tiller_formats::{DiskFolder, ReadOptions, SaeFile};
use tiller_model::{ModelRef, catalogue};
use tiller_sae::Activation;

const SITE: &str = "blocks.2.hook_resid_post";
const WIDTH: usize = 576;
const TEXTS: [&str; 2] = [include_str!("../../../ARCHITECTURE.md"), include_str!("../../../saes/README.md")];

fn model() -> PathBuf {
    let cache = tiller_hub::cache_folder().expect("there is a home folder");
    let ModelRef { repo, revision, file, .. } = catalogue().remove(0).model;
    let path = cache.join(repo).join(revision).join(file);
    assert!(path.is_file(), "{} is missing: run `cargo xtask setup` first", path.display());
    path
}

fn tiller(args: &[&str]) -> Output {
    // No test may reach the network.
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiller"));
    command.args(args).env("TILLER_HUB", "http://127.0.0.1:9").output().expect("the program runs")
}

fn done(args: &[&str]) -> String {
    let output = tiller(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the output is text")
}

fn refusal(args: &[&str]) -> String {
    let output = tiller(args);
    assert!(!output.status.success(), "{args:?} succeeded");
    String::from_utf8(output.stderr).expect("the message is text")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// The paragraphs of the project's own pages, those of every fourth in the second file.
fn texts(folder: &Path) -> [PathBuf; 2] {
    let paragraphs = TEXTS.iter().flat_map(|page| page.split("\n\n")).filter(|text| text.len() > 40);
    let (mut training, mut held_out) = (String::new(), String::new());
    for (number, paragraph) in paragraphs.enumerate() {
        let line = json!({ "text": paragraph, "source": "pages" }).to_string() + "\n";
        if number % 4 == 3 { &mut held_out } else { &mut training }.push_str(&line);
    }
    [("training.jsonl", training), ("held-out.jsonl", held_out)].map(|(name, lines)| {
        let path = folder.join(name);
        std::fs::write(&path, lines).unwrap();
        path
    })
}

fn harvest(texts: &Path, out: &Path) {
    let model = model();
    let (model, texts, out) = (text(&model), text(texts), text(out));
    done(&["sae", "harvest", "--model", model, "--backend", "cpu", "--site", SITE, "--texts", texts, "--out", out]);
}

/// Numbers of a tensor, as 32-bit words or halves.
fn halves(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<2>().0.iter().map(|&x| half::f16::from_le_bytes(x).to_f32()).collect()
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|&x| u32::from_le_bytes(x)).collect()
}

#[test]
fn activations_are_harvested_trained_on_and_described() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [training, held_out] = texts(folder.path());
    let files = [at("training.safetensors"), at("held-out.safetensors")];
    harvest(&training, &files[0]);
    harvest(&held_out, &files[1]);

    // What is written is what `capture` reads, in halves, without each text's first token.
    let bytes = std::fs::read(&files[1]).unwrap();
    let found = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let rows = found.tensor("activations").unwrap().shape()[0];
    assert_eq!(found.tensor("activations").unwrap().shape(), [rows, WIDTH]);
    let column = |name: &str| words(found.tensor(name).unwrap().data());
    let (tokens, positions, numbers) = (column("tokens"), column("positions"), column("texts"));
    assert!(rows > 500 && tokens.len() == rows && positions[0] == 1 && !positions.contains(&0), "{rows}");
    let last = *numbers.last().unwrap();
    assert_eq!(last as usize + 1, std::fs::read_to_string(&held_out).unwrap().lines().count());
    let captured = at("captured.safetensors");
    let first: Value =
        serde_json::from_str(std::fs::read_to_string(&held_out).unwrap().lines().next().unwrap()).unwrap();
    let (model, prompt) = (model(), first["text"].as_str().unwrap());
    let sites = ["--sites", SITE, "--out", text(&captured)];
    done(&[&["capture", "--model", text(&model), "--backend", "cpu", "--prompt", prompt], sites.as_slice()].concat());
    let captured = std::fs::read(&captured).unwrap();
    let captured = safetensors::SafeTensors::deserialize(&captured).unwrap();
    let captured = captured.tensor(SITE).unwrap().data()[4 * WIDTH..].to_vec();
    let harvested = halves(found.tensor("activations").unwrap().data());
    let of_first = numbers.iter().filter(|&&text| text == 0).count();
    assert!(of_first > 20);
    for (half, word) in harvested[..of_first * WIDTH].iter().zip(words(&captured)) {
        let full = f32::from_bits(word);
        assert!((half - full).abs() <= full.abs() / 1000.0 + 1e-4, "{half} for {full}");
    }

    // Each method: what is written can be read, and is what the report is of.
    let train = |method: &str, more: &[&str]| -> (Value, SaeFile) {
        let out = at(method);
        let activations = ["--activations", text(&files[0]), "--held-out", text(&files[1])];
        let options = ["--method", method, "--features", "128", "--batch", "128", "--epochs", "60"];
        let end = ["--out", text(&out), "--json"];
        let report = done(&[&["sae", "train"], &activations[..], &options[..], more, &end[..]].concat());
        let file = pollster::block_on(SaeFile::read(&DiskFolder::new(&out), &ReadOptions::default())).unwrap();
        (serde_json::from_str(&report).unwrap(), file)
    };
    for (method, more) in [
        ("topk", &["--k", "8"][..]),
        ("batch-topk", &["--k", "8"]),
        ("matching-pursuit", &["--k", "8"]),
        ("standard", &["--sparsity", "1"]),
        // Thresholds rise by at most the learning rate a step, on a logarithmic scale: in so few steps it has to be higher.
        ("jumprelu", &["--sparsity", "4", "--learning-rate", "0.005"]),
    ] {
        let (report, SaeFile { sae, trained_on }) = train(method, more);
        let activation_fits = match (method, &sae.activation) {
            ("topk", Activation::TopK { k: 8 })
            | ("batch-topk" | "jumprelu", Activation::JumpRelu { .. })
            | ("standard", Activation::Relu)
            | ("matching-pursuit", Activation::MatchingPursuit { max_iterations: 8, .. }) => true,
            _ => false,
        };
        assert!(activation_fits, "{method}: {:?}", sae.activation);
        assert_eq!((sae.d_in, sae.d_sae, trained_on.site.as_deref()), (WIDTH, 128, Some(SITE)), "{method}");
        let explained = report["stored"]["explained_variance"].as_f64().unwrap();
        let l0 = report["stored"]["l0"].as_f64().unwrap();
        eprintln!("{method}: {:.1} % of the variance explained with {l0:.1} features", 100.0 * explained);
        assert!(explained > 0.15, "{method}: {report}");
        assert!(l0 > 1.0 && l0 < 64.0, "{method}: {report}");
        assert_eq!(report["trained"], report["stored"], "{method}: weights are not rounded");
    }

    let out = at("features.json");
    let (files, sae) = (files.each_ref().map(|file| text(file)), at("topk"));
    let texts = ["--passages", files[1], "--texts", text(&held_out), "--quote", "pages=MIT", "--top", "3"];
    let from = ["--sae", text(&sae), "--label-on", files[0], "--measure-on", files[1], "--out", text(&out)];
    let model = text(&model);
    done(&[&["sae", "describe", "--model", model, "--backend", "cpu"], &from[..], &texts[..]].concat());
    let described: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!((&described["site"], described["sources"][0]["licence"].as_str()), (&json!(SITE), Some("MIT")));
    let features = described["features"].as_array().unwrap();
    assert_eq!(features.len(), 128);
    let shown = features.iter().filter(|feature| feature["density"].as_f64() > Some(0.0)).collect::<Vec<_>>();
    assert!(shown.len() > 20, "{} features are active", shown.len());
    for feature in shown {
        let passages = feature["passages"].as_array().unwrap();
        assert!((1..=3).contains(&passages.len()), "{feature}");
        for passage in passages {
            let tokens = described["texts"][passage["text"].as_u64().unwrap() as usize]["tokens"].as_array().unwrap();
            let at = passage["at"].as_u64().unwrap();
            assert!(at > 0 && (at as usize) < tokens.len(), "{feature}");
            let values = passage["values"].as_array().unwrap();
            assert!(values.iter().any(|value| value[0] == at), "its largest value is among them: {feature}");
        }
    }
}

#[test]
fn what_cannot_be_trained_on_is_explained() {
    let folder = TempDir::new().unwrap();
    let [texts, few] = ["texts.jsonl", "few.safetensors"].map(|name| folder.path().join(name));
    std::fs::write(&texts, "{\"text\": \"A few words are not much to learn from.\"}\n").unwrap();
    harvest(&texts, &few);
    let (few, out) = (text(&few), folder.path().join("sae"));
    let train = |activations: &str, more: &[&str]| {
        let files = ["--activations", activations, "--held-out", few, "--out", text(&out)];
        refusal(&[&["sae", "train"], &files[..], more].concat())
    };
    assert!(train(few, &[]).contains("fewer than a batch of 1024"));
    assert!(train(few, &["--batch", "4", "--features", "16"]).contains("k has to be at least 1"));
    assert!(train(text(&texts), &[]).contains("give a file of `tiller sae harvest`"));
    assert!(train(few, &["--method", "guessing"]).contains("matching-pursuit"), "the methods are named");
}

/// The flags of each `tiller sae ..` in the instructions that the shipped autoencoder was made by.
#[test]
fn the_instructions_for_the_shipped_sae_name_flags_that_there_are() {
    let page = include_str!("../../../saes/README.md").replace("\\\n", " ");
    let harvest = page.lines().find_map(|line| line.strip_prefix("harvest=\"")).unwrap().trim_end_matches('"');
    let page = page.replace("$harvest", harvest);
    let mut checked = 0;
    for line in page.lines().filter(|line| line.starts_with("tiller sae ")) {
        let command = line.split_whitespace().nth(2).unwrap();
        let help = done(&["sae", command, "--help"]);
        let known: Vec<&str> = help.split(|c: char| c.is_whitespace() || c == ',').collect();
        for flag in line.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(known.contains(&flag), "`tiller sae {command}` has no {flag}:\n{help}");
            checked += 1;
        }
    }
    assert!(checked > 25, "{checked}");
}
