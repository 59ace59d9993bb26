//! The real model's file against what llama.cpp and transformers say of it (`tests/golden/smollm2.json`).

use serde::Deserialize;
use std::{env, fs, path::PathBuf};
use tiller_formats::{FileSource, Gguf, Quant};
use tiller_model::{ChatTemplate, Message, ModelConfig, StreamDecoder, Tokenizer, catalogue};

#[derive(Deserialize)]
struct Golden {
    tokenizer: Vec<Encoded>,
    chat: Vec<Chat>,
}

#[derive(Deserialize)]
struct Encoded {
    text: String,
    ids: Vec<u32>,
    ids_parse_special: Vec<u32>,
}

#[derive(Deserialize)]
struct Chat {
    name: String,
    messages: Vec<Message>,
    text: String,
    ids: Vec<u32>,
}

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/smollm2.json");
    serde_json::from_str(&fs::read_to_string(path).expect(path)).expect(path)
}

fn smollm2() -> Gguf {
    let model = catalogue().remove(0).model;
    let cache = env::var_os("TILLER_HUB_CACHE")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env::var_os("HOME").expect("HOME is set")).join(".cache/tiller/hub"));
    let path = cache.join(&model.repo).join(&model.revision).join(&model.file);
    let source = FileSource::open(&path).unwrap_or_else(|error| {
        panic!("{} is missing ({error}): `cargo xtask test` fetches it", path.display());
    });
    pollster::block_on(Gguf::read(&source)).expect("the file is sound")
}

#[test]
fn configuration_is_the_models() {
    let gguf = smollm2();
    let config = ModelConfig::from_gguf(&gguf).unwrap();
    assert_eq!((config.layers, config.width, config.ffn, config.vocab), (30, 576, 1536, 49_152));
    assert_eq!((config.heads, config.kv_heads, config.head_dim), (9, 3, 64));
    assert_eq!((config.context, config.norm.epsilon), (8192, 1e-5));
    let rope = &config.attention.ropes[0];
    assert_eq!((rope.base, rope.dims, rope.interleaved), (1e5, 64, false));
    assert!(config.tied_embeddings);
    assert_eq!(gguf.tensor("token_embd.weight").unwrap().quant, Quant::Q8_0);
    assert_eq!(gguf.tensor("blk.0.ffn_down.weight").unwrap().shape, [576, 1536]);
}

#[test]
fn ids_are_llama_cpps() {
    let tokenizer = Tokenizer::from_gguf(&smollm2()).unwrap();
    let golden = golden();
    assert!(golden.tokenizer.len() >= 20);
    for Encoded { text, ids, ids_parse_special } in golden.tokenizer {
        assert_eq!(tokenizer.encode(&text, true, false).unwrap(), ids, "{text:?}");
        assert_eq!(tokenizer.encode(&text, true, true).unwrap(), ids_parse_special, "{text:?}, special tokens");
        assert_eq!(tokenizer.decode(&ids), text);
        assert_eq!(tokenizer.decode(&ids_parse_special), text);

        let mut stream = StreamDecoder::new(&tokenizer);
        let pieces: String = ids.iter().map(|&id| stream.push(id)).collect();
        assert_eq!(pieces + &stream.finish(), text);
    }
}

#[test]
fn chats_are_written_as_the_template_has_it() {
    let gguf = smollm2();
    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    let template = ChatTemplate::from_gguf(&gguf).unwrap().expect("SmolLM2-Instruct has a template");
    let special = |id: Option<u32>| id.map_or_else(String::new, |id| tokenizer.token_text(id));
    let golden = golden();
    assert!(!golden.chat.is_empty());
    for Chat { name, messages, text, ids } in golden.chat {
        let written = template.render(&messages, true, &special(tokenizer.bos()), &special(tokenizer.eos())).unwrap();
        assert_eq!(written, text, "{name}");
        assert_eq!(tokenizer.encode(&written, true, true).unwrap(), ids, "{name}");
    }
}

#[test]
fn tokens_that_end_are_known() {
    let tokenizer = Tokenizer::from_gguf(&smollm2()).unwrap();
    assert_eq!(tokenizer.vocab_size(), 49_152);
    assert_eq!(tokenizer.eos().map(|id| tokenizer.token_text(id)).as_deref(), Some("<|im_end|>"));
    for end in ["<|im_end|>", "<|endoftext|>"] {
        let ids = tokenizer.encode(end, false, true).unwrap();
        assert!(matches!(ids[..], [id] if tokenizer.is_end(id) && tokenizer.is_special(id)), "{end} is {ids:?}");
    }
    let word = tokenizer.encode(" Paris", false, false).unwrap()[0];
    assert!(!tokenizer.is_end(word) && !tokenizer.is_special(word));
    assert_eq!(tokenizer.token_bytes(u32::MAX), b"");
}
