//! Repositories in small: every golden model's files are read, and what cannot be run is refused by name.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tiller_formats::{DiskFolder, FileSource, Folder, Quant, Safetensors, dequantise};
use tiller_model::{Checkpoint, Message, ModelFiles, RepositoryCheckpoint, TensorShape};

const ALL: [&str; 10] =
    ["llama3", "llama", "qwen2", "qwen3", "gemma2", "gemma3", "gpt2", "gpt_neox", "gpt_neox_sequential", "gpt_neo"];
/// Those that are there as a GGUF file too, which another program wrote.
const TWINS: [&str; 4] = ["llama3", "gemma3", "gpt2", "gpt_neox"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/architectures").join(name)
}

fn open(name: &str, quantise: Option<Quant>) -> ModelFiles<RepositoryCheckpoint<FileSource>> {
    let folder = DiskFolder::new(path(name));
    pollster::block_on(ModelFiles::from_repository(&folder, quantise)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn golden(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path(name).join("golden.json")).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// All numbers of a tensor, read in pieces of three rows.
fn numbers(checkpoint: &impl Checkpoint, name: &str) -> Vec<f32> {
    let tensor: &TensorShape = &checkpoint.tensors()[name];
    let mut numbers = Vec::new();
    for first in (0..tensor.rows()).step_by(3) {
        let rows = first..(first + 3).min(tensor.rows());
        let count = rows.len() * tensor.cols();
        let bytes = pollster::block_on(checkpoint.read_rows(name, rows)).unwrap();
        numbers.extend(dequantise(tensor.quant, &bytes, count));
    }
    numbers
}

/// A folder's files in memory, to be spoilt.
fn in_memory(name: &str) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(path(name)).unwrap().map(|file| file.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect()
}

fn refusal(files: &BTreeMap<String, Vec<u8>>) -> String {
    pollster::block_on(ModelFiles::from_repository(files, None)).err().expect("the files are refused").to_string()
}

/// The refusal of a model with one option changed.
fn with(name: &str, key: &str, value: Value) -> String {
    let mut files = in_memory(name);
    let mut config: Value = serde_json::from_slice(&files["config.json"]).unwrap();
    config[key] = value;
    files.insert("config.json".into(), serde_json::to_vec(&config).unwrap());
    refusal(&files)
}

#[test]
fn every_golden_model_is_read() {
    for name in ALL {
        let files = open(name, None);
        assert_eq!(files.config.attention.layers.len(), files.config.layers as usize, "{name}");
        for tensor in files.checkpoint.tensors().keys() {
            assert!(numbers(&files.checkpoint, tensor).iter().all(|number| number.is_finite()), "{name}: {tensor}");
        }
    }
}

#[test]
fn a_repository_and_its_gguf_are_the_same_model() {
    for name in TWINS {
        let hub = open(name, None);
        let source = FileSource::open(path(name).join("model.gguf")).unwrap();
        let gguf = pollster::block_on(ModelFiles::from_gguf(source)).unwrap();
        for (tensor, other) in gguf.checkpoint.tensors() {
            // The rotations' factors are computed from a repository's options.
            let Some(ours) = hub.checkpoint.tensors().get(tensor) else { continue };
            assert_eq!(ours.shape, other.shape, "{name}: {tensor}");
            let (ours, theirs) = (numbers(&hub.checkpoint, tensor), numbers(&gguf.checkpoint, tensor));
            assert_eq!(ours, theirs, "{name}: {tensor}");
        }
        let lacking: Vec<&String> =
            gguf.checkpoint.tensors().keys().filter(|name| !hub.checkpoint.tensors().contains_key(*name)).collect();
        assert_eq!(lacking, if name == "llama3" { vec!["rope_freqs.weight"] } else { vec![] }, "{name}");
        assert_eq!(hub.checkpoint.tensors().len() + lacking.len(), gguf.checkpoint.tensors().len(), "{name}");

        let mut config = hub.config.clone();
        config.name = gguf.config.name.clone();
        if name == "llama3" {
            let tiller_model::RopeFactors::Values(ours) = &config.attention.ropes[0].factors else {
                panic!("no factors")
            };
            let theirs = numbers(&gguf.checkpoint, "rope_freqs.weight");
            assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 1e-6 * b), "{ours:?}, not {theirs:?}");
            assert!(theirs[0] == 1.0 && theirs.contains(&8.0) && theirs.iter().any(|f| (1.1..7.9).contains(f)));
            config.attention.ropes = gguf.config.attention.ropes.clone();
        }
        // llama.cpp's files do not hold which approximation of GELU the model was trained with.
        assert_eq!(config, gguf.config, "{name}");
    }
}

