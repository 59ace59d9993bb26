//! Conditions of steering: against the reference, and on the real model, what they gate.

use serde::Deserialize;
use tiller_engine::{BackendKind, Edit, Site};
use tiller_experiment::Session;
use tiller_interp::InterpError;
use tiller_interp::steer::{
    ConditionPlan, ConditionTest, ConditionalPlan, TokenPair, VectorMethod, conditional_effect, extract, find_condition,
};
use tiller_recipe::{Prompt, Turn};

/// conditional.json, as conditional.py writes it.
#[derive(Deserialize)]
struct Golden {
    matching: Vec<Vec<u32>>,
    other: Vec<Vec<u32>>,
    layers: Vec<GoldenLayer>,
}

#[derive(Deserialize)]
struct GoldenLayer {
    layer: u32,
    f1: f64,
    gap: f64,
    threshold: f64,
    above: bool,
    explained: f64,
    /// Sizes of every 36th number.
    vector: Vec<f32>,
    /// How many of those that report the condition holds for, of each kind.
    reported: [usize; 2],
}

#[test]
fn vectors_thresholds_and_gating_are_those_of_the_reference() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/conditional.json")).expect("as written");
    let mut session = tiller_tests::load(BackendKind::Cpu, 1024);
    let mut find = |layers: &[u32]| {
        let Golden { matching, other, .. } = &golden;
        let plan = ConditionPlan { matching, other, layers, test: ConditionTest::default(), seeds: &[1, 2] };
        pollster::block_on(find_condition(&mut session.engine, &plan, &(), |_, _| {})).expect("it runs")
    };
    for expected in &golden.layers {
        let found = find(&[expected.layer]);
        assert_eq!((found.layer, found.above), (expected.layer, expected.above));
        assert!((f64::from(found.threshold) - expected.threshold).abs() < 2e-4 * expected.threshold.abs(), "{found:?}");
        assert!((found.chosen_by.f1 - expected.f1).abs() < 1e-6, "{found:?}");
        assert!((found.explained - expected.explained).abs() < 1e-4, "{found:?}");
        for (n, expected) in expected.vector.iter().enumerate() {
            assert!((found.vector[36 * n].abs() - expected).abs() < 2e-4, "layer {}, {n}", found.layer);
        }
        let count = |share: f64| (share * 8.0).round() as usize;
        assert_eq!([count(found.reported.matching), count(found.reported.other)], expected.reported);
        assert_eq!(found.random.len(), 2);
    }
    // Of all layers, the one with the largest F1, and of equals the widest gap.
    let all: Vec<u32> = golden.layers.iter().map(|layer| layer.layer).collect();
    let best = golden.layers.iter().max_by(|a, b| a.f1.total_cmp(&b.f1).then(a.gap.total_cmp(&b.gap))).unwrap();
    assert_eq!(find(&all).layer, best.layer);
}

fn prompts(session: &Session, file: &str) -> Vec<Vec<u32>> {
    let tokens = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a text on each line");
        let content = line["text"].as_str().expect("a text").to_string();
        session.tokens(&Prompt::Chat(vec![Turn { role: "user".into(), content }])).expect("it has a template")
    };
    file.lines().map(tokens).collect()
}

#[test]
fn a_vector_under_a_condition_on_cooking_steers_where_the_prompt_is_about_cooking() {
    let mut session = tiller_tests::load(BackendKind::Cpu, 1024);
    let matching = prompts(&session, include_str!("../prompts/cooking.jsonl"));
    let other = prompts(&session, include_str!("../prompts/everyday.jsonl"));
    let text = |text: &str| session.tokenizer.encode(text, false, false).unwrap();
    let pair = |(positive, negative): (&str, &str)| TokenPair { positive: text(positive), negative: text(negative) };
    let pairs = [
        ("hey could you maybe help me out real quick", "I would be most grateful for your kind assistance"),
        ("so yeah your stuff is gonna be late, sorry", "We regret to inform you of a delay in delivery"),
        ("oops, my bad, sorry about all that mess", "Please accept my sincere apologies for the inconvenience"),
        ("nah, I don't really buy that, dude", "I must respectfully disagree with that assessment"),
    ]
    .map(pair);
    let endings = [("sure, that's super easy, dude", "Certainly, I shall be pleased to assist you")].map(pair);
    let layers: Vec<u32> = (0..=16).collect();
    let plan = ConditionPlan {
        matching: &matching,
        other: &other,
        layers: &layers,
        test: ConditionTest::Cosine,
        seeds: &[1, 2, 3],
    };
    let neutral = session.neutral().unwrap();
    let engine = &mut session.engine;
    let condition = pollster::block_on(find_condition(engine, &plan, &(), |_, _| {})).unwrap();
    println!("{:?}\n{:?}\n{:?}", condition.chosen_by, condition.reported, condition.random);
    assert!(condition.reported.matching_interval.low > condition.reported.other_interval.high, "{condition:?}");
    let random = condition.random.iter().map(|random| random.reported.f1).fold(0.0, f64::max);
    assert!(condition.reported.f1 > random, "{} beside {random}", condition.reported.f1);

    let made = extract(engine, VectorMethod::MeanDifference, &pairs, &[16], &(), |_, _| {});
    let made = pollster::block_on(made).unwrap().layers.remove(0);
    let unit: Vec<f32> = made.direction.iter().map(|x| x / made.norm).collect();
    let edit = Edit::add(Site::ResidPost(16), unit, 0.2 * made.typical_norm);
    let unseen = |prompts: &[Vec<u32>]| prompts.iter().skip(1).step_by(2).take(8).cloned().collect::<Vec<_>>();
    let plan = ConditionalPlan {
        condition: &condition,
        edit: &edit,
        matching: &unseen(&matching),
        other: &unseen(&other),
        endings: &endings,
        neutral: &neutral,
    };
    let report = pollster::block_on(conditional_effect(engine, &plan, &(), |_, _| {})).unwrap();
    println!("{report:?}");
    let (gated, ungated) = (&report.gated, &report.ungated);
    // Without a condition it acts everywhere, and makes what it is for likelier.
    assert_eq!((ungated.acted.matching, ungated.acted.other), (1.0, 1.0));
    assert!(ungated.matching.mean > 0.0 && ungated.other.mean > 0.0, "{ungated:?}");
    // With one it acts where the search said that it would, on these prompts.
    assert!(gated.acted.matching > gated.acted.other);
    assert!(
        gated.matching.mean > 0.8 * ungated.matching.mean && gated.other.mean < 0.3 * ungated.other.mean,
        "{gated:?}"
    );
}

#[test]
fn prompts_that_do_not_suffice_are_refused() {
    let mut session = tiller_tests::load(BackendKind::Cpu, 256);
    let three = vec![vec![504, 3575]; 3];
    let alike = vec![vec![504, 3575]; 4];
    let mut find = |matching: &[Vec<u32>], other: &[Vec<u32>]| {
        let plan = ConditionPlan { matching, other, layers: &[3], test: ConditionTest::Cosine, seeds: &[] };
        pollster::block_on(find_condition(&mut session.engine, &plan, &(), |_, _| {})).unwrap_err()
    };
    assert!(matches!(find(&three, &alike), InterpError::TooFewPrompts { given: 3, needed: 4 }));
    assert!(matches!(find(&alike, &alike), InterpError::NoCondition));
}
