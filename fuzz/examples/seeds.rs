//! Writes the inputs that fuzzing begins with, by the project's own writers. How to run it is in the README: all of
//! this package is linked to libFuzzer, whose `main` calls this once before it would try inputs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::Path;
use tiller_formats::{ControlVector, GgufWriter, Metadata, Numbering, Quant, Value};
use tiller_fuzz::{SEPARATOR, tiny_repository};
use tiller_model::TinyLlama;
use tiller_recipe::{
    Condition, Direction, Edit, Lens, Operation, Pair, Part, Prompt, Recipe, Source, Test, Turn, VERSION, Vector, View,
    to_fragment,
};
use tiller_sites::{ModelRef, Positions, Sampling, Site};

fuzz_target!(init: write_all(), |_input: &[u8]| {});

fn write_all() {
    for (name, file) in [
        ("tiny_llama", tiny_llama(Quant::Q4_1, true)),
        ("tiny_llama_untied", tiny_llama(Quant::Q8_0, false)),
        ("every_kind_of_value", every_kind_of_value()),
    ] {
        write("gguf", name, &file);
    }
    write("control_vector", "block_output", &control_vector(Numbering::BlockOutput));
    write("control_vector", "unknown_numbering", &control_vector(Numbering::Unknown));
    write("control_vector", "quantised", &quantised_control_vector());
    for (name, text) in TOKENIZERS {
        write("tokenizer", name, text.as_bytes());
    }
    for (name, source) in CHAT_TEMPLATES {
        write("chat_template", name, source.as_bytes());
    }
    let weights = tiny_repository::weights();
    write("safetensors", "tiny_repository", &weights);
    write("safetensors", "empty", &[&2u64.to_le_bytes(), b"{}".as_slice()].concat());
    write("tokenizer_json", "byte_level", TOKENIZER_JSON.as_bytes());
    // A SentencePiece tokenizer as the hub has them: made up for the tests of architectures.
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/architectures/gemma3/tokenizer.json");
    write("tokenizer_json", "sentence_piece", &fs::read(golden).expect("a golden file"));
    let settings = br#"{"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": "{{ messages }}"}"#;
    let files = [tiny_repository::CONFIG.as_bytes(), TOKENIZER_JSON.as_bytes(), settings, &weights];
    write("repository", "tiny", &files.join(SEPARATOR));
    for (name, layout, files) in SAES {
        let read = |file: &&str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/saes").join(name);
            fs::read(folder.join(file)).expect("a golden file")
        };
        let files: Vec<Vec<u8>> = files.iter().map(read).collect();
        write("sae", name, &[&[layout], files.join(SEPARATOR).as_slice()].concat());
    }
    for (name, recipe) in recipes() {
        write("recipe", name, recipe.to_json().expect("valid").as_bytes());
        write("link", name, to_fragment(&recipe).expect("short").as_bytes());
    }
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder).expect("the seeds' folder can be made");
    fs::write(folder.join(name), bytes).expect("a seed can be written");
}

fn tiny_llama(quant: Quant, tied_embeddings: bool) -> Vec<u8> {
    let model = TinyLlama {
        layers: 1,
        width: 32,
        heads: 2,
        kv_heads: 1,
        ffn: 32,
        quant,
        tied_embeddings,
        ..TinyLlama::default()
    };
    model.to_gguf().expect("whole blocks")
}

fn every_kind_of_value() -> Vec<u8> {
    let values = [
        Value::U8(1),
        Value::I8(-1),
        Value::U16(2),
        Value::I16(-2),
        Value::I32(-3),
        Value::F32(0.5),
        Value::Bool(true),
        Value::from(vec!["a", "b", ""]),
        Value::U64(4),
        Value::I64(-4),
        Value::F64(0.25),
        Value::Array(vec![Value::from(vec![1.0f32, 2.0]), Value::Array(vec![])]),
    ];
    let mut file = GgufWriter::new("test").with("general.alignment", 32);
    for (n, value) in values.into_iter().enumerate() {
        file = file.with(&format!("test.{n}"), value);
    }
    for (n, quant) in Quant::ALL.into_iter().enumerate() {
        file.tensor(&format!("matrix.{n}"), quant, &[1, 256], &[0.5; 256]).expect("whole blocks");
    }
    file.to_bytes().expect("lists of one kind")
}

fn control_vector(numbering: Numbering) -> Vec<u8> {
    let notes =
        [("tiller.method", Value::from("mean-diff")), ("tiller.typical_norms", Value::from(vec![61.5f32, 62.0]))];
    let vector = ControlVector {
        model_hint: "llama".into(),
        directions: [(1, vec![0.5; 8]), (2, vec![-0.25; 8])].into(),
        numbering,
        notes: Metadata(notes.map(|(key, value)| (key.to_string(), value)).into()),
    };
    vector.to_bytes().expect("lists of one kind")
}

fn quantised_control_vector() -> Vec<u8> {
    let mut file = GgufWriter::new("controlvector").with("controlvector.model_hint", "gemma3");
    for (n, quant) in [Quant::Q8_0, Quant::F16, Quant::Q4_0].into_iter().enumerate() {
        file.tensor(&format!("direction.{n}"), quant, &[64], &[0.125; 64]).expect("whole blocks");
    }
    file.to_bytes().expect("no lists")
}

/// A golden SAE, the number of its layout in the fuzz target, and its files.
const SAES: [(&str, u8, &[&str]); 6] = [
    ("standard_layer_norm", 0, &["cfg.json", "sae_weights.safetensors"]),
    ("before_6_topk", 0, &["cfg.json", "sae_weights.safetensors"]),
    ("gemma_scope", 1, &["params.npz"]),
    ("gemma_scope_compressed", 1, &["params.npz"]),
    ("gemma_scope_2", 2, &["params.safetensors", "config.json"]),
    ("mapping", 3, &["mapping.json", "sae.safetensors"]),
];

