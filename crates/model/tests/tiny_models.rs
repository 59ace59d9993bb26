//! Small models made for the purpose: sound ones, and ones that must be refused with a reason.

use tiller_formats::{Gguf, Quant, Value};
use tiller_model::{ChatTemplate, Message, ModelConfig, ModelError, TinyLlama, Tokenizer, TokenizerError, weights};

fn tiny(model: &TinyLlama) -> Gguf {
    let bytes = model.to_gguf().unwrap();
    pollster::block_on(Gguf::read(&bytes)).unwrap()
}

/// The tiny model with one metadata value changed.
fn with(key: &str, value: impl Into<Value>) -> Gguf {
    let mut gguf = tiny(&TinyLlama::default());
    gguf.metadata.0.insert(key.into(), value.into());
    gguf
}

fn refusal(gguf: &Gguf) -> String {
    ModelConfig::from_gguf(gguf).unwrap_err().to_string()
}

#[test]
fn a_tiny_model_has_everything() {
    for (quant, tied_embeddings) in [(Quant::Q4_1, true), (Quant::Q8_0, false), (Quant::F32, false)] {
        let gguf = tiny(&TinyLlama { quant, tied_embeddings, ..TinyLlama::default() });
        let config = ModelConfig::from_gguf(&gguf).unwrap();
        assert_eq!((config.layers, config.width, config.head_dim), (2, 64, 16));
        assert_eq!(config.tied_embeddings, tied_embeddings);
        assert_eq!(
            gguf.tensors.len(),
            weights(&config).iter().filter(|weight| !weight.optional).count() + usize::from(!tied_embeddings)
        );

        let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
        assert_eq!(tokenizer.vocab_size(), config.vocab);
        let text = "hello world, 42 日";
        let ids = tokenizer.encode(text, true, false).unwrap();
        assert_eq!(tokenizer.decode(&ids), text);
        assert_eq!(tokenizer.token_text(ids[0]), "hello");

        let template = ChatTemplate::from_gguf(&gguf).unwrap().unwrap();
        let written = template.render(&[Message::new("user", "hello")], true, "", "").unwrap();
        assert_eq!(written, "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n");
        let ids = tokenizer.encode(&written, true, true).unwrap();
        assert_eq!(ids.iter().filter(|&&id| tokenizer.is_special(id)).count(), 3);
    }
}

#[test]
fn an_unknown_architecture_is_refused_by_name() {
    let error = ModelConfig::from_gguf(&with("general.architecture", "mamba")).unwrap_err();
    assert!(matches!(&error, ModelError::UnknownArchitecture { found } if found == "mamba"));
    assert!(error.to_string().contains("\"mamba\"") && error.to_string().contains("llama"), "{error}");
}

#[test]
fn numbers_that_no_model_has_are_refused() {
    for (key, value, told) in [
        ("llama.block_count", 0, "number of layers"),
        ("llama.block_count", 1_000_000, "number of layers"),
        ("llama.embedding_length", u32::MAX, "width"),
        ("llama.attention.head_count", 0, "number of heads"),
        ("llama.attention.head_count", 5, "number of key and value heads"),
        ("llama.attention.head_count_kv", 3, "number of key and value heads"),
        ("llama.attention.head_count_kv", 0, "number of key and value heads"),
        ("llama.attention.key_length", 1 << 20, "head size"),
        ("llama.attention.value_length", 8, "size of a value head"),
        ("llama.feed_forward_length", u32::MAX, "MLP width"),
        ("llama.context_length", 0, "context length"),
        ("llama.rope.dimension_count", 7, "RoPE dimensions"),
        ("llama.rope.dimension_count", 64, "RoPE dimensions"),
        ("llama.expert_count", 8, "mixture of experts"),
    ] {
        let error = refusal(&with(key, value));
        assert!(error.contains(told), "{key} = {value}: {error}");
    }
    for (key, value) in [
        ("llama.attention.layer_norm_rms_epsilon", f32::NAN),
        ("llama.attention.layer_norm_rms_epsilon", -1.0),
        ("llama.rope.freq_base", 0.0),
        ("llama.rope.freq_base", f32::INFINITY),
        ("llama.rope.scaling.factor", 0.0),
    ] {
        assert!(matches!(ModelConfig::from_gguf(&with(key, value)), Err(ModelError::OutOfRange { .. })), "{key}");
    }
    assert!(refusal(&with("llama.rope.scaling.type", "yarn")).contains("\"yarn\""));
}

