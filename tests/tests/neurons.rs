//! Value vectors, active neurons and vocabulary directions against transformers on the real model, and what clamping
//! them does.
//!
//! Both read the same dequantised weights; logits are sums in f32 in another order: 1e-3 is what they may differ by.

use serde::Deserialize;
use tiller_engine::{BackendKind, Edit, Harvest, Positions, Site, TapRows};
use tiller_experiment::Session;
use tiller_interp::evidence::{CONTROL_SEEDS, NEUTRAL_TEXT};
use tiller_interp::neurons::{Clamping, ValueVectors, WrittenToken, clamp, most_active};
use tiller_interp::steer::{random_direction, vocabulary_direction};
use tiller_recipe::Prompt;
use tiller_tests::load;

const NEAR: f32 = 1e-3;

#[derive(Deserialize)]
struct Golden {
    ids: Vec<u32>,
    layers: Vec<GoldenLayer>,
    directions: Vec<GoldenDirection>,
}

#[derive(Deserialize)]
struct GoldenLayer {
    layer: u32,
    neurons: Vec<GoldenNeuron>,
    active: GoldenActivity,
}

#[derive(Deserialize)]
struct GoldenNeuron {
    neuron: u32,
    norm: f32,
    first: Vec<f32>,
    raises: Vec<u32>,
    raises_logits: Vec<f32>,
    raises_margins: Vec<f32>,
    lowers: Vec<u32>,
    lowers_logits: Vec<f32>,
    lowers_margins: Vec<f32>,
    z: f32,
}

#[derive(Deserialize)]
struct GoldenActivity {
    neurons: Vec<u32>,
    written: Vec<f32>,
    activations: Vec<f32>,
}

#[derive(Deserialize)]
struct GoldenDirection {
    toward: u32,
    away: u32,
    norm: f32,
    direction: Vec<f32>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/neurons.json")).unwrap()
}

fn tokens(session: &Session, words: &[&str]) -> Vec<u32> {
    words.iter().map(|word| session.one_token(word).unwrap()).collect()
}

fn neutral(session: &Session) -> Vec<u32> {
    session.tokens(&Prompt::Text(NEUTRAL_TEXT.into())).unwrap()
}

fn check_tokens(what: &str, found: &[WrittenToken], tokens: &[u32], logits: &[f32], margins: &[f32]) {
    assert_eq!(found.len(), tokens.len(), "{what}");
    for (n, written) in found.iter().enumerate() {
        assert!((written.logit - logits[n]).abs() < NEAR, "{what}: {written:?}, expected {}", logits[n]);
        // Of two that are near, either may come first.
        let alone = margins[n] > 2.0 * NEAR && (n == 0 || margins[n - 1] > 2.0 * NEAR);
        assert!(!alone || written.token == tokens[n], "{what}: {written:?}, expected {}", tokens[n]);
    }
}

fn value_vectors_are_the_references(backend: BackendKind) {
    let golden = golden();
    let mut session = load(backend, 64);
    let words = tokens(&session, &[" good", " bad"]);
    assert_eq!(
        (golden.layers.len(), [words[0], words[1]]),
        (2, [golden.directions[0].toward, golden.directions[0].away])
    );
    let engine = &mut session.engine;
    for GoldenLayer { layer, neurons, active } in &golden.layers {
        let values = pollster::block_on(ValueVectors::read(engine, *layer, &(), |_, _| {})).unwrap();
        assert_eq!(values.len(), 1536);
        let named: Vec<u32> = neurons.iter().map(|neuron| neuron.neuron).collect();
        let written = values.written(engine, &named, 6, &words, &(), |_, _| {});
        let written = pollster::block_on(written).unwrap();
        for (found, expected) in written.iter().zip(neurons) {
            let what = format!("neuron {} of block {layer}", found.neuron);
            assert!((found.norm - expected.norm).abs() < 1e-5 * expected.norm, "{what}");
            let first = &values.vector(found.neuron)[..4];
            assert!(first.iter().zip(&expected.first).all(|(a, b)| (a - b).abs() < 1e-6), "{what}: {first:?}");
            let GoldenNeuron { raises, raises_logits, raises_margins, .. } = expected;
            check_tokens(&what, &found.raises, raises, raises_logits, raises_margins);
            let GoldenNeuron { lowers, lowers_logits, lowers_margins, .. } = expected;
            check_tokens(&what, &found.lowers, lowers, lowers_logits, lowers_margins);
            let z = found.words.expect("words were given").z;
            assert!((z - expected.z).abs() < 1e-3, "{what}: {z}, expected {}", expected.z);
        }
        let found = pollster::block_on(most_active(engine, &values, &golden.ids, 6, &(), |_, _| {})).unwrap();
        for (n, found) in found.iter().enumerate() {
            assert_eq!(found.neuron, active.neurons[n], "block {layer}, place {n}");
            let scale = active.written[0];
            assert!((found.written - active.written[n]).abs() < 1e-3 * scale, "block {layer}, place {n}: {found:?}");
            let off = (found.activation - active.activations[n]).abs();
            assert!(off < 1e-3 * active.activations[n].abs().max(1.0), "block {layer}, place {n}: {found:?}");
        }
    }
}