#[test]
fn matrices_are_quantised_as_they_are_read() {
    for name in ["gemma3", "gpt2", "gpt_neox", "llama"] {
        let (exact, rounded) = (open(name, None), open(name, Some(Quant::Q8_0)));
        let mut matrices = 0;
        for (tensor, shape) in rounded.checkpoint.tensors() {
            let (a, b) = (numbers(&exact.checkpoint, tensor), numbers(&rounded.checkpoint, tensor));
            let is_matrix = shape.shape.len() == 2 && tensor != "position_embd.weight";
            assert_eq!(shape.quant == Quant::Q8_0, is_matrix, "{name}: {tensor}");
            if !is_matrix {
                assert_eq!(a, b, "{name}: {tensor}");
                continue;
            }
            matrices += 1;
            for (a, b) in a.chunks(32).zip(b.chunks(32)) {
                // Half a step of 127, and what half precision takes off the step.
                let step = a.iter().fold(0f32, |most, number| most.max(number.abs())) / 127.0;
                assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 0.6 * step), "{name}: {tensor}");
            }
        }
        assert!(matrices > 8, "{name}");
        assert_eq!(rounded.quantisation(), Quant::Q8_0);
    }
}

#[test]
fn texts_become_the_ids_of_the_reference() {
    for name in ["llama3", "qwen2", "gemma3"] {
        let files = open(name, None);
        let golden = golden(name);
        let tokenizer = &files.tokenizer;
        for entry in golden["tokenizer"]["texts"].as_array().unwrap() {
            let text = entry["text"].as_str().unwrap();
            assert_eq!(tokenizer.encode(text, false, true).unwrap(), ids(&entry["ids"]), "{name}: {text:?}");
            let with_special = tokenizer.encode(text, true, true).unwrap();
            assert_eq!(with_special, ids(&entry["ids_with_special"]), "{name}: {text:?}");
            let plain = tokenizer.encode(text, false, false).unwrap();
            assert!(!plain.iter().any(|&id| tokenizer.is_special(id)), "{name}: {text:?}");
            if name != "qwen2" {
                assert_eq!(tokenizer.decode(&plain), text, "{name}");
            }
        }
        assert_eq!(tokenizer.begins_with_bos(), name != "qwen2");
        assert_eq!(tokenizer.vocab_size(), files.config.vocab);

        let chat = &golden["tokenizer"]["chat"];
        let messages: Vec<Message> = serde_json::from_value(chat["messages"].clone()).unwrap();
        let spelled = |id: Option<u32>| id.map(|id| tokenizer.token_text(id)).unwrap_or_default();
        let template = files.template.as_ref().unwrap();
        let written = template.render(&messages, true, &spelled(tokenizer.bos()), &spelled(tokenizer.eos())).unwrap();
        assert_eq!(written, chat["text"], "{name}");
        assert_eq!(tokenizer.encode(&written, false, true).unwrap(), ids(&chat["ids"]), "{name}");
    }
    let ends = |name: &str, wanted: &[u32]| {
        let tokenizer = open(name, None).tokenizer;
        let found: Vec<u32> = (0..tokenizer.vocab_size()).filter(|&id| tokenizer.is_end(id)).collect();
        assert_eq!(found, wanted, "{name}");
    };
    ends("llama3", &[1, 4]);
    ends("qwen2", &[0, 2]);
    ends("gemma3", &[1, 5]);
}

#[test]
fn a_model_without_a_tokenizer_runs_by_ids() {
    let files = open("gpt2", None);
    assert!(files.template.is_none());
    assert_eq!((files.tokenizer.vocab_size(), &*files.tokenizer.decode(&[3, 17])), (256, "<3><17>"));
    let error = files.tokenizer.encode("text", true, false).unwrap_err().to_string();
    assert!(error.contains("give token ids"), "{error}");
}

#[test]
fn what_cannot_be_run_is_refused_by_name() {
    assert!(with("llama", "model_type", json!("mamba")).contains("\"mamba\""));
    assert!(with("llama", "architectures", json!(["LlamaForSequenceClassification"])).contains("Classification"));
    assert!(with("llama", "hidden_act", json!("mish")).contains("the activation function \"mish\""));
    assert!(with("llama", "quantization_config", json!({"quant_method": "gptq"})).contains("gptq"));
    assert!(with("qwen3", "num_experts", json!(8)).contains("\"num_experts\""));
    let yarn = json!({"rope_type": "yarn", "factor": 4.0});
    assert!(with("llama3", "rope_scaling", yarn).contains("RoPE scaling of the type \"yarn\""));
    assert!(with("gpt2", "scale_attn_by_inverse_layer_idx", json!(true)).contains("scale_attn_by_inverse_layer_idx"));
    let types = json!(["sliding_attention", "linear_attention", "full_attention"]);
    assert!(with("gemma2", "layer_types", types).contains("layers of the type \"linear_attention\""));
}

