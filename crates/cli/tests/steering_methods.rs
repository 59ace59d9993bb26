//! `tiller cast`, `layers`, `robustness` and `model-diff` as a person or a script runs them, on the CPU backend.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use tiller_model::{ModelRef, TinyLlama, catalogue};

const COOKING: &str = include_str!("../../../tests/prompts/cooking.jsonl");
const EVERYDAY: &str = include_str!("../../../tests/prompts/everyday.jsonl");
const CASUAL: [(&str, &str); 4] = [
    ("hey could you maybe help me out real quick", "I would be most grateful for your kind assistance"),
    ("so yeah your stuff is gonna be late, sorry", "We regret to inform you of a delay in delivery"),
    ("oops, my bad, sorry about all that mess", "Please accept my sincere apologies for the inconvenience"),
    ("nah, I don't really buy that, dude", "I must respectfully disagree with that assessment"),
];

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

fn json(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

fn refusal(args: &[&str]) -> String {
    let output = tiller(args);
    assert!(!output.status.success(), "{args:?} succeeded");
    String::from_utf8(output.stderr).expect("the message is text")
}

/// Files of a test, by their names.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        let files = Files(TempDir::new().unwrap());
        let pair = |(positive, negative): &(&str, &str)| {
            serde_json::json!({ "positive": positive, "negative": negative }).to_string()
        };
        files.put("casual.jsonl", &CASUAL.iter().map(pair).collect::<Vec<_>>().join("\n"));
        let few = |prompts: &str| prompts.lines().take(8).collect::<Vec<_>>().join("\n");
        files.put("cooking.jsonl", &few(COOKING));
        files.put("everyday.jsonl", &few(EVERYDAY));
        files
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("the path is text").to_string()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

#[test]
fn cast_finds_a_condition_and_writes_an_experiment_that_runs() {
    let (files, model) = (Files::new(), model());
    let (matching, other, pairs, recipe) = (
        files.path("cooking.jsonl"),
        files.path("everyday.jsonl"),
        files.path("casual.jsonl"),
        files.path("cast.json"),
    );
    let asked = |layers: &'static str| {
        [
            "cast",
            "--model",
            text(&model),
            "--backend",
            "cpu",
            "--matching",
            &matching,
            "--other",
            &other,
            "--chat",
            "--pairs",
            &pairs,
            "--layer",
            "14",
            "--condition-layers",
            layers,
            "--controls",
            "1",
        ]
        .map(String::from)
        .to_vec()
    };
    let run = |layers: &'static str, more: &[&str]| {
        let asked = asked(layers);
        let all: Vec<&str> = asked.iter().map(String::as_str).chain(more.iter().copied()).collect();
        json(&done(&all))
    };
    let found = run("6,10,14", &["--recipe", &recipe, "--json"]);
    let condition = &found["condition"];
    assert!([6, 10, 14].contains(&condition["layer"].as_u64().unwrap()), "{condition}");
    for gating in [&condition["chosen_by"], &condition["reported"], &condition["random"][0]["reported"]] {
        assert!((0.0..=1.0).contains(&gating["f1"].as_f64().unwrap()), "{gating}");
    }
    let effect = &found["effect"];
    assert_eq!(effect["ungated"]["acted"]["other"], 1.0);
    assert!(effect["gated"]["matching"]["interval"].is_array() && effect["perplexity_gated"].is_number(), "{effect}");

    // The prompt is one that the condition is for or not; either way it is an experiment that runs.
    let written = json(&done(&["run", &recipe, "--model", text(&model), "--backend", "cpu", "--json"]));
    assert!(written["steered"]["text"].is_string(), "{written}");
    let edits = json(&std::fs::read_to_string(&recipe).unwrap())["edits"].clone();
    assert_eq!(edits[0]["condition"]["activation"]["latched"], true, "{edits}");

    let late: Vec<String> = asked("15");
    let late: Vec<&str> = late.iter().map(String::as_str).collect();
    assert!(refusal(&late).contains("name layers up to 14"));
}