#[test]
fn value_vectors_on_the_cpu_are_the_references() {
    value_vectors_are_the_references(BackendKind::Cpu);
}

#[test]
fn value_vectors_on_the_gpu_are_the_references() {
    value_vectors_are_the_references(BackendKind::Gpu);
}

#[test]
fn vocabulary_directions_are_the_references_and_raise_one_word_above_the_other_as_random_ones_do_not() {
    let mut session = load(BackendKind::Cpu, 512);
    let neutral = neutral(&session);
    let prompt = session.tokens(&Prompt::Text("The weather today is".into())).unwrap();
    let engine = &mut session.engine;
    for GoldenDirection { toward, away, norm, direction } in golden().directions {
        let made = vocabulary_direction(engine, [toward, away], &[29, 20], &neutral, &(), |_, _| {});
        let made = pollster::block_on(made).unwrap();
        assert_eq!(made.iter().map(|layer| layer.layer).collect::<Vec<_>>(), [20, 29]);
        for layer in &made {
            assert!((layer.norm - norm).abs() < 1e-5 * norm);
            for (found, expected) in layer.direction.iter().zip(&direction) {
                assert!((found - expected).abs() < 1e-5 * norm, "{found} {expected}");
            }
            let mut gap = |vector: &[f32]| {
                let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
                let edit = Edit::add(Site::ResidPost(layer.layer), vector, 0.2 * layer.typical_norm / length);
                let edits = [edit.at(Positions::Last)];
                let prompts = [prompt.clone()];
                let what = Harvest { prompts: &prompts, sites: &[Site::Logits], rows: TapRows::Picks, edits: &edits };
                let mut gap = 0.0;
                let sink = |reading: tiller_engine::Reading<'_>| {
                    gap = reading.values[toward as usize] - reading.values[away as usize];
                };
                pollster::block_on(engine.harvest(&what, &(), |_, _| {}, sink)).unwrap();
                gap
            };
            // Adding a direction and taking it off again: what of the gap is its doing.
            let mut moved = |vector: &[f32]| {
                let turned: Vec<f32> = vector.iter().map(|x| -x).collect();
                (gap(vector) - gap(&turned)) / 2.0
            };
            let found = moved(&layer.direction);
            let random: Vec<f32> = (1..=4).map(|seed| moved(&random_direction(seed, 576)).abs()).collect();
            let most = random.iter().copied().fold(0.0, f32::max);
            println!("{toward} {away}, block {}: {found}, random {random:?}", layer.layer);
            assert!(found > 3.0 * most, "block {}: {found}, random {random:?}", layer.layer);
        }
    }
    let same = vocabulary_direction(&mut session.engine, [7, 7], &[3], &neutral, &(), |_, _| {});
    assert!(pollster::block_on(same).unwrap_err().to_string().contains("same token"));
}

#[test]
fn neurons_that_write_some_words_raise_them_when_held_and_random_ones_that_write_as_much_do_not() {
    let mut session = load(BackendKind::Cpu, 512);
    let neutral = neutral(&session);
    let words = tokens(&session, &[" city", " town", " village"]);
    let engine = &mut session.engine;
    let values = pollster::block_on(ValueVectors::read(engine, 26, &(), |_, _| {})).unwrap();
    let all: Vec<u32> = (0..values.len()).collect();
    let mut found = pollster::block_on(values.written(engine, &all, 5, &words, &(), |_, _| {})).unwrap();
    let z = |found: &tiller_interp::neurons::NeuronWrites| found.words.expect("words were given").z;
    found.sort_by(|a, b| z(b).abs().total_cmp(&z(a).abs()));
    let neurons: Vec<(u32, f32)> = found[..10].iter().map(|found| (found.neuron, z(found))).collect();
    let what = Clamping { neurons: &neurons, strength: 0.5, words: &words, neutral: &neutral, seeds: &CONTROL_SEEDS };
    let clamped = pollster::block_on(clamp(engine, &values, &what, &(), |_, _| {})).unwrap();
    println!("{clamped:?}");
    let most = clamped.factor.random.iter().copied().fold(0.0, f64::max);
    assert!(clamped.factor.value > 3.0 && clamped.factor.value > 2.0 * most, "{:?}", clamped.factor);

    let missing = Clamping { neurons: &[(1536, 1.0)], ..what };
    let refused = pollster::block_on(clamp(engine, &values, &missing, &(), |_, _| {})).unwrap_err();
    assert_eq!(refused.to_string(), "block 26's MLP has neurons 0 to 1535, and no 1536: name others");
    let none = Clamping { neurons: &[], ..what };
    assert!(pollster::block_on(clamp(engine, &values, &none, &(), |_, _| {})).is_err());
}