#[test]
fn options_that_no_model_has_are_refused() {
    assert!(with("llama", "hidden_size", json!(48)).contains("has the shape"));
    assert!(with("llama", "hidden_size", json!(null)).contains("lacks \"hidden_size\""));
    assert!(with("llama", "num_hidden_layers", json!(1)).contains("blk.1"));
    assert!(with("llama", "num_hidden_layers", json!(3)).contains("blk.2"));
    assert!(with("llama", "num_hidden_layers", json!("two")).contains("should be a whole number"));
    assert!(with("llama", "num_key_value_heads", json!(0)).contains("key and value heads"));
    assert!(with("llama", "rms_norm_eps", json!(5)).contains("norm epsilon"));
    assert!(with("gemma3", "layer_types", json!(["full_attention"])).contains("an entry for each layer"));
    assert!(with("gpt_neox", "rotary_pct", json!(0.2)).contains("an even number"));
    assert!(with("gpt_neo", "window_size", json!(0)).contains("attention window"));
    assert!(with("gpt2", "n_head", json!(5)).contains("a divisor of 32"));
    assert!(with("qwen2", "vocab_size", json!(300)).contains("token_embd.weight"));
    let low = json!({"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4});
    assert!(with("llama3", "rope_scaling", low).contains("high_freq_factor"));
}

#[test]
fn files_that_lack_or_contradict_something_are_refused() {
    let spoilt = |name: &str, spoil: &dyn Fn(&mut BTreeMap<String, Vec<u8>>)| {
        let mut files = in_memory(name);
        spoil(&mut files);
        refusal(&files)
    };
    let without = |name: &str, file: &str| spoilt(name, &|files| drop(files.remove(file)));
    assert!(without("llama", "config.json").contains("there is no config.json"));
    assert!(without("llama", "model-00002-of-00002.safetensors").contains("there is no model-00002-of-00002"));
    assert!(without("qwen2", "model.safetensors").contains("there is no model.safetensors"));

    let replaced = |name: &str, file: &str, with: &[u8]| {
        spoilt(name, &|files| drop(files.insert(file.to_string(), with.to_vec())))
    };
    assert!(replaced("llama", "config.json", b"[1").contains("config.json is damaged"));
    assert!(replaced("llama", "config.json", b"[1]").contains("should be an object"));
    assert!(replaced("llama", "model.safetensors.index.json", b"{}").contains("no weight_map"));
    let escaping = br#"{"weight_map": {"lm_head.weight": "../../etc/passwd"}}"#;
    assert!(replaced("llama", "model.safetensors.index.json", escaping).contains("no file of weights"));
    let half = br#"{"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}"#;
    assert!(replaced("llama", "model.safetensors.index.json", half).contains("no tensor"));
    assert!(replaced("qwen2", "model.safetensors", b"GGUF\x03\0\0\0\0").contains("not a safetensors file"));
    assert!(replaced("qwen2", "tokenizer.json", b"{}").contains("tokenizer is damaged"));
    assert!(replaced("qwen2", "config.json", &vec![b' '; 5 << 20]).contains("more than the"));

    let twice = spoilt("llama", &|files| {
        let index =
            br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
            "c": "copy.safetensors"}}"#;
        files.insert("copy.safetensors".into(), files["model-00001-of-00002.safetensors"].clone());
        files.insert("model.safetensors.index.json".into(), index.to_vec());
    });
    assert!(twice.contains("is there twice"), "{twice}");
}

#[test]
fn tokenizers_of_other_kinds_are_refused_by_name() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut files = in_memory("qwen2");
        let mut tokenizer: Value = serde_json::from_slice(&files["tokenizer.json"]).unwrap();
        change(&mut tokenizer);
        files.insert("tokenizer.json".into(), serde_json::to_vec(&tokenizer).unwrap());
        refusal(&files)
    };
    assert!(refused(&|json| json["model"]["type"] = json!("Unigram")).contains("the model \"Unigram\""));
    assert!(refused(&|json| json["model"]["dropout"] = json!(0.1)).contains("\"dropout\""));
    assert!(refused(&|json| json["decoder"] = json!({"type": "WordPiece"})).contains("the decoder \"WordPiece\""));
    assert!(refused(&|json| json["model"]["vocab"]["far"] = json!(4_000_000_000u32)).contains("4000000000"));
    assert!(refused(&|json| json["model"]["merges"] = json!([["no", "such"]])).contains("tokenizer is damaged"));
}

/// The whole of a file that is read in pieces is what was written: the reader of headers is not the only one.
#[test]
fn stored_numbers_are_those_of_the_file() {
    let folder = DiskFolder::new(path("qwen2"));
    let file = pollster::block_on(folder.open("model.safetensors")).unwrap().unwrap();
    let header = pollster::block_on(Safetensors::read(&file)).unwrap();
    let stored = &header.tensors["model.layers.1.mlp.down_proj.weight"];
    let bytes = std::fs::read(path("qwen2").join("model.safetensors")).unwrap();
    let bytes = &bytes[stored.offset as usize..][..stored.bytes as usize];
    let files = open("qwen2", None);
    assert_eq!(numbers(&files.checkpoint, "blk.1.ffn_down.weight"), dequantise(Quant::BF16, bytes, 32 * 64));
}
