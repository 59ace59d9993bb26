//! What a vector in a compact code does, beside the vector that it stands for.

use tiller_engine::{BackendKind, Edit, Engine, Harvest, Site, TapRows};
use tiller_interp::steer::{TokenPair, VectorMethod, extract};
use tiller_recipe::{Code, Direction, Prompt};

/// Texts that the vector is made of, and others that it is judged by, cheerful and gloomy.
const PAIRS: [(&str, &str); 8] = [
    ("I woke up this morning feeling absolutely wonderful", "I woke up this morning feeling absolutely miserable"),
    ("When I think about tomorrow I am full of joy", "When I think about tomorrow I am full of dread"),
    ("The letter she sent me made me smile with delight", "The letter she sent me made me weep with sorrow"),
    ("My work today was exciting and so much fun", "My work today was tedious and so depressing"),
    ("The weather was bright, warm and glorious", "The weather was grey, cold and dreary"),
    ("I love my life, it is a beautiful adventure", "I hate my life, it is a painful burden"),
    ("Looking back on this year, I feel grateful", "Looking back on this year, I feel regretful"),
    ("The news filled the whole town with happiness", "The news filled the whole town with despair"),
];
const LAYER: u32 = 18;
const STRENGTH: f32 = 0.15;

/// Log probabilities of the next token at every place of each text.
fn log_probs(engine: &mut Engine, texts: &[Vec<u32>], edits: &[Edit]) -> Vec<Vec<Vec<f64>>> {
    let mut found = vec![Vec::new(); texts.len()];
    let what = Harvest { prompts: texts, sites: &[Site::Logits], rows: TapRows::All, edits };
    let sink = |reading: tiller_engine::Reading<'_>| {
        let most = reading.values.iter().copied().fold(f32::MIN, f32::max);
        let sum: f64 = reading.values.iter().map(|&x| f64::from(x - most).exp()).sum();
        found[reading.prompt].push(reading.values.iter().map(|&x| f64::from(x - most) - sum.ln()).collect());
    };
    pollster::block_on(engine.harvest(&what, &(), |_, _| {}, sink)).expect("the texts are short");
    found
}

/// The mean log odds of the cheerful texts against the gloomy ones, from their second token on.
fn log_odds(texts: &[Vec<u32>], found: &[Vec<Vec<f64>>]) -> f64 {
    let of_text = |(text, places): (&Vec<u32>, &Vec<Vec<f64>>)| -> f64 {
        text[1..].iter().zip(places).map(|(&next, place)| place[next as usize]).sum()
    };
    let sums: Vec<f64> = texts.iter().zip(found).map(of_text).collect();
    sums.chunks(2).map(|pair| pair[0] - pair[1]).sum::<f64>() / (sums.len() / 2) as f64
}

/// Kullback-Leibler divergence of the second from the first, mean over all places, in nats.
fn divergence(of: &[Vec<Vec<f64>>], from: &[Vec<Vec<f64>>]) -> f64 {
    let places = of.iter().flatten().zip(from.iter().flatten());
    let at: Vec<f64> = places.map(|(p, q)| p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum()).collect();
    at.iter().sum::<f64>() / at.len() as f64
}

#[test]
fn a_compact_vector_steers_as_the_whole_one_up_to_the_error_it_states() {
    let mut session = tiller_tests::load(BackendKind::Cpu, 1024);
    let tokens = |text: &str| session.tokens(&Prompt::Text(text.into())).unwrap();
    let pair =
        |(positive, negative): &(&str, &str)| TokenPair { positive: tokens(positive), negative: tokens(negative) };
    let pairs: Vec<TokenPair> = PAIRS.iter().map(pair).collect();
    let (making, judging) = pairs.split_at(4);
    let texts: Vec<Vec<u32>> = judging.iter().flat_map(|pair| [pair.positive.clone(), pair.negative.clone()]).collect();
    let engine = &mut session.engine;
    let made = extract(engine, VectorMethod::MeanDifference, making, &[LAYER], &(), |_, _| {});
    let made = pollster::block_on(made).unwrap().layers.remove(0);
    let whole = Direction::along(&made.direction).unwrap();
    let edit =
        |direction: &Direction| [Edit::add(Site::ResidPost(LAYER), direction.to_f32(), STRENGTH * made.typical_norm)];

    let plain = log_probs(engine, &texts, &[]);
    let steered = log_probs(engine, &texts, &edit(&whole));
    let effect = log_odds(&texts, &steered) - log_odds(&texts, &plain);
    assert!(effect > 1.0, "the vector steers: {effect}");
    // At most: the share of the effect that may be lost or added, and the divergence in nats. 0.05 nats is what a code of
    // vectors may cost at all.
    for (code, lost, nats) in [(Code::Q8, 0.005, 0.0005), (Code::Q4, 0.05, 0.01), (Code::Signs, 0.15, 0.05)] {
        let compact = whole.compacted(code);
        let (_, error) = compact.code().unwrap();
        let found = log_probs(engine, &texts, &edit(&compact));
        let off = (log_odds(&texts, &found) - log_odds(&texts, &plain)) / effect - 1.0;
        let nats_off = divergence(&steered, &found);
        println!("{code:?}: relative error {error:.4}, effect {off:+.4} of {effect:.2} nats, divergence {nats_off:.5}");
        assert!(off.abs() <= lost && nats_off <= nats, "{code:?}: {off} of the effect, {nats_off} nats");
    }
}