#[test]
fn mistral_s_files_call_themselves_llama_and_have_a_window() {
    let windows = |value: u32| {
        let config = ModelConfig::from_gguf(&with("llama.attention.sliding_window", value)).unwrap();
        config.attention.layers.iter().map(|layer| layer.window).collect::<Vec<_>>()
    };
    assert_eq!(windows(32), [Some(32); 2]);
    // One that is none, or longer than any text.
    assert_eq!(windows(0), [None; 2]);
    assert_eq!(windows(1 << 20), [None; 2]);
}

#[test]
fn tensors_must_be_the_models() {
    let mut gguf = tiny(&TinyLlama::default());
    let down = gguf.tensors.remove("blk.1.ffn_down.weight").unwrap();
    assert!(refusal(&gguf).contains("no tensor \"blk.1.ffn_down.weight\""));

    gguf.tensors.insert("blk.1.ffn_down.weight".into(), down.clone());
    ModelConfig::from_gguf(&gguf).unwrap();
    gguf.tensors.get_mut("blk.0.attn_q.weight").unwrap().shape = vec![64, 32];
    assert!(refusal(&gguf).contains("\"blk.0.attn_q.weight\" has the shape [64, 32]"));

    let mut gguf = tiny(&TinyLlama::default());
    gguf.tensors.insert("blk.0.attn_q_norm.weight".into(), down);
    assert!(refusal(&gguf).contains("a tensor \"blk.0.attn_q_norm.weight\""));
}

#[test]
fn a_damaged_tokenizer_is_refused() {
    let refusal = |key: &str, value: Value| Tokenizer::from_gguf(&with(key, value)).err().expect(key).to_string();
    assert!(refusal("tokenizer.ggml.model", "bert".into()).contains("\"bert\""));
    assert!(refusal("tokenizer.ggml.pre", "tekken".into()).contains("\"tekken\""));
    assert!(refusal("tokenizer.ggml.tokens", Vec::<String>::new().into()).contains("no tokens"));
    assert!(refusal("tokenizer.ggml.token_type", vec![1u32].into()).contains("1 kinds"));
    assert!(refusal("tokenizer.ggml.eos_token_id", 1_000_000.into()).contains("eos_token_id"));
    let merges = |line: &str| refusal("tokenizer.ggml.merges", vec![line].into());
    assert!(merges("nopair").contains("no pair"));
    assert!(merges("").contains("no pair"));
    assert!(merges("h zz").contains("not in the vocabulary"));
    // Each part is a token, together they are none.
    assert!(merges("hello hello").contains("not in the vocabulary"));
}

#[test]
fn bos_is_added_where_the_file_says() {
    let tokenizer = Tokenizer::from_gguf(&with("tokenizer.ggml.add_bos_token", true)).unwrap();
    let bos = tokenizer.bos().unwrap();
    assert_eq!(tokenizer.encode("", true, false).unwrap(), [bos]);
    assert!(tokenizer.encode("", false, false).unwrap().is_empty());

    let mut gguf = with("tokenizer.ggml.add_bos_token", true);
    gguf.metadata.0.remove("tokenizer.ggml.bos_token_id");
    assert!(matches!(Tokenizer::from_gguf(&gguf), Err(TokenizerError::Damaged { .. })));
}