/// See [`tiller_fuzz::tokenizer_input`].
const TOKENIZERS: [(&str, &str); 2] = [
    (
        "byte_level",
        "\0\0\u{1}\u{2}\u{0}\nt\u{3}<|end|>\nt\u{3}<s>\nt\u{3}</s>\nt\u{1}a\nt\u{1}b\nt\u{1}c\nt\u{1}Ġ\nt\u{1}ab\n\
        t\u{1}abc\nt\u{4}  \nt\u{1}1\nma b\nmab c\nxabc ab  c1<s>\nxé日",
    ),
    (
        "sentence_piece",
        "\u{b}\0\u{1}\u{2}\u{0}\nt\u{2}<unk>\nt\u{3}<s>\nt\u{3}</s>\nt\u{6}<0x0A>\nt\u{6}<0xC3>\nt\u{9}a\nt\u{11}b\n\
        t\u{19}▁\nt\u{21}ab\nt\u{29}▁ab\nt\u{4}<turn>\nxab a<turn>é\nxb",
    ),
];

const TOKENIZER_JSON: &str = r##"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [
{"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
{"id": 1, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
"normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
{"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}| ?\\p{L}+"}, "behavior": "Isolated", "invert": false},
{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
{"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}},
{"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
"decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
"model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
"end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
"vocab": {"<s>": 0, "</s>": 1, "a": 2, "b": 3, "ab": 4, "\u0120": 5, "e": 6, "2": 7}, "merges": [["a", "b"]]}}"##;

const CHAT_TEMPLATES: [(&str, &str); 4] = [
    (
        "loop",
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' \
        + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    ),
    (
        "alternating",
        "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}\
        {{ raise_exception('Roles must alternate') }}{% endif %}{{ m.content | trim }}{{ eos_token }}{% endfor %}",
    ),
    (
        "namespace",
        "{% set ns = namespace(found=false, text='') %}{% for m in messages[::-1] %}{% if not ns.found and m.role == \
        'user' %}{% set ns.found = true %}{% set ns.text = m.content.split('<')[0] ~ ns.text %}{% endif %}{% endfor %}\
        {{ ns.text }}{{ messages | length }}{{ messages | tojson }}",
    ),
    (
        "macro",
        "{%- macro line(m, end='') -%}{{ m.role.upper() ~ ': ' ~ m.content.strip() | replace('b', 'c') }}{{ end }}\
        {%- endmacro -%}{% for m in messages if m is defined and m.role in ['user', 'assistant'] %}\
        {{ line(m, end='\\n') }}{% else %}{{ '%s' | format('x') }}{% endfor %}",
    ),
];

fn recipes() -> Vec<(&'static str, Recipe)> {
    let direction = Direction::along(&[0.5, -1.0, 0.25, 2.0]).expect("it has a length");
    let vector = Vector {
        name: "Cheerful − gloomy".into(),
        method: "mean-diff".into(),
        layer: 1,
        direction,
        norm: 7.25,
        typical_norm: 61.5,
    };
    let steering = Recipe {
        tiller: VERSION,
        model: ModelRef {
            repo: "owner/model".into(),
            revision: "main".into(),
            file: "model.gguf".into(),
            bytes: Some(4096),
            sha256: Some("0af1".repeat(16)),
        },
        view: View::Steer,
        prompt: Prompt::Chat(vec![Turn { role: "user".into(), content: "Tell me about your day.".into() }]),
        sampling: Sampling::default(),
        max_tokens: 48,
        pairs: vec![Pair { positive: "A bright morning".into(), negative: "An empty house".into() }],
        vectors: vec![vector],
        edits: vec![Edit::add(Source::Vector(0), Site::ResidPost(1), 1.5)],
        feature_edits: Vec::new(),
        lens: Lens::default(),
        shelf: Vec::new(),
        probe: None,
        features: Default::default(),
        backend: Some("gpu".into()),
    };
    let bare = Recipe {
        prompt: Prompt::Text("My day was".into()),
        pairs: vec![],
        vectors: vec![],
        edits: vec![],
        backend: None,
        ..steering.clone()
    };
    let operations = [
        Operation::Set,
        Operation::Scale,
        Operation::Rescale,
        Operation::Cap { low: -1.0, high: 0.5 },
        Operation::Suppress,
        Operation::Map { read: vec![0], write: vec![0], offsets: vec![0.5] },
        Operation::Patch { from: Prompt::Text("Once".into()), positions: vec![(0, 1)] },
    ];
    let edit = |operation| Edit { operation, ..Edit::add(Source::Vector(0), Site::ResidPost(1), 0.5) };
    let every_operation = Recipe { edits: operations.into_iter().map(edit).collect(), ..steering.clone() };
    let condition = Condition::Activation {
        site: Site::ResidPre(1),
        test: Test::Probe { bias: 0.25 },
        vector: 0,
        above: true,
        threshold: 0.0,
        positions: Positions::Listed(vec![0, 3]),
        latched: true,
    };
    let random = Edit::add(Source::Random { like: 0, seed: 7 }, Site::ResidPost(0), -2.0);
    let conditional = Recipe {
        edits: vec![
            Edit { condition: Some(condition), part: Part::Units(vec![1, 2]), ..random.clone() },
            Edit { condition: Some(Condition::Token(vec![5])), part: Part::Head(1), ..random },
        ],
        ..steering.clone()
    };
    vec![("bare", bare), ("steering", steering), ("every_operation", every_operation), ("conditional", conditional)]
}