#[test]
fn layers_are_swept_and_cheap_picks_held_against_the_sweep() {
    let (files, model) = (Files::new(), model());
    let pairs = files.path("casual.jsonl");
    let flags = ["layers", "--model", text(&model), "--backend", "cpu", "--pairs", &pairs, "--layers", "6,14,20"];
    let found = json(&done(&[&flags[..], &["--json"]].concat()));
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers.iter().map(|at| at["layer"].as_u64().unwrap()).collect::<Vec<_>>(), [6, 14, 20]);
    for at in layers {
        let divergence = |of: &str| at[of].as_f64().unwrap();
        assert!((0.0..=0.694).contains(&divergence("hidden")) && (0.0..=0.694).contains(&divergence("lens")), "{at}");
    }
    let picks = found["picks"].as_array().unwrap();
    assert_eq!(picks.is_empty(), found["best"].is_null());
    let best = layers.iter().find(|at| at["layer"] == found["best"]).unwrap();
    for pick in picks {
        let at = layers.iter().find(|at| at["layer"] == pick["layer"]).unwrap();
        let share = at["reported"]["mean"].as_f64().unwrap() / best["reported"]["mean"].as_f64().unwrap();
        assert!((pick["share"].as_f64().unwrap() - share).abs() < 1e-9, "{pick}");
    }
    assert_eq!(found["random"].as_array().unwrap().len(), 4);
}

#[test]
fn robustness_says_why_a_vector_is_fragile() {
    let (files, model) = (Files::new(), model());
    let (pairs, contexts, vector) =
        (files.path("casual.jsonl"), files.path("everyday.jsonl"), files.path("casual.safetensors"));
    let common = ["--model", text(&model), "--backend", "cpu", "--pairs", &pairs];
    done(&[&["vector"], &common[..], &["--layers", "14", "--out", &vector]].concat());
    let flags = ["--vector", &vector, "--contexts", &contexts, "--controls", "1", "--words", " dude, gonna"];
    let strengths = ["--strengths", "0.05,0.2"];
    let found = json(&done(&[&["robustness"], &common[..], &flags, &strengths, &["--json"]].concat()));
    assert_eq!((found["layer"].as_u64(), found["contexts"].as_u64()), (Some(14), Some(8)));
    assert_eq!(found["strengths"].as_array().unwrap().len(), 2);
    assert!(!found["look_alikes"].as_array().unwrap().is_empty());
    let printed = done(&[&["robustness"], &common[..], &flags, &strengths].concat());
    let is_robust = found["fragile"].as_array().unwrap().is_empty();
    assert!(printed.trim_end().lines().last().unwrap().starts_with(if is_robust { "Robust" } else { "Fragile" }));
}

#[test]
fn model_diff_writes_the_difference_and_refuses_other_shapes() {
    let files = Files::new();
    for (name, tiny) in [
        ("base.gguf", TinyLlama::default()),
        ("tuned.gguf", TinyLlama { seed: 2, ..TinyLlama::default() }),
        ("deeper.gguf", TinyLlama { layers: 3, ..TinyLlama::default() }),
    ] {
        files.put(name, TinyLlama { context: 2048, ..tiny }.to_gguf().unwrap());
    }
    let [base, tuned, deeper, prompts, out] =
        ["base.gguf", "tuned.gguf", "deeper.gguf", "everyday.jsonl", "diff.safetensors"].map(|name| files.path(name));
    let flags = ["--backend", "cpu", "--prompts", &prompts, "--controls", "2"];
    let compare = |other: &str, more: &[&str]| {
        let named = ["model-diff", "--model", &base, "--tuned", other];
        [&named[..], &flags, more].concat().into_iter().map(String::from).collect::<Vec<String>>()
    };
    let asked = compare(&tuned, &["--layers", "0,1", "--out", &out, "--json"]);
    let found = json(&done(&asked.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!((found["base"].as_str(), found["tuned"].as_str()), (Some("base.gguf"), Some("tuned.gguf")));
    assert!(found["layers"].as_array().unwrap().iter().all(|at| at["norm"].as_f64().unwrap() > 0.0), "{found}");
    let written = std::fs::read(&out).unwrap();
    let made_of = b"tuned.gguf less base.gguf";
    assert!(written.windows(made_of.len()).any(|bytes| bytes == made_of), "the file says what it was made of");
    let asked = compare(&deeper, &[]);
    assert!(refusal(&asked.iter().map(String::as_str).collect::<Vec<_>>()).contains("2 layers"));
}