/// A SentencePiece vocabulary of a few pieces, with a token for every byte.
fn sentence_piece() -> Gguf {
    let pieces = ["▁", "h", "e", "l", "o", "ll", "he", "hell", "hello", "▁hello", "<user>"];
    let bytes: Vec<String> = (0..=255u8).map(|byte| format!("<0x{byte:02X}>")).collect();
    let tokens = ["<unk>", "<s>", "</s>"].into_iter().map(String::from).chain(bytes);
    let tokens: Vec<String> = tokens.chain(pieces.map(String::from)).collect();
    let kind = |(id, text): (usize, &String)| match id {
        0 => 2u32,
        1 | 2 => 3,
        _ if text.starts_with("<0x") => 6,
        _ if text == "<user>" => 4,
        _ => 1,
    };
    let mut gguf = with("tokenizer.ggml.model", "llama");
    let metadata = &mut gguf.metadata.0;
    metadata.retain(|key, _| !key.starts_with("tokenizer.ggml.") || key == "tokenizer.ggml.model");
    metadata.insert("tokenizer.ggml.token_type".into(), tokens.iter().enumerate().map(kind).collect::<Vec<_>>().into());
    let scores: Vec<f32> = (0..tokens.len()).map(|id| -(id as f32)).collect();
    metadata.insert("tokenizer.ggml.scores".into(), scores.into());
    metadata.insert("tokenizer.ggml.tokens".into(), tokens.into());
    gguf
}

#[test]
fn sentence_pieces_are_merged_by_score() {
    let tokenizer = Tokenizer::from_gguf(&sentence_piece()).unwrap();
    let texts = |text: &str, parse_special| -> Vec<String> {
        let ids = tokenizer.encode(text, true, parse_special).unwrap();
        ids.into_iter().map(|id| tokenizer.token_text(id)).collect()
    };
    assert_eq!(texts("hello", false), ["<s>", " hello"]);
    assert_eq!(texts("hello  hello", false), ["<s>", " hello", " ", " hello"]);
    // What is in no piece becomes bytes; each of the three of 日 alone is no character.
    assert_eq!(texts("日", false), ["<s>", " ", "\u{fffd}", "\u{fffd}", "\u{fffd}"]);
    // A space goes before a text that follows a special token; user-defined tokens are always found.
    assert_eq!(texts("<user>hello</s>", true), ["<s>", "<user>", " hello", "</s>"]);
    let as_text = tokenizer.encode("</s>", false, false).unwrap();
    assert!(as_text.len() > 1 && !as_text.contains(&tokenizer.eos().unwrap()));
    assert_eq!(tokenizer.decode(&tokenizer.encode("a日b", false, false).unwrap()), " a日b");
}

#[test]
fn a_sentence_piece_vocabulary_needs_scores() {
    let mut gguf = sentence_piece();
    gguf.metadata.0.remove("tokenizer.ggml.scores");
    let error = Tokenizer::from_gguf(&gguf).err().unwrap().to_string();
    assert!(error.contains("no scores"), "{error}");
}

#[test]
fn a_vocabulary_whose_tokens_all_make_one_another_is_refused() {
    // Every part of a text of 256 characters: 32,896 tokens, and 2.8 million ways to make one of two others.
    let text: String = (0..256u32).map(|n| char::from(b'a' + (n * n * 7919 / 64 % 26) as u8)).collect();
    let parts = (0..text.len()).flat_map(|start| (start + 1..=text.len()).map(move |end| (start, end)));
    let tokens: Vec<&str> = parts.map(|(start, end)| &text[start..end]).collect();
    let mut gguf = with("tokenizer.ggml.model", "llama");
    let count = tokens.len();
    gguf.metadata.0.insert("tokenizer.ggml.token_type".into(), vec![1u32; count].into());
    gguf.metadata.0.insert("tokenizer.ggml.scores".into(), vec![0.0f32; count].into());
    gguf.metadata.0.insert("tokenizer.ggml.tokens".into(), tokens.into());
    let error = Tokenizer::from_gguf(&gguf).err().expect("it is refused").to_string();
    assert!(error.contains("more than 2097152 ways"), "{error}");
}
