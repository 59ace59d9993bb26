//! The program on models in the hub's own layout: a folder, and a repository of a hub.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use tiller_localhub::{Config, serve};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/architectures").join(name)
}

fn tiller(hub: &str, cache: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiller"));
    command.args(args).env("TILLER_HUB", hub).env("TILLER_HUB_CACHE", cache).output().expect("the program runs")
}

/// Runs without a hub.
fn offline(args: &[&str]) -> Output {
    tiller("http://127.0.0.1:9", Path::new("/nonexistent"), args)
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the output is JSON")
}

/// The golden prompt and the tokens that follow it.
fn reference(name: &str) -> (String, Value) {
    let golden: Value = serde_json::from_slice(&std::fs::read(golden(name).join("golden.json")).unwrap()).unwrap();
    let prompt: Vec<String> = golden["greedy"]["prompt_ids"].as_array().unwrap().iter().map(Value::to_string).collect();
    (prompt.join(","), golden["greedy"]["ids"].clone())
}

#[test]
fn a_folder_continues_token_ids_with_or_without_a_tokenizer() {
    for name in ["llama", "gemma3"] {
        let (prompt, expected) = reference(name);
        let folder = golden(name);
        let folder = folder.to_str().unwrap();
        let flags = ["generate", "--model", folder, "--backend", "cpu", "--tokens", &prompt, "--max-tokens", "16"];
        assert_eq!(json(&offline(&[&flags[..], &["--json"]].concat()))["tokens"], expected, "{name}");
    }
}

#[test]
fn a_folder_is_captured_by_token_ids() {
    let (prompt, _) = reference("gpt2");
    let (out, folder) = (TempDir::new().unwrap(), golden("gpt2"));
    let out = out.path().join("acts.safetensors");
    let sites = "logits,blocks.1.attn.hook_pattern,blocks.1.attn.hook_q";
    let model = folder.to_str().unwrap();
    let flags = ["capture", "--model", model, "--backend", "cpu", "--tokens", &prompt, "--sites", sites];
    let done = offline(&[&flags[..], &["--out", out.to_str().unwrap()]].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let [found, expected] = [out, folder.join("golden.safetensors")].map(|path| std::fs::read(path).unwrap());
    let [found, expected] = [&found, &expected].map(|bytes| safetensors::SafeTensors::deserialize(bytes).unwrap());
    for site in sites.split(',') {
        let [found, expected] = [&found, &expected].map(|tensors| tensors.tensor(site).unwrap());
        assert_eq!(found.shape(), expected.shape(), "{site}");
        let numbers = |bytes: &[u8]| -> Vec<f32> {
            bytes.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect()
        };
        let pairs = numbers(found.data()).into_iter().zip(numbers(expected.data()));
        let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-3, "{site}: {apart}");
    }
}

#[test]
fn a_repository_of_a_hub_is_fetched_once_and_quantised_on_wish() {
    let folder = TempDir::new().unwrap();
    let served = folder.path().join("hub/acme/tiny/0123456789abcdef0123456789abcdef01234567");
    std::fs::create_dir_all(&served).unwrap();
    for file in std::fs::read_dir(golden("llama")).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), served.join(file.file_name())).unwrap();
    }
    let server = serve(Config::new(folder.path().join("hub"))).unwrap();
    let (prompt, expected) = reference("llama");
    let cache = folder.path().join("cache");
    let flags = ["generate", "--model", "acme/tiny", "--backend", "cpu", "--tokens", &prompt, "--max-tokens", "16"];
    let run = |more: &[&str]| tiller(&server.origin(), &cache, &[&flags[..], more, &["--json"]].concat());
    assert_eq!(json(&run(&[]))["tokens"], expected);

    let of_weights = || server.log().entries().iter().filter(|entry| entry.path.ends_with(".safetensors")).count();
    let fetched = of_weights();
    assert!(fetched >= 2, "the model has two files of weights");
    let quantised = json(&run(&["--quantise", "q8_0"]));
    assert_eq!(quantised["tokens"].as_array().unwrap().len(), 16);
    assert_eq!(of_weights(), fetched, "what is in the cache is not fetched again");
}

#[test]
fn what_cannot_be_loaded_is_refused_in_a_sentence() {
    let refusal = |args: &[&str]| {
        let output = offline(&[&["generate", "--backend", "cpu", "--tokens", "1"], args].concat());
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let gguf = golden("gpt2").join("model.gguf");
    let message = refusal(&["--model", gguf.to_str().unwrap(), "--quantise", "q8_0"]);
    assert!(message.contains("leave --quantise out"), "{message}");
    let message = refusal(&["--model", golden("gpt2").to_str().unwrap(), "--quantise", "int8"]);
    assert!(message.contains("choose one of F32"), "{message}");
    let message = refusal(&["--model", golden("").to_str().unwrap()]);
    assert!(message.contains("a folder without config.json"), "{message}");
    let model = golden("gpt2");
    let output = offline(&["generate", "--backend", "cpu", "--model", model.to_str().unwrap(), "--prompt", "Hi"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("give token ids"), "{message}");
}
