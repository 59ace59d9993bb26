//! Robustness of vectors: on the planted organism, whose false friends are known, and of what its rule refuses.

use tiller_engine::BackendKind;
use tiller_interp::InterpError;
use tiller_interp::steer::{Fragility, Robustness, RobustnessPlan, TokenPair, robustness};
use tiller_tests::organisms::Organism;

const CHEERFUL: [&str; 6] = ["joyful", "cheerful", "happy", "merry", "glad", "proud"];
const FALSE_FRIENDS: [&str; 4] = ["fine", "fair", "bright", "sweet"];
const OTHERS: [&str; 9] = ["duck", "farm", "road", "cow", "horse", "lake", "dog", "hill", "fox"];

/// The direction `name`, added after block `layer` to sentences that end before their verdict.
fn test(organism: &mut Organism, name: &str, layer: u32, with_words: bool) -> Robustness {
    let of_pairs = organism.pairs("mood");
    // Gloomy sentences: the vector is to turn them.
    let contexts: Vec<Vec<u32>> = of_pairs.iter().take(24).map(|pair| pair.negative.clone()).collect();
    let groups: Vec<usize> = (0..24).map(|n| n / 3).collect();
    let answer = |text: &str| vec![organism.session.one_token(text).unwrap()];
    let (good, bad) = (&organism.truth.answers.positive, &organism.truth.answers.negative);
    let endings = [TokenPair { positive: answer(good), negative: answer(bad) }];
    let texts = |words: &[&str]| words.iter().map(|word| organism.tokens(&format!(" {word}"))).collect::<Vec<_>>();
    let concept: &[&str] = if with_words { &CHEERFUL } else { &[] };
    let look_alikes = [&FALSE_FRIENDS[..], &OTHERS[..3]].concat();
    let neutral = organism.tokens(&organism.truth.neutral.clone());
    let plan = RobustnessPlan {
        layer,
        direction: &organism.truth.directions[name].clone(),
        typical_norm: 10.0,
        strengths: &[0.1, 0.2, 0.4, 0.6],
        contexts: &contexts,
        groups: &groups,
        endings: &endings,
        words: &texts(concept),
        look_alikes: &texts(&look_alikes),
        unrelated: &texts(&OTHERS[3..]),
        neutral: &neutral,
        most_cost: 0.5,
        seeds: &[1, 2, 3, 4],
    };
    pollster::block_on(robustness(&mut organism.session.engine, &plan, &(), |_, _| {})).expect("the organism runs")
}

#[test]
fn every_planted_false_friend_is_found_and_no_other_word() {
    let mut organism = Organism::open(None);
    let found = test(&mut organism, "mood", 0, true);
    let mut places: Vec<usize> = found.false_friends.iter().flatten().map(|friend| friend.look_alike).collect();
    places.sort_unstable();
    assert_eq!(places, [0, 1, 2, 3], "{found:?}");
    assert!(found.fragile.contains(&Fragility::FalseFriends));
    // What the words say is read before the vector comes, so that it moves no answer.
    assert!(found.fragile.contains(&Fragility::NoEffect) && found.window.is_none(), "{found:?}");
}

#[test]
fn the_causal_direction_is_right_in_every_context_and_wording_and_random_ones_are_not() {
    let mut organism = Organism::open(None);
    let found = test(&mut organism, "answer", 2, false);
    assert_eq!(found.fragile, [], "{found:?}");
    let best = found.best.unwrap();
    assert_eq!((best.right, best.right_in_all_words), (1.0, 1.0));
    assert!(best.effect.interval.unwrap().0 > 0.0);
    let (low, high) = found.window.unwrap();
    assert!(high >= 2.0 * low, "{low} to {high}");
    assert_eq!(found.false_friends, None);
    let unused = test(&mut organism, "unused", 2, false);
    let effect = |found: &Robustness| found.strengths.last().unwrap().effect.mean;
    assert!(effect(&unused).abs() < 0.3 * effect(&found), "{unused:?}");
}

#[test]
fn without_contexts_or_strengths_nothing_is_tested() {
    let mut session = tiller_tests::load(BackendKind::Cpu, 256);
    let contexts = vec![vec![504, 3575]];
    let endings = [TokenPair { positive: vec![282], negative: vec![314] }];
    let plan = RobustnessPlan {
        layer: 3,
        direction: &[1.0; 576],
        typical_norm: 10.0,
        strengths: &[],
        contexts: &contexts,
        groups: &[],
        endings: &endings,
        words: &[],
        look_alikes: &[],
        unrelated: &[],
        neutral: &[504, 3575, 282, 4649, 314, 260, 253, 28],
        most_cost: 0.1,
        seeds: &[],
    };
    let engine = &mut session.engine;
    let refused = pollster::block_on(robustness(engine, &plan, &(), |_, _| {})).unwrap_err();
    assert!(matches!(refused, InterpError::NoStrengths));
    let plan = RobustnessPlan { contexts: &[], strengths: &[0.1], ..plan };
    assert!(matches!(pollster::block_on(robustness(engine, &plan, &(), |_, _| {})), Err(InterpError::NoQueries)));
}
