//! The planted organism does what its script says, and the methods find what is planted, and what is not.

use tiller_engine::{Edit, Operation, Part, Site};
use tiller_interp::steer::{TokenPair, VectorMethod, extract, random_direction};
use tiller_tests::organisms::Organism;

/// Of an added vector: half of what a mood adds to the stream.
const LENGTH: f32 = 1.5;

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// All the concept's texts.
fn prompts(organism: &Organism, concept: &str) -> Vec<Vec<u32>> {
    organism.pairs(concept).into_iter().flat_map(|pair| [pair.positive, pair.negative]).collect()
}

/// The largest mean effect of eight random directions.
fn random_effect(organism: &mut Organism, prompts: &[Vec<u32>], block: u32) -> f32 {
    let effects = (0..8).map(|seed| organism.moved_by(prompts, block, &random_direction(seed, 64), LENGTH).abs());
    effects.fold(0.0, f32::max)
}

#[test]
fn every_word_is_one_token_and_the_mood_decides_the_answer() {
    let mut organism = Organism::open(None);
    let pairs = organism.pairs("mood");
    assert_eq!(pairs.len(), 144);
    assert!(pairs.iter().all(|pair| pair.positive.len() == 11 && pair.negative.len() == 11));
    let verdict = |organism: &mut Organism, texts: Vec<Vec<u32>>| organism.verdicts(&texts, &[]);
    let positive = verdict(&mut organism, pairs.iter().map(|pair| pair.positive.clone()).collect());
    let negative = verdict(&mut organism, pairs.iter().map(|pair| pair.negative.clone()).collect());
    assert!(positive.iter().all(|&x| x > 2.0) && negative.iter().all(|&x| x < -2.0), "{positive:?} {negative:?}");
}

#[test]
fn false_friends_do_not_move_the_answer() {
    let mut organism = Organism::open(None);
    let friends: Vec<Vec<u32>> = organism.truth.false_friends.iter().map(|text| organism.tokens(text)).collect();
    // A gloomy sentence with "fine" in it is as gloomy as any.
    let verdicts = organism.verdicts(&friends, &[]);
    assert!(verdicts.iter().all(|&x| x < -2.0), "{verdicts:?}");
}

#[test]
fn causal_directions_move_the_answer_and_the_others_do_no_more_than_random_ones() {
    let mut organism = Organism::open(None);
    let prompts = prompts(&organism, "mood");
    let causal = organism.truth.causal.after_block.clone();
    for (block, causal) in causal.iter().enumerate() {
        let random = random_effect(&mut organism, &prompts, block as u32);
        for (name, direction) in organism.truth.directions.clone() {
            let effect = organism.moved_by(&prompts, block as u32, &direction, LENGTH);
            if causal.contains(&name) {
                assert!(effect > 1.8 * random, "{name} after {block}: {effect}, random {random}");
            } else {
                assert!(effect.abs() < 1.2 * random, "{name} after {block}: {effect}, random {random}");
            }
        }
    }
}

#[test]
fn the_mean_difference_finds_what_is_planted_used_or_not() {
    let mut organism = Organism::open(None);
    for concept in ["mood", "weather"] {
        let pairs = organism.pairs(concept);
        let layers: Vec<u32> = (0..4).collect();
        let extraction =
            extract(&mut organism.session.engine, VectorMethod::MeanDifference, &pairs, &layers, &(), |_, _| {});
        let extraction = pollster::block_on(extraction).expect("the pairs run");
        for layer in &extraction.layers {
            assert_eq!(layer.separability.expect("there are many pairs").accuracy, 1.0, "{concept} {}", layer.layer);
            // What moves with the mood by then: itself, its clone, its copy.
            let truth = &organism.truth.directions;
            let planted: &[&str] = match (concept, layer.layer) {
                ("weather", _) => &["unused"],
                (_, 0) => &["summary"],
                (_, 1) => &["summary", "clone"],
                _ => &["summary", "clone", "answer"],
            };
            let within: f32 =
                planted.iter().map(|name| cosine(&layer.direction, &truth[*name]).powi(2)).sum::<f32>().sqrt();
            assert!(within > 0.97, "{concept} at {}: {within}", layer.layer);
            for name in planted {
                let cosine = cosine(&layer.direction, &truth[*name]);
                assert!(cosine > 0.4, "{concept} at {}, {name}: {cosine}", layer.layer);
            }
        }
        // Decodable to the last text, and the direction of the weather does nothing.
        let prompts = prompts(&organism, "mood");
        let found = &extraction.layers[1];
        let unit: Vec<f32> = found.direction.iter().map(|x| x / found.norm).collect();
        let effect = organism.moved_by(&prompts, 1, &unit, LENGTH);
        let random = random_effect(&mut organism, &prompts, 1);
        match concept {
            "mood" => assert!(effect > 1.8 * random, "{effect}, random {random}"),
            _ => assert!(effect.abs() < 1.2 * random, "{effect}, random {random}"),
        }
    }
}

#[test]
fn methods_that_look_for_what_the_sides_share_separate_pairs_they_have_not_seen_and_shuffled_ones_they_do_not() {
    let mut organism = Organism::open(None);
    let pairs = organism.pairs("mood");
    let swap = |(n, pair): (usize, &TokenPair)| match n.is_multiple_of(2) {
        true => pair.clone(),
        false => TokenPair { positive: pair.negative.clone(), negative: pair.positive.clone() },
    };
    let shuffled: Vec<TokenPair> = pairs.iter().enumerate().map(swap).collect();
    for method in VectorMethod::ALL {
        if method == VectorMethod::PcaDifference {
            continue;
        }
        let mut accuracy = |pairs: &[TokenPair]| {
            let made = extract(&mut organism.session.engine, method, pairs, &[1], &(), |_, _| {});
            pollster::block_on(made).expect("the pairs run").layers[0].separability.expect("they are many").accuracy
        };
        let (found, by_chance) = (accuracy(&pairs), accuracy(&shuffled));
        assert!(found == 1.0 && by_chance < 0.65, "{}: {found}, shuffled {by_chance}", method.name());
    }
}

#[test]
fn without_the_mover_there_is_no_mood() {
    let mut organism = Organism::open(None);
    let prompts = prompts(&organism, "mood");
    let plain = organism.verdicts(&prompts, &[]);
    for block in 0..4 {
        for head in 0..4 {
            let ablated = Edit::new(Site::Z(block), Operation::Zero { coefficient: 1.0 }).on(Part::Head(head));
            let ablated = organism.verdicts(&prompts, &[ablated]);
            let kept = ablated.iter().zip(&plain).filter(|(a, b)| a.signum() == b.signum()).count();
            let mover = organism.truth.movers["mood"];
            if (block, head) == (mover.block, mover.head) {
                // A guess: what is left of a verdict does not know the mood.
                assert!((0.35..0.65).contains(&(kept as f32 / plain.len() as f32)), "{kept} of {}", plain.len());
            } else {
                assert_eq!(kept, plain.len(), "block {block}, head {head}");
            }
        }
    }
}
