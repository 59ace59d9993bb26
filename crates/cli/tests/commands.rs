//! The program as a person or a script runs it: SmolLM2-135M-Instruct on the CPU backend.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use tiller_experiment::{ControlVectorFile, VectorAtLayer, VectorOrigin};
use tiller_formats::{Precision, SaeFile, TrainedOn};
use tiller_model::{ModelRef, catalogue};
use tiller_recipe::{
    Direction, Edit, FeatureChange, FeatureEdit, FeatureMode, Lens, Patching, Prompt, Recipe, Source, VERSION, Vector,
    View, to_fragment,
};
use tiller_sae::{Activation, Normalisation, Sae};

const CAPITAL: &str = "The capital of France is";
const CAPITAL_TOKENS: [u64; 5] = [504, 3575, 282, 4649, 314];

fn smollm() -> ModelRef {
    catalogue().remove(0).model
}

/// The model's file in the cache that the set-up fills.
fn model() -> PathBuf {
    let cache = tiller_hub::cache_folder().expect("there is a home folder");
    let ModelRef { repo, revision, file, .. } = smollm();
    let path = cache.join(repo).join(revision).join(file);
    assert!(path.is_file(), "{} is missing: run `cargo xtask setup` first", path.display());
    path
}

fn tiller(args: &[&str]) -> Output {
    // No test may reach the network.
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiller"));
    command.args(args).env("TILLER_HUB", "http://127.0.0.1:9").output().expect("the program runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// Runs `command` with the model on the CPU, and returns what it prints.
fn on_cpu(command: &str, args: &[&str]) -> String {
    let model = model();
    let output = tiller(&[&[command, "--model", text(&model), "--backend", "cpu"], args].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the output is text")
}

fn json(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// The one sentence with which the program refuses.
fn refusal(args: &[&str]) -> String {
    let output = tiller(args);
    assert!(!output.status.success(), "{args:?} succeeded");
    assert!(output.stdout.is_empty(), "{args:?} printed {}", String::from_utf8_lossy(&output.stdout));
    let message = String::from_utf8(output.stderr).expect("the message is text");
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    message
}

/// One direction, `[width]`, for layer 3.
fn one_direction(width: usize) -> ControlVectorFile {
    let direction: Vec<f32> = (0..width).map(|i| (i as f32).sin()).collect();
    let layer = VectorAtLayer { layer: 3, direction, norm: 10.0, typical_norm: 100.0 };
    ControlVectorFile { method: "mean-diff".into(), layers: vec![layer] }
}

/// The same numbers as another program would write them, without a word about what they are.
fn foreign_vector(folder: &TempDir, name: &str, width: usize) -> PathBuf {
    let direction: Vec<u8> = (0..width).flat_map(|i| (i as f32).sin().to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![width], &direction).unwrap();
    let path = folder.path().join(format!("{name}.safetensors"));
    std::fs::write(&path, safetensors::serialize([(name, view)], None).unwrap()).unwrap();
    path
}

/// A control vector with one direction, `[width]`, for layer 3.
fn vector_file(folder: &TempDir, width: usize) -> PathBuf {
    let file = one_direction(width);
    let path = folder.path().join(format!("{width}.gguf"));
    std::fs::write(&path, file.to_gguf(&VectorOrigin::default()).unwrap()).unwrap();
    path
}

#[test]
fn generate_continues_a_text_greedily() {
    let found = json(&on_cpu("generate", &["--prompt", CAPITAL, "--max-tokens", "4", "--json"]));
    assert_eq!(found["prompt_tokens"], Value::from(CAPITAL_TOKENS.to_vec()));
    assert!(found["text"].as_str().unwrap().starts_with(" Paris"), "{found}");
    assert_eq!(found["tokens"].as_array().unwrap().len(), 4);
    assert_eq!(found["backend"], "cpu");
    assert!(found["adapter"].is_string());
    assert_eq!(found.as_object().unwrap().len(), 5, "the fields are what scripts rely on: {found}");

    // Streamed, and from token ids, it is the same text.
    let streamed = on_cpu("generate", &["--prompt", CAPITAL, "--max-tokens", "4"]);
    assert_eq!(streamed.strip_suffix('\n').unwrap(), found["text"].as_str().unwrap());
    let from_ids = on_cpu("generate", &["--tokens", "504,3575,282,4649,314", "--max-tokens", "4", "--json"]);
    assert_eq!(json(&from_ids), found);
}

#[test]
fn a_seed_draws_the_same_again_and_another_seed_does_not() {
    let drawn = |seed: &str| {
        let flags =
            ["--prompt", "Once upon a time", "--max-tokens", "8", "--temperature", "1", "--seed", seed, "--json"];
        json(&on_cpu("generate", &flags))["tokens"].clone()
    };
    let first = drawn("1");
    assert_eq!(first, drawn("1"));
    assert_ne!(first, drawn("2"));
}

#[test]
fn chat_puts_the_text_into_the_models_template() {
    let flags = ["--prompt", "Name a colour.", "--chat", "--max-tokens", "1", "--json"];
    let found = json(&on_cpu("generate", &flags));
    // <|im_start|> begins every message of this model, <|im_start|>assistant\n the one it is to write.
    let tokens = found["prompt_tokens"].as_array().unwrap();
    assert_eq!(tokens.first(), Some(&Value::from(1)));
    assert!(tokens.iter().filter(|&token| *token == 1).count() >= 2, "{found}");
}

#[test]
fn a_model_of_the_cache_goes_by_its_repositorys_name() {
    model();
    let repo = smollm().repo;
    let output =
        tiller(&["generate", "--model", &repo, "--backend", "cpu", "--tokens", "504", "--max-tokens", "1", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn capture_writes_a_tensor_for_each_site() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("acts.safetensors");
    let sites = "logits,blocks.0.hook_resid_post,hook_embed,blocks.29.hook_attn_out,logits";
    on_cpu("capture", &["--prompt", CAPITAL, "--sites", sites, "--out", text(&out)]);
    let bytes = std::fs::read(&out).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    let expected = ["blocks.0.hook_resid_post", "blocks.29.hook_attn_out", "hook_embed", "logits", "tokens"];
    assert_eq!(names, expected);
    for (name, width) in [("blocks.0.hook_resid_post", 576), ("hook_embed", 576), ("logits", 49152)] {
        assert_eq!(tensors.tensor(name).unwrap().shape(), [5, width], "{name}");
    }
    let ids = tensors.tensor("tokens").unwrap();
    assert_eq!(ids.dtype(), safetensors::Dtype::I64);
    let ids = ids.data().chunks_exact(8).map(|id| i64::from_le_bytes(id.try_into().unwrap()) as u64);
    assert_eq!(ids.collect::<Vec<_>>(), CAPITAL_TOKENS);

    // The last row of the logits is what greedy writing draws from.
    let logits = tensors.tensor("logits").unwrap().data().to_vec();
    let last: Vec<f32> =
        logits[4 * 49152 * 4..].chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect();
    let best = (0..last.len()).max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap();
    let written = json(&on_cpu("generate", &["--prompt", CAPITAL, "--max-tokens", "1", "--json"]));
    assert_eq!(written["tokens"], Value::from(vec![best as u64]));
}

#[test]
fn capture_writes_patterns_as_heads_by_queries_by_keys() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("acts.safetensors");
    let sites = "blocks.2.attn.hook_pattern,blocks.2.attn.hook_attn_scores,blocks.2.attn.hook_z";
    on_cpu("capture", &["--prompt", CAPITAL, "--sites", sites, "--out", text(&out)]);
    let bytes = std::fs::read(&out).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let read = |name: &str, shape: &[usize]| -> Vec<f32> {
        let tensor = tensors.tensor(name).unwrap();
        assert_eq!(tensor.shape(), shape, "{name}");
        tensor.data().chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect()
    };
    read("blocks.2.attn.hook_z", &[5, 576]);
    let pattern = read("blocks.2.attn.hook_pattern", &[9, 5, 5]);
    let scores = read("blocks.2.attn.hook_attn_scores", &[9, 5, 5]);
    for (row, (pattern, scores)) in pattern.chunks(5).zip(scores.chunks(5)).enumerate() {
        let query = row % 5;
        assert!((pattern.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        for key in 0..5 {
            assert_eq!(pattern[key] == 0.0, key > query);
            assert_eq!(scores[key] == f32::NEG_INFINITY, key > query);
        }
    }
}

#[test]
fn a_vector_is_made_and_steers() {
    let folder = TempDir::new().unwrap();
    let (pairs, out) = (folder.path().join("pairs.jsonl"), folder.path().join("mood.gguf"));
    let lines = [
        r#"{"positive": "What a happy morning", "negative": "What a sad morning"}"#,
        "",
        r#"{"positive": "I love this song", "negative": "I hate this song"}"#,
        r#"{"positive": "The future looks bright", "negative": "The future looks bleak"}"#,
    ];
    std::fs::write(&pairs, lines.join("\n")).unwrap();
    let flags = ["--method", "mean-diff", "--pairs", text(&pairs), "--layers", "3,18", "--out", text(&out), "--json"];
    let found = json(&on_cpu("vector", &flags));
    assert_eq!((&found["method"], &found["pairs"]), (&Value::from("mean-diff"), &Value::from(3)));
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers.iter().map(|layer| layer["layer"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 18]);
    for layer in layers {
        assert!(layer["norm"].as_f64().unwrap() > 0.0 && layer["typical_norm"].as_f64().unwrap() > 0.0, "{layer}");
        assert!(layer["separability"]["d_prime"].is_number(), "{layer}");
    }
    let table = on_cpu("vector", &flags[..flags.len() - 1]);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert_eq!(table.matches("suggested").count(), 1, "{table}");

    // Of three pairs, what varies beside their mean lies in a plane.
    let component = json(&on_cpu("vector", &[&["--method", "pca-diff"], &flags[2..]].concat()));
    let of_component = &component["layers"][1];
    assert!((of_component["norm"].as_f64().unwrap() - 1.0).abs() < 1e-5, "{of_component}");
    assert!((0.5..1.0).contains(&of_component["explained"].as_f64().unwrap()), "{of_component}");
    let unknown = tiller(&["vector", "--model", text(&model()), "--method", "pca", "--pairs", "p", "--out", "o"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("choose one of mean-diff, pca-diff, pca-center"));
    on_cpu("vector", &flags);

    let written = |steering: &[&str]| {
        let flags = [&["--prompt", "I think that today", "--max-tokens", "8", "--json"], steering].concat();
        json(&on_cpu("generate", &flags))["tokens"].clone()
    };
    let plain = written(&[]);
    let steered = |strength| written(&["--steer", text(&out), "--layer", "18", "--strength", strength]);
    assert_eq!(steered("0"), plain);
    assert_ne!(steered("0.5"), plain);
    assert_ne!(steered("-0.5"), steered("0.5"));
    // As safetensors it is the same vector.
    let tensors = folder.path().join("mood.safetensors");
    on_cpu("vector", &["--pairs", text(&pairs), "--layers", "3,18", "--out", text(&tensors)]);
    let from_tensors = written(&["--steer", text(&tensors), "--layer", "18", "--strength", "0.5"]);
    assert_eq!(from_tensors, steered("0.5"));
    // A position that no token has.
    let nowhere = ["--steer", text(&out), "--layer", "18", "--strength", "0.5", "--positions", "100"];
    assert_eq!(written(&nowhere), plain);
}

#[test]
fn what_the_numbers_of_a_file_mean_is_asked_only_where_nothing_says_it() {
    let folder = TempDir::new().unwrap();
    let written = |name: &str, flags: &[&str]| {
        let file = foreign_vector(&folder, name, 576);
        let flags =
            [&["--prompt", "I think", "--max-tokens", "6", "--strength", "3", "--json", "--steer", text(&file)], flags];
        json(&on_cpu("generate", &flags.concat()))["tokens"].clone()
    };
    let at_block_3 = written("blocks.3.hook_resid_post", &[]);
    assert_eq!(written("direction.3", &["--numbering", "block-output"]), at_block_3);
    assert_eq!(written("direction.4", &["--numbering", "one-based"]), at_block_3);
    assert_ne!(written("direction.4", &["--numbering", "block-output"]), at_block_3);
    // There is no block 30, and none is counted 0 where the first is 1.
    assert_eq!(written("direction.30", &[]), written("blocks.29.hook_resid_post", &[]));
    assert_eq!(written("direction.0", &[]), written("blocks.0.hook_resid_post", &[]));
}

#[test]
fn probes_are_fitted_at_each_layer_with_their_controls() {
    let flags = ["--data", "truth", "--method", "mass-mean", "--layers", "3,18", "--erase", "--json"];
    let found = json(&on_cpu("probe", &flags));
    assert_eq!(found["classes"], serde_json::json!(["true", "false"]));
    assert_eq!((&found["method"], &found["split"]["by_group"]), (&Value::from("mass-mean"), &Value::from(true)));
    assert_eq!(found["probe"]["weights"].as_array().unwrap().len(), 576);
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(
        layers.iter().map(|layer| layer["site"].as_str().unwrap()).collect::<Vec<_>>(),
        ["blocks.3.hook_resid_post", "blocks.18.hook_resid_post"]
    );
    for layer in layers {
        assert_eq!(layer["shuffled"].as_array().unwrap().len(), 5, "{layer}");
        assert!(layer["test"]["interval"]["low"].as_f64() < layer["test"]["accuracy"].as_f64(), "{layer}");
    }
    let after = &found["erased"]["after"][0];
    assert!(after["after"].as_f64().is_some() && after["random"].as_array().unwrap().len() == 2, "{after}");
    let table = on_cpu("probe", &flags[..flags.len() - 1]);
    assert_eq!(table.matches("   chosen\n").count(), 1, "{table}");

    // One's own texts, of another activation, with groups from a column of another name.
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("own.csv");
    let row = |n: usize| {
        let (word, label) = if n % 2 == 0 { ("warm", "summer") } else { ("icy", "winter") };
        format!("topic {},\"It was {word}, number {n}\",{label}\n", n / 4)
    };
    std::fs::write(&data, format!("topic,text,label\n{}", (0..48).map(row).collect::<String>())).unwrap();
    let own =
        ["--data", text(&data), "--group", "topic", "--site", "blocks.2.hook_mlp_out", "--read", "mean", "--json"];
    let found = json(&on_cpu("probe", &own));
    assert_eq!(found["layers"][0]["test"]["accuracy"], 1.0, "{found}");
    assert_eq!((&found["split"]["by_group"], &found["read"]), (&Value::from(true), &Value::from("mean")));

    let model = model();
    let refuse = |flags: &[&str]| refusal(&[&["probe", "--model", text(&model), "--backend", "cpu"], flags].concat());
    assert!(refuse(&["--data", "nowhere.csv"]).contains("sentiment"));
    assert!(refuse(&["--data", text(&data), "--group", "theme"]).contains("no column theme"));
    assert!(refuse(&["--data", "truth", "--method", "svm"]).contains("logistic"));
    assert!(refuse(&["--data", "truth", "--c", "0"]).contains("above 0"));
    std::fs::write(&data, "text,label\nonly one\n").unwrap();
    assert!(refuse(&["--data", text(&data)]).contains("line 2"));
}

fn recipe(strength: f32) -> Recipe {
    let direction: Vec<f32> = (0..576).map(|i| (i as f32).cos()).collect();
    Recipe {
        tiller: VERSION,
        model: smollm(),
        view: View::Steer,
        prompt: Prompt::Text(CAPITAL.into()),
        sampling: tiller_engine::Sampling::GREEDY,
        max_tokens: 4,
        pairs: Vec::new(),
        vectors: vec![Vector {
            name: "cosine".into(),
            method: "mean-diff".into(),
            layer: 12,
            direction: Direction::along(&direction).unwrap(),
            norm: 1.0,
            typical_norm: 150.0,
        }],
        edits: vec![Edit::add(Source::Vector(0), tiller_engine::Site::ResidPost(12), strength)],
        feature_edits: Vec::new(),
        lens: Lens::default(),
        shelf: Vec::new(),
        patch: Patching::default(),
        probe: None,
        features: Default::default(),
        backend: Some("cpu".into()),
    }
}

#[test]
fn a_shared_experiment_runs_from_a_link_and_from_a_file() {
    let run = |recipe: &str| {
        let model = model();
        let output = tiller(&["run", recipe, "--model", text(&model), "--backend", "cpu", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json(&String::from_utf8(output.stdout).unwrap())
    };
    let link = |strength| format!("https://tiller.example/{}", to_fragment(&recipe(strength)).unwrap());
    let found = run(&link(1.0));
    assert_eq!(found["prompt_tokens"], Value::from(CAPITAL_TOKENS.to_vec()));
    assert!(found["plain"]["text"].as_str().unwrap().starts_with(" Paris"), "{found}");
    assert_ne!(found["steered"]["tokens"], found["plain"]["tokens"]);
    assert_eq!(found["plain"]["end"], "max-tokens");

    let still = run(&link(0.0));
    assert_eq!(still["steered"], still["plain"]);
    assert_eq!(still["plain"], found["plain"]);

    let folder = TempDir::new().unwrap();
    let path = folder.path().join("recipe.json");
    std::fs::write(&path, recipe(1.0).to_json().unwrap()).unwrap();
    assert_eq!(run(text(&path)), found);
    // On its own lane, and from `generate`, the steered text is the same.
    let alone = json(&on_cpu("generate", &["--recipe", text(&path), "--json"]));
    assert_eq!(alone["tokens"], found["steered"]["tokens"]);
}

#[test]
fn a_link_with_a_compact_vector_is_short_says_what_it_costs_and_runs() {
    let folder = TempDir::new().unwrap();
    let (path, out) = (folder.path().join("recipe.json"), folder.path().join("compact.json"));
    std::fs::write(&path, recipe(1.0).to_json().unwrap()).unwrap();
    let link = |flags: &[&str]| {
        let output = tiller(&[&["link", text(&path), "--json"], flags].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json(&String::from_utf8(output.stdout).unwrap())
    };
    let (exact, short) = (link(&[]), link(&["--compact", "q4", "--out", text(&out)]));
    assert_eq!((&exact["vectors"][0]["code"], &exact["vectors"][0]["error"]), (&Value::Null, &Value::from(0.0)));
    assert!(short["characters"].as_u64().unwrap() < exact["characters"].as_u64().unwrap() / 2);
    let error = short["vectors"][0]["error"].as_f64().unwrap();
    assert!((0.01..0.2).contains(&error) && short["vectors"][0]["code"] == "q4", "{short}");
    let run = |recipe: &str| {
        let output = tiller(&["run", recipe, "--model", text(&model()), "--backend", "cpu", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json(&String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(run(short["link"].as_str().unwrap()), run(text(&out)));
    assert!(refusal(&["link", text(&path), "--compact", "q5"]).contains("q8, q4, signs"));
}

#[test]
fn bench_prints_every_figure() {
    let flags = ["--prompt-tokens", "6", "--tokens", "18", "--json"];
    let found = json(&on_cpu("bench", &flags));
    for field in [
        "load_s",
        "prefill_tokens_per_s",
        "decode_tokens_per_s",
        "decode_steered_tokens_per_s",
        "decode_steered_ratio",
        "peak_host_bytes",
    ] {
        assert!(found[field].as_f64().is_some_and(|figure| figure > 0.0), "{field}: {found}");
    }
    for field in [
        "passes_per_token",
        "submits_per_token",
        "dispatches_per_token",
        "readback_bytes_per_token",
        "bytes_moved_per_token",
        "peak_gpu_bytes",
    ] {
        assert_eq!(found[field], 0, "{field} counts the GPU's work: {found}");
    }
    assert_eq!((&found["layers"], &found["backend"]), (&Value::from(30), &Value::from("cpu")));
    assert_eq!(found["model"], Value::from(smollm().file));
}

#[test]
fn bench_times_a_token_at_several_depths() {
    let flags = ["--prompt-tokens", "2", "--tokens", "2", "--context", "64", "--depths=16,48", "--json"];
    let found = json(&on_cpu("bench", &flags));
    let depths = found["depths"].as_array().unwrap();
    assert_eq!(depths.iter().map(|at| at["depth"].as_u64().unwrap()).collect::<Vec<_>>(), [16, 48]);
    for at in depths {
        // 30 layers, keys and values, three heads of 64, f32; the token sees itself too.
        assert_eq!(at["kv_bytes"], 46_080 * (at["depth"].as_u64().unwrap() + 1), "{at}");
        assert!(at["ms_per_token"].as_f64().unwrap() > 0.0, "{at}");
        // All of the file but its metadata and norms.
        let weights = at["weight_bytes"].as_f64().unwrap() / std::fs::metadata(model()).unwrap().len() as f64;
        assert!((0.9..1.0).contains(&weights), "{at}");
    }
    assert_eq!(depths[0]["ratio_to_first"], 1.0);
    let table = on_cpu("bench", &flags[..flags.len() - 1]);
    assert_eq!(table.lines().rev().take(3).filter(|line| line.contains("depth")).count(), 1, "{table}");

    let model = model();
    let refuse = |flag: &str| refusal(&["bench", "--model", text(&model), "--backend", "cpu", "--context", "64", flag]);
    // 16, 512, 2048 and 4000 where none are named.
    assert!(refuse("--depths").contains("4008 tokens of context, and there is room for 64"));
    assert!(refuse("--depths=8").contains("16"));
}

#[test]
fn refusals_say_what_to_do() {
    let folder = TempDir::new().unwrap();
    let model = model();
    let model = text(&model);
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_string()
    };
    let start = {
        use std::io::Read;
        let mut start = vec![0; 3 << 20];
        std::fs::File::open(model).unwrap().read_exact(&mut start).unwrap();
        start
    };
    let cut = file("cut.gguf", &start);
    let other = file("other.gguf", b"PK\x03\x04 this is something else");
    let narrow = vector_file(&folder, 64);
    let fitting = vector_file(&folder, 576);
    let unnumbered = foreign_vector(&folder, "direction.3", 576);
    let of_a_deeper_model = folder.path().join("deeper.safetensors");
    let deeper = VectorOrigin { model_layers: 32, ..VectorOrigin::default() };
    std::fs::write(&of_a_deeper_model, one_direction(576).to_safetensors(&deeper)).unwrap();
    let pairs = file("pairs.jsonl", b"{\"positive\": \"a\", \"negative\": \"b\"}\n{\"positive\": \"a\"}\n");
    let recipe = file("recipe.json", b"{\"tiller\": 99}");
    let acts = folder.path().join("acts.safetensors");
    let acts = text(&acts);
    let vector = folder.path().join("v.gguf");
    let vector = text(&vector);
    let generate = |args: &[&str]| refusal(&[&["generate", "--backend", "cpu", "--tokens", "1"], args].concat());
    let with_model = |args: &[&str]| generate(&[&["--model", model], args].concat());
    let cases = [
        (generate(&["--model", "models/missing.gguf"]), "there is no file models/missing.gguf"),
        (generate(&["--model", &cut]), "download it again"),
        (generate(&["--model", &other]), "not a GGUF file"),
        (generate(&["--model", text(folder.path())]), "is a folder"),
        (with_model(&["--steer", text(&narrow)]), "64 numbers"),
        (with_model(&["--steer", text(&fitting), "--layer", "4"]), "choose one of 3"),
        (with_model(&["--steer", text(&fitting), "--strength", "nan"]), "finite"),
        (with_model(&["--steer", model]), "control vector"),
        (with_model(&["--steer", text(&unnumbered)]), "with --numbering"),
        (with_model(&["--steer", text(&unnumbered), "--numbering", "repeng"]), "block-output, one-based"),
        (with_model(&["--steer", text(&of_a_deeper_model)]), "32 layers, and this one has 30"),
        (refusal(&["generate", "--model", model]), "--prompt"),
        (refusal(&["generate", "--model", model, "--backend", "cpu", "--tokens", "49152"]), "49152"),
        (
            refusal(&["capture", "--model", model, "--prompt", "a", "--sites", "blocks.0.resid_post", "--out", acts]),
            "blocks.0.hook_resid_post",
        ),
        (
            refusal(&[
                "capture",
                "--model",
                model,
                "--backend",
                "cpu",
                "--tokens",
                "1",
                "--sites",
                "blocks.30.hook_resid_post",
                "--out",
                acts,
            ]),
            "blocks 0 to 29",
        ),
        (refusal(&["vector", "--model", model, "--pairs", &pairs, "--out", vector]), "line 2"),
        (refusal(&["vector", "--model", model, "--pairs", "nowhere.jsonl", "--out", vector]), "nowhere.jsonl"),
        (refusal(&["run", &recipe]), "newer version"),
        (refusal(&["run", "https://tiller.example/#r1=damaged"]), "damaged"),
        (refusal(&["run", "https://tiller.example/#steer"]), "holds no experiment"),
        (refusal(&["run", "nowhere.json"]), "nowhere.json"),
    ];
    for (message, expected) in cases {
        assert!(message.contains(expected), "{message:?} does not say {expected:?}");
    }
    assert!(!Path::new(vector).exists() && !Path::new(acts).exists(), "nothing is written on a refusal");
}

#[test]
fn an_experiment_that_changes_a_feature_runs_beside_its_sae() {
    let sae = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../public/sae/smollm2-135m-instruct-resid-14");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("recipe.json");
    let run = |strength: f32, sae: Option<&Path>| {
        let edit =
            FeatureEdit { feature: 1430, change: FeatureChange::Set(200.0), mode: FeatureMode::Constant, strength };
        let recipe = Recipe { feature_edits: vec![edit], ..recipe(0.0) };
        std::fs::write(&path, recipe.to_json().unwrap()).unwrap();
        let (model, sae) = (model(), sae.map(|sae| sae.to_str().unwrap()));
        let arguments = ["run", text(&path), "--model", text(&model), "--backend", "cpu", "--json"];
        let named = sae.map_or(Vec::new(), |sae| vec!["--sae", sae]);
        tiller(&arguments.into_iter().chain(named).collect::<Vec<_>>())
    };
    let found = |strength| {
        let output = run(strength, Some(&sae));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json(&String::from_utf8(output.stdout).unwrap())
    };
    let held = found(1.0);
    assert_ne!(held["steered"]["tokens"], held["plain"]["tokens"]);
    let left = found(0.0);
    assert_eq!(left["steered"], left["plain"]);
    assert_eq!(left["plain"], held["plain"]);
    let refused = run(1.0, None);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--sae"));
}

#[test]
fn lens_shows_the_next_token_layer_by_layer() {
    let found = json(&on_cpu("lens", &["--prompt", CAPITAL, "--watch", " Paris", "--top", "2", "--json"]));
    assert_eq!(found["tokens"], Value::from(CAPITAL_TOKENS.to_vec()));
    assert_eq!(found["texts"][4], " is");
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 31);
    assert_eq!(
        (&layers[0]["site"], &layers[30]["site"]),
        (&"blocks.29.hook_resid_post".into(), &"blocks.0.hook_resid_pre".into())
    );
    let paris = |layer: usize| &layers[layer]["cells"][4]["watched"][0];
    assert_eq!(paris(0)["rank"], 1);
    assert!(paris(30)["rank"].as_u64().unwrap() > 1000, "{}", paris(30));
    assert_eq!(layers[0]["cells"][3]["next"]["token"], CAPITAL_TOKENS[4]);
    assert!(layers[0]["cells"][4]["next"].is_null());

    let printed = on_cpu("lens", &["--prompt", CAPITAL, "--position", "4", "--top", "1"]);
    assert!(printed.starts_with("after token 4, \" is\"\nafter block 29"), "{printed}");
    assert_eq!(printed.lines().count(), 32);
}

#[test]
fn a_tuned_lens_is_trained_judged_kept_and_used_again() {
    let folder = TempDir::new().unwrap();
    let (texts, kept) = (folder.path().join("texts.jsonl"), folder.path().join("lens.safetensors"));
    let lines = ["The river was wide and slow in the summer.", "She closed the door and went to the market."];
    let lines: String = lines.iter().cycle().take(8).map(|text| format!("{{\"text\": {text:?}}}\n")).collect();
    std::fs::write(&texts, lines).unwrap();
    let asked = ["--prompt", CAPITAL, "--top", "1", "--json"];
    let train = ["--tuned", text(&texts), "--save-lens", text(&kept), "--lens-steps", "2", "--lens-tokens", "24"];
    let trained = json(&on_cpu("lens", &[&asked[..], &train].concat()));
    assert_eq!(
        (&trained["tuned"]["trained_on"], trained["tuned"]["layers"].as_array().unwrap().len()),
        (&24.into(), 30)
    );
    let used = json(&on_cpu("lens", &[&asked[..], &["--lens", text(&kept)]].concat()));
    assert_eq!(used["layers"], trained["layers"]);
    assert!(used["tuned"].is_null());
    let plain = json(&on_cpu("lens", &asked));
    assert_eq!(plain["layers"][0], used["layers"][0]);
    assert_ne!(plain["layers"][9], used["layers"][9]);
    let model = model();
    let given = ["lens", "--model", text(&model), "--backend", "cpu", "--prompt", CAPITAL];
    assert!(refusal(&[&given[..], &["--lens", text(&model)]].concat()).contains("not a safetensors file"));
}

#[test]
fn lens_refuses_to_watch_what_is_not_one_token() {
    let model = model();
    let refused = |flags: &[&str]| {
        let given = ["lens", "--model", text(&model), "--backend", "cpu", "--prompt", CAPITAL];
        refusal(&[&given[..], flags].concat())
    };
    let message = refused(&["--watch", " Llanfairpwll"]);
    assert!(message.contains("not one token") && message.contains("name one of these"), "{message}");
    assert!(refused(&["--position", "5"]).contains("0 to 4"));
}

#[test]
fn two_words_make_a_vector_and_what_is_no_token_is_named() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("words.gguf");
    let found = json(&on_cpu("vector", &["--words", " good, bad", "--layers", "20", "--out", text(&out), "--json"]));
    assert_eq!((&found["method"], &found["words"][1]), (&Value::from("vocabulary"), &Value::from(" bad")));
    assert!(found["layers"][0]["typical_norm"].as_f64().unwrap() > 0.0, "{found}");
    assert!(out.is_file() && found["layers"][0]["separability"].is_null());
    let model = model();
    let refused = |words: &str| {
        let out = text(&out);
        refusal(&["vector", "--model", text(&model), "--backend", "cpu", "--words", words, "--out", out])
    };
    let message = refused(" good, antidisestablishment");
    assert!(
        message.contains(r#"antidisestablishment" is not one token"#) && message.contains(r#""idis""#),
        "{message}"
    );
    assert!(refused(" good").contains("names 1 words: give two"));
}

#[test]
fn neurons_are_found_by_words_and_by_a_text_and_held() {
    let args = ["--layer", "26", "--words", " city, town, village", "--count", "5", "--clamp", "--json"];
    let found = json(&on_cpu("neurons", &args));
    let neurons = found["neurons"].as_array().unwrap();
    assert!(neurons.len() == 5 && neurons[0]["words"]["among"].as_u64() >= Some(1), "{found}");
    let factor = &found["clamped"]["factor"];
    let random = factor["random"].as_array().unwrap();
    assert_eq!(random.len(), 4);
    let most = random.iter().map(|x| x.as_f64().unwrap()).fold(0.0, f64::max);
    assert!(factor["value"].as_f64().unwrap() > 2.0 * most, "{factor}");

    let printed = on_cpu("neurons", &["--layer", "26", "--text", CAPITAL, "--count", "3"]);
    assert_eq!((printed.matches("neuron ").count(), printed.matches("writing").count()), (3, 3), "{printed}");
    let model = model();
    let of_nothing = refusal(&["neurons", "--model", text(&model), "--backend", "cpu", "--layer", "26"]);
    assert!(of_nothing.contains("give --words, --text or --neurons"), "{of_nothing}");
}

#[test]
fn grid_tries_each_layer_and_strength_and_reports_on_other_pairs() {
    let folder = TempDir::new().expect("a folder");
    let pairs = folder.path().join("pairs.jsonl");
    let line = |(positive, negative)| format!("{{\"positive\": \"{positive}\", \"negative\": \"{negative}\"}}\n");
    let texts = [
        ("I woke up feeling wonderful and full of joy", "I woke up feeling terrible and full of dread"),
        ("The party was delightful and everyone laughed", "The party was miserable and everyone cried"),
        ("Life is good and the future looks bright", "Life is hard and the future looks bleak"),
        ("The team celebrated a glorious victory", "The team mourned a crushing defeat"),
    ];
    std::fs::write(&pairs, texts.map(line).concat()).expect("a file");
    let given = ["--pairs", text(&pairs), "--layers", "12,20", "--strengths", "0.1,-0.1"];
    let found = json(&on_cpu("grid", &[&given[..], &["--json"]].concat()));
    assert_eq!((found["choosing"].as_u64(), found["cells"].as_array().map(Vec::len)), (Some(2), Some(4)));
    let chosen = &found["chosen"];
    assert!(chosen["strength"].as_f64() == Some(0.1) && chosen["effect"]["examples"] == 2, "{chosen}");
    assert_eq!(chosen["random"].as_array().map(Vec::len), Some(4));
    let printed = on_cpu("grid", &given);
    assert!(printed.contains("on 2 other pairs") && printed.matches("a random direction").count() == 4, "{printed}");

    let tuned = json(&on_cpu("grid", &[&given[..], &["--tune", "2", "--json"]].concat()));
    assert_eq!(tuned["cells"].as_array().unwrap().len(), 2, "{tuned}");
    let printed = on_cpu("grid", &[&given[..], &["--tune", "3"]].concat());
    assert!(printed.contains(&format!("3 of {} cells tried", tuned["possible"])), "{printed}");

    std::fs::write(&pairs, texts[..3].iter().copied().map(line).collect::<String>()).expect("a file");
    let model = model();
    let refused = refusal(&["grid", "--model", text(&model), "--backend", "cpu", "--pairs", text(&pairs)]);
    assert!(refused.contains("at least 4"), "{refused}");
}

#[test]
fn a_task_from_a_file_makes_a_vector_that_is_reported_beside_random_ones() {
    let folder = TempDir::new().unwrap();
    let (task, out) = (folder.path().join("task.csv"), folder.path().join("task.gguf"));
    let pairs = ["hot,cold", "big,small", "up,down", "old,young", "light,dark", "open,closed", "high,low", "rich,poor"];
    std::fs::write(&task, format!("input,output\n{}\n", pairs.join("\n"))).unwrap();
    let few = ["--layers", "13", "--strengths", "2", "--demonstrations", "3", "--controls", "2"];
    let args = [&["--task", text(&task), "--out", text(&out), "--json"], &few[..]].concat();
    let found = json(&on_cpu("function-vector", &args));
    assert_eq!(
        (found["pairs"].as_u64(), found["queries"].as_u64(), found["layer"].as_u64()),
        (Some(8), Some(4), Some(13))
    );
    assert!(found["steered"]["log_prob"].is_number() && found["random"].as_array().unwrap().len() == 2, "{found}");
    assert_eq!(found["writes_texts"].as_array().unwrap().len(), 10);
    assert!(out.is_file());
    let model = model();
    let refused = |task: &str| {
        let args =
            [&["function-vector", "--model", text(&model), "--backend", "cpu", "--task", task], &few[..]].concat();
        refusal(&args)
    };
    assert!(refused("synonym").contains("one of country-capital, singular-plural"), "{}", refused("synonym"));
    std::fs::write(&task, "a,b,c\n").unwrap();
    assert!(refused(text(&task)).contains("line 1 is no pair of words"), "{}", refused(text(&task)));
}

const GERMANY: &str = "The capital of Germany is";

#[test]
fn patch_traces_an_answer_to_the_token_it_depends_on() {
    let answers = ["--clean", CAPITAL, "--corrupt", GERMANY, "--answer", " Paris", "--wrong", " Berlin"];
    let found = json(&on_cpu("patch", &[&answers[..], &["--controls", "1", "--json"]].concat()));
    assert_eq!(found["clean_tokens"], Value::from(CAPITAL_TOKENS.to_vec()));
    assert_eq!((&found["site"], &found["direction"]), (&"resid-post".into(), &"denoise".into()));
    assert_eq!(found["baseline"]["first_difference"], 3);
    let cells = found["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 30 * 2);
    let score = |layer: usize, column: usize| cells[2 * layer + column - 3]["score"].as_f64().unwrap();
    assert!((score(29, 4) - 1.0).abs() < 1e-4 && score(29, 3).abs() < 1e-4);
    assert!(score(5, 3) > 0.9 && score(5, 4) < 0.1);
    assert!(cells.iter().all(|cell| cell["controls"].as_array().unwrap().len() == 1 && cell["band"].is_number()));

    let printed =
        on_cpu("patch", &[&answers[..], &["--site", "heads", "--direction", "noise", "--controls", "1"]].concat());
    assert!(printed.starts_with("the logit difference: 6.663 after the clean prompt, -4.783"), "{printed}");
    assert_eq!(printed.lines().count(), 3 + 30);
}

#[test]
fn patch_refuses_prompts_of_different_lengths_and_shows_their_tokens() {
    let model = model();
    let prompts = ["--clean", CAPITAL, "--corrupt", "The capital is", "--answer", " Paris", "--wrong", " Berlin"];
    let message = refusal(&[&["patch", "--model", text(&model), "--backend", "cpu"], &prompts[..]].concat());
    assert!(message.contains("5 tokens and the corrupt one 3"), "{message}");
    assert!(message.contains("\" France\", \" is\" | \"The\", \" capital\", \" is\""), "{message}");
    assert!(refusal(&["patch", "--site", "resid"]).contains("resid-post, heads"));
}

#[test]
fn attribute_and_heads_name_the_parts_that_answer() {
    let flags = ["--prompt", CAPITAL, "--answer", " Paris", "--wrong", " Berlin"];
    let found = json(&on_cpu("attribute", &[&flags[..], &["--json"]].concat()));
    let shares = found["shares"].as_array().unwrap();
    assert_eq!(shares.len(), 1 + 30 * 10);
    assert_eq!(shares[0]["component"], "embedding");
    assert_eq!((&shares[1]["component"], &shares[1]["layer"]), (&"head".into(), &0.into()));
    let sum: f64 = shares.iter().map(|share| share["value"].as_f64().unwrap()).sum();
    assert!((sum - found["logit_difference"].as_f64().unwrap()).abs() < 1e-3, "{sum}");
    let printed = on_cpu("attribute", &[&flags[..], &["--top", "3"]].concat());
    assert_eq!(printed.lines().count(), 1 + 3 + 1);

    let heads = on_cpu("heads", &["--top", "1"]);
    assert!(heads.contains("induction  layer 18 head 6 0.88"), "{heads}");
}

#[test]
fn probe_reads_which_of_several_labels_a_text_has() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kinds.csv");
    let kinds = [("colour", ["red", "blue", "green", "white"]), ("number", ["two", "nine", "six", "ten"])];
    let kinds = kinds.into_iter().chain([("animal", ["dog", "cat", "horse", "cow"])]);
    let line = |kind: &str, word: &str, frame: &str| format!("{frame} {word},{kind}\n");
    let frames = ["They wrote the word", "I thought of", "She said"];
    let lines = kinds
        .flat_map(|(kind, words)| words.into_iter().flat_map(move |word| frames.map(|frame| line(kind, word, frame))));
    std::fs::write(&path, format!("text,label\n{}", lines.collect::<String>())).unwrap();
    let flags = ["--data", text(&path), "--layers", "8,12", "--permutations", "2"];
    let found = json(&on_cpu("probe", &[&flags[..], &["--json"]].concat()));
    assert_eq!(found["classes"], json(r#"["colour", "number", "animal"]"#));
    let chosen = &found["layers"][found["chosen"].as_u64().unwrap() as usize];
    assert!(chosen["test"].as_f64().unwrap() > 0.6, "{chosen}");
    assert_eq!(found["weights"].as_array().unwrap().len(), 3);
    let printed = on_cpu("probe", &flags);
    assert!(printed.contains("colour is read") && printed.contains("chosen"), "{printed}");
    let model = model();
    let given = ["probe", "--model", text(&model), "--backend", "cpu", "--method", "lda"];
    assert!(refusal(&[&given[..], &flags].concat()).contains("more than two labels"));
    let bent = json(&on_cpu("probe", &[&flags[..], &["--hidden", "8", "--json"]].concat()));
    assert_eq!((&bent["method"], bent["layers"][0]["shuffled"].as_array().unwrap().len()), (&"mlp".into(), 2));
}

#[test]
fn cav_sets_a_concept_beside_random_ones() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, texts: &[String]| {
        let lines: String = texts.iter().map(|text| format!("{{\"text\": {text:?}}}\n")).collect();
        let path = folder.path().join(name);
        std::fs::write(&path, lines).unwrap();
        path
    };
    let places = ["Paris", "Lyon", "Nice", "Lille", "Nantes", "Toulouse"];
    let concept = write("concept.jsonl", &places.map(|place| format!("We took the train to {place}")));
    let things = ["bread", "stones", "paper", "grass", "glass", "wool", "tin", "sand"];
    let others = write("others.jsonl", &things.map(|thing| format!("There was a heap of {thing}")));
    let prompts = write("prompts.jsonl", &[CAPITAL.to_string()]);
    let files = ["--concept", text(&concept), "--others", text(&others), "--prompts", text(&prompts)];
    let flags = ["--answer", " Paris", "--layers", "12", "--sets", "4"];
    let found = json(&on_cpu("cav", &[&files[..], &flags, &["--json"]].concat()));
    let layer = &found["layers"][0];
    assert_eq!((&layer["site"], layer["random"].as_array().unwrap().len()), (&"blocks.12.hook_resid_post".into(), 4));
    assert!(layer["concept"][0]["sensitivity"].is_number() && layer["used"].is_boolean(), "{found}");
    let printed = on_cpu("cav", &[&files[..], &flags].concat());
    assert!(printed.contains("of 1 layers"), "{printed}");
}

#[test]
fn ablate_measures_every_head_beside_random_units() {
    let flags =
        ["--prompt", CAPITAL, "--answer", " Paris", "--by", "mean", "--without-cost", "--controls", "1", "--json"];
    let found = json(&on_cpu("ablate", &flags));
    assert_eq!((&found["by"], found["metric"]["log-probability"]["token"].as_u64()), (&"mean".into(), Some(7042)));
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 30);
    for layer in layers {
        assert_eq!(layer["heads"].as_array().unwrap().len(), 9);
        assert_eq!(layer["head_controls"].as_array().unwrap().len(), 1);
        assert!(layer["mlp"]["metric"].is_number() && layer["mlp"]["perplexity"].is_null());
    }
}

/// A folder with an SAE of 12 features of 576 numbers, after block 3: along the numbers 0 to 5, both ways.
fn sae_folder(folder: &TempDir, site: &str) {
    let mut rows = vec![0.0; 12 * 576];
    for feature in 0..12 {
        rows[feature * 576 + feature / 2] = if feature % 2 == 0 { 1.0 } else { -1.0 };
    }
    let sae = Sae {
        d_in: 576,
        d_sae: 12,
        w_enc: rows.clone(),
        b_enc: vec![0.0; 12],
        w_dec: rows,
        b_dec: vec![0.0; 576],
        apply_b_dec_to_input: true,
        activation: Activation::Relu,
        normalisation: Normalisation::None,
        transcoder: None,
    };
    let trained_on = TrainedOn { site: Some(site.into()), ..TrainedOn::default() };
    for (name, bytes) in (SaeFile { sae, trained_on }).to_saelens(Precision::F32) {
        std::fs::write(folder.path().join(name), bytes).expect("the file can be written");
    }
}

fn sae(command: &str, folder: &Path, args: &[&str]) -> Output {
    let (model, folder) = (model(), text(folder).to_string());
    let named = ["sae", command, "--model", text(&model), "--backend", "cpu", "--sae", &folder];
    tiller(&[&named, args].concat())
}

#[test]
fn an_sae_s_features_of_a_text_are_the_numbers_of_its_activation() {
    let folder = TempDir::new().expect("there is room");
    sae_folder(&folder, "blocks.3.hook_resid_post");
    let output = sae("features", folder.path(), &["--prompt", CAPITAL, "--top", "12", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = json(&String::from_utf8(output.stdout).expect("text"));
    assert_eq!(
        (found["site"].as_str(), found["tokens"].as_array().map(Vec::len)),
        (Some("blocks.3.hook_resid_post"), Some(5))
    );
    // What `capture` writes of the same site.
    let activations = TempDir::new().expect("there is room");
    let out = activations.path().join("out.safetensors");
    on_cpu("capture", &["--prompt", CAPITAL, "--sites", "blocks.3.hook_resid_post", "--out", text(&out)]);
    let bytes = std::fs::read(&out).expect("it was written");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("it is safetensors");
    let data = tensors.tensor("blocks.3.hook_resid_post").expect("it was captured").data().to_vec();
    let number = |token: usize, column: usize| {
        let at = 4 * (token * 576 + column);
        f32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes"))
    };
    for token in 0..5 {
        let top = found["found"]["tokens"][token]["top"].as_array().expect("a list").clone();
        assert_eq!(top.len(), 6, "one of each pair");
        for feature in top {
            let n = feature["feature"].as_u64().expect("a number") as usize;
            let sign = if n % 2 == 0 { 1.0 } else { -1.0 };
            let value = feature["value"].as_f64().expect("a number") as f32;
            let expected = sign * number(token, n / 2);
            assert!((value - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{value}, expected {expected}");
        }
    }
    let output = sae("feature", folder.path(), &["--json", "--top", "3", "4"]);
    let found = json(&String::from_utf8(output.stdout).expect("text"));
    assert_eq!(found["raises_texts"].as_array().map(Vec::len), Some(3), "{found}");
    // Itself left out, all others at right angles: the lowest numbers first.
    assert_eq!(found["near"][2]["feature"], 2, "{found}");
}

#[test]
fn an_sae_that_does_not_fit_the_model_is_explained() {
    let said = |output: Output| String::from_utf8(output.stderr).expect("text");
    let folder = TempDir::new().expect("there is room");
    sae_folder(&folder, "blocks.30.hook_resid_post");
    let message = said(sae("features", folder.path(), &["--prompt", CAPITAL]));
    assert!(message.contains("blocks 0 to 29"), "{message}");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/saes/standard");
    let message = said(sae("features", &golden, &["--prompt", CAPITAL]));
    assert!(message.contains("reads 12 numbers") && message.contains("has 576"), "{message}");
    sae_folder(&folder, "blocks.3.hook_resid_post");
    let message = said(sae("feature", folder.path(), &["12"]));
    assert!(message.contains("features 0 to 11"), "{message}");
    let message = said(sae("features", &folder.path().join("none"), &["--prompt", CAPITAL]));
    assert!(message.contains("could not be opened"), "{message}");
}
