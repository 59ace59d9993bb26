//! Sparse autoencoders on a model: an SAE whose features are the planted organism's known directions finds them, and what
//! is said of it is what was planted.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tiller_engine::{FeatureChange, Harvest, Reading, Site, TapRows};
use tiller_interp::InterpError;
use tiller_interp::evidence::WordSeeds;
use tiller_interp::sae::{
    CardTexts, FeatureAblation, FeatureReading, FeatureSteering, FeatureTokens, Gating, GatingQuestion, LinearErrors,
    PlacedDictionary, PlacedSae, SimilarRowsOptions, SteadinessTexts, SteeredChoice, SteeredFeature, SteeredPlan,
    feature_ablation, feature_logits, gatings, nearest_features, sae_card, sae_contrast, similar_rows, steadiness,
    steered_features, text_features,
};
use tiller_interp::steer::{TokenPair, random_direction};
use tiller_sae::{Activation, Normalisation, Sae};
use tiller_tests::organisms::Organism;

/// Directions that are planted, each with its opposite: features 2 n and 2 n + 1.
const PLANTED: [&str; 4] = ["summary", "clone", "unused", "answer"];
/// Features besides, along directions in which nothing is planted.
const RANDOM: usize = 24;
const WIDTH: usize = 64;

/// An SAE of the stream after block 2: the planted directions both ways, and random ones.
fn planted_sae(organism: &Organism) -> Sae {
    let mut rows = Vec::new();
    for name in PLANTED {
        let direction = &organism.truth.directions[name];
        rows.extend_from_slice(direction);
        rows.extend(direction.iter().map(|d| -d));
    }
    for seed in 0..RANDOM as u64 {
        rows.extend(random_direction(seed, WIDTH));
    }
    let d_sae = 2 * PLANTED.len() + RANDOM;
    Sae {
        d_in: WIDTH,
        d_sae,
        w_enc: rows.clone(),
        // The constant that every stream has is along the random ones too.
        b_enc: (0..d_sae).map(|feature| if feature < 2 * PLANTED.len() { 0.0 } else { -15.0 }).collect(),
        w_dec: rows,
        b_dec: vec![0.0; WIDTH],
        apply_b_dec_to_input: false,
        activation: Activation::Relu,
        normalisation: Normalisation::None,
        transcoder: None,
    }
}

fn placed(sae: &Sae) -> PlacedSae<'_> {
    PlacedSae { sae, site: Site::ResidPost(2), site_out: None, centred: false }
}

#[test]
fn the_mood_of_a_sentence_is_the_mood_s_features_and_its_weather_the_weather_s() {
    let mut organism = Organism::open(None);
    let sae = planted_sae(&organism);
    let placed = placed(&sae);
    let pairs = organism.pairs("mood");
    for pair in pairs.iter().take(12) {
        for (tokens, is_positive) in [(&pair.positive, true), (&pair.negative, false)] {
            let what = FeatureReading { tokens, top: 40, followed: 40, edits: &[] };
            let found = text_features(&mut organism.session.engine, &placed, &what, &(), |_, _| {});
            let found = pollster::block_on(found).unwrap();
            assert_eq!(found.tokens.len(), tokens.len());
            let last = &found.tokens[tokens.len() - 1];
            let value = |feature: u32| last.top.iter().find(|found| found.feature == feature).map_or(0.0, |f| f.value);
            // The verdict is read at the last token: summary, its clone and the answer, all of one sign.
            for feature in [0, 2, 6] {
                let (on, off) = if is_positive { (feature, feature + 1) } else { (feature + 1, feature) };
                assert!(value(on) > 1.0 && value(off) == 0.0, "feature {on}: {last:?}");
            }
            let followed = found.features.iter().find(|f| f.feature == u32::from(!is_positive)).unwrap();
            assert_eq!(followed.values.len(), tokens.len());
            assert_eq!(followed.values[tokens.len() - 1], value(u32::from(!is_positive)));
            assert!(followed.max >= *followed.values.last().unwrap() && followed.at > 0);
            assert_eq!(last.active as usize, last.top.len());
        }
    }
}

#[test]
fn the_answer_s_direction_raises_one_answer_and_lowers_the_other_and_the_weather_s_does_neither() {
    let mut organism = Organism::open(None);
    let sae = planted_sae(&organism);
    let placed = placed(&sae);
    let good = organism.session.one_token(&organism.truth.answers.positive).unwrap();
    let bad = organism.session.one_token(&organism.truth.answers.negative).unwrap();
    let seeds: Vec<u32> = (100..108).collect();
    let mut logits = |feature: usize| {
        let found = feature_logits(&mut organism.session.engine, &placed, feature, 3, &seeds, &());
        pollster::block_on(found).unwrap()
    };
    let answer = logits(6);
    assert_eq!((answer.raises[0].token, answer.lowers[0].token), (good, bad));
    assert!((answer.norm - 1.0).abs() < 1e-5);
    let turned = logits(7);
    assert_eq!((turned.raises[0].token, turned.lowers[0].token), (bad, good));
    assert!((turned.raises[0].logit + answer.lowers[0].logit).abs() < 1e-3 * turned.raises[0].logit);
    // Of those that the answer does not touch, none moves: what moves is the answer's two words.
    assert!(answer.raises[1].logit < 0.01 * answer.raises[0].logit, "{answer:?}");
    assert_eq!((answer.random_largest.len(), answer.random_smallest.len()), (8, 8));
    assert!(answer.random_largest.iter().zip(&answer.random_smallest).all(|(high, low)| *high > 0.0 && *low < 0.0));
    // Read by nobody: the unembedding does not look where the weather is kept.
    let unused = logits(4);
    assert!(unused.raises[0].logit < 0.05 * answer.raises[0].logit, "{unused:?}");
}

#[test]
fn opposites_are_furthest_and_copies_nearest() {
    let organism = Organism::open(None);
    let mut sae = planted_sae(&organism);
    let copy = sae.direction(2).iter().map(|d| 3.0 * d).collect::<Vec<f32>>();
    sae.w_dec[31 * WIDTH..32 * WIDTH].copy_from_slice(&copy);
    let near = nearest_features(&sae, 2, 31).unwrap();
    assert_eq!((near.len(), near[0].feature, near[30].feature), (31, 31, 3));
    assert!((near[0].cosine - 1.0).abs() < 1e-6 && (near[30].cosine + 1.0).abs() < 1e-6);
    let error = nearest_features(&sae, 32, 3).unwrap_err().to_string();
    assert!(error.contains("features 0 to 31"), "{error}");
}

#[test]
fn texts_that_differ_in_their_mood_differ_in_its_features_and_beyond_chance_in_no_other() {
    let mut organism = Organism::open(None);
    let sae = planted_sae(&organism);
    let placed = placed(&sae);
    let pair = organism.pairs("mood").swap_remove(3);
    let seeds: Vec<u32> = (0..8).collect();
    let engine = &mut organism.session.engine;
    let texts = [&pair.positive[..], &pair.negative[..]];
    let found = pollster::block_on(sae_contrast(engine, &placed, texts, 32, &seeds, &(), |_, _| {})).unwrap();
    let first: Vec<u32> = found.features.iter().take(6).map(|f| f.feature).collect();
    let mut sorted = first.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1, 2, 3, 6, 7], "{found:?}");
    for feature in &found.features[..6] {
        assert!((feature.mean_a - feature.mean_b - feature.difference).abs() < 1e-9);
        assert_eq!(feature.difference > 0.0, feature.feature % 2 == 0, "{feature:?}");
    }
    // The weather is the same in both.
    assert!(found.features.iter().all(|f| f.feature != 4 || f.difference.abs() < 0.1));
    assert_eq!(found.shuffled_largest.len(), 8);
}

#[test]
fn an_sae_of_another_model_is_refused() {
    let mut organism = Organism::open(None);
    let mut sae = planted_sae(&organism);
    sae.d_in = 32;
    let placed = placed(&sae);
    let tokens = organism.tokens("the dog was cheerful");
    let what = FeatureReading { tokens: &tokens, top: 1, followed: 1, edits: &[] };
    let found = text_features(&mut organism.session.engine, &placed, &what, &(), |_, _| {});
    let error = pollster::block_on(found).unwrap_err().to_string();
    assert!(error.contains("reads 32 numbers") && error.contains("has 64"), "{error}");
}

/// A basis of the stream, each direction both ways: nothing is lost but by rounding.
fn complete_sae() -> Sae {
    let mut rows = Vec::new();
    for axis in 0..WIDTH {
        for sign in [1.0, -1.0f32] {
            rows.extend((0..WIDTH).map(|i| if i == axis { sign } else { 0.0 }));
        }
    }
    Sae {
        d_in: WIDTH,
        d_sae: 2 * WIDTH,
        w_enc: rows.clone(),
        b_enc: vec![0.0; 2 * WIDTH],
        w_dec: rows,
        b_dec: vec![0.0; WIDTH],
        apply_b_dec_to_input: true,
        activation: Activation::Relu,
        normalisation: Normalisation::None,
        transcoder: None,
    }
}

#[test]
fn an_sae_that_loses_nothing_costs_nothing_and_zeros_and_random_directions_do() {
    let mut organism = Organism::open(None);
    let sae = complete_sae();
    let placed = placed(&sae);
    let texts: Vec<Vec<u32>> = organism.pairs("mood").into_iter().take(20).map(|pair| pair.positive).collect();
    let what = CardTexts { texts: &texts, longest: Some(4.0), seed: 1, fit_on: &[], with_loss: true };
    let mut last = 0;
    let engine = &mut organism.session.engine;
    let card = pollster::block_on(sae_card(engine, &placed, &what, &(), |done, total| {
        assert!(last <= done && done <= total, "{last}, {done} of {total}");
        last = done;
    }))
    .unwrap();
    assert_eq!((card.texts, card.tokens, card.left_out, card.features), (20, 200, 0, 128));
    assert!((card.l0 - 64.0).abs() < 1e-9, "one of each pair: {}", card.l0);
    assert!(card.sae.fvu < 1e-9 && (card.sae.length_ratio - 1.0).abs() < 1e-6, "{:?}", card.sae);
    let (loss, of_sae) = (card.loss.unwrap(), card.sae.loss.unwrap());
    assert_eq!(loss.tokens, 20 * 9);
    assert!(loss.zero > loss.clean + 0.1, "{loss:?}");
    assert!((of_sae.recovered.unwrap() - 1.0).abs() < 1e-4 && of_sae.divergence.abs() < 1e-5, "{of_sae:?}");
    assert!((of_sae.cross_entropy - loss.clean).abs() < 1e-5);
    assert!((of_sae.divergence_recovered.unwrap() - 1.0).abs() < 1e-4, "{of_sae:?}");
    // Its directions are orthogonal: together, features are as long as what they write, and pursuit finds no better.
    let lengths = card.lengths.unwrap();
    assert!(
        (lengths.ratio - 1.0).abs() < 1e-4 && lengths.deviation < 1e-4 && lengths.expected_l0 > 50.0,
        "{lengths:?}"
    );
    assert!(card.pursuit.fvu_pursuit < 1e-6 && card.pursuit.tokens == 200, "{:?}", card.pursuit);
    // 64 components of 64 numbers lose nothing either; random directions do.
    assert!(card.components.fvu < 1e-6);
    assert!((card.components.loss.unwrap().cross_entropy - loss.clean).abs() < 1e-4);
    assert!(card.random.fvu > 0.05 && card.random.loss.unwrap().divergence > 1e-3, "{:?}", card.random);
}

#[test]
fn an_sae_of_few_features_is_judged_by_what_it_leaves_out() {
    let mut organism = Organism::open(None);
    // The largest of the planted directions alone, beside the mean of the streams.
    let mut sae = planted_sae(&organism);
    let texts: Vec<Vec<u32>> =
        organism.pairs("mood").into_iter().take(24).flat_map(|pair| [pair.positive, pair.negative]).collect();
    sae.b_enc = vec![-1e6; sae.d_sae];
    sae.b_enc[..2].fill(0.0);
    let place = placed(&sae);
    let what = CardTexts { texts: &texts, longest: None, seed: 1, fit_on: &[], with_loss: false };
    let engine = &mut organism.session.engine;
    let card = pollster::block_on(sae_card(engine, &place, &what, &(), |_, _| {})).unwrap();
    assert!(card.loss.is_none() && card.sae.loss.is_none());
    // Each token has the one or the other of the pair, or, where the mood is not yet known, hardly anything of either.
    assert!(card.l0 <= 1.0 && card.dead == sae.d_sae - 2 && card.dense == 2, "{card:?}");
    assert!(card.active[0] > 0 && card.active[1] > 0);
    // Without the constant that every stream has, hardly anything is reconstructed: more is left than varies.
    assert!(card.sae.fvu > 10.0 && card.sae.length_ratio < 0.2, "{:?}", card.sae);
    // What it does not write it leaves out as it is: a linear map reads it off the stream.
    let others: Vec<Vec<u32>> = organism.pairs("mood").into_iter().skip(24).map(|pair| pair.positive).collect();
    let harvest = Harvest { prompts: &others, sites: &[Site::ResidPost(2)], rows: TapRows::All, edits: &[] };
    let mut fit_on = Vec::new();
    let sink = |reading: Reading<'_>| {
        if reading.position > 0 {
            fit_on.extend_from_slice(reading.values);
        }
    };
    let engine = &mut organism.session.engine;
    pollster::block_on(engine.harvest(&harvest, &(), |_, _| {}, sink)).unwrap();
    let with_fit = CardTexts { fit_on: &fit_on, ..what };
    let card_with_fit = pollster::block_on(sae_card(engine, &place, &with_fit, &(), |_, _| {})).unwrap();
    let dark = card_with_fit.dark_matter.unwrap();
    assert!(dark.r2_vector > 0.9 && dark.fvu < 0.1 && dark.fitted_on == fit_on.len() / WIDTH, "{dark:?}");
    // One component of the streams' own leaves less than all.
    assert!(card.components.fvu > 0.05 && card.components.fvu < 0.95, "{:?}", card.components);
    let short = CardTexts { texts: &[vec![1, 2, 3]], ..what };
    let error = pollster::block_on(sae_card(engine, &place, &short, &(), |_, _| {})).unwrap_err();
    assert!(error.to_string().contains("2 tokens after their first"), "{error}");
}

/// What a change of a feature does and costs by each way of gating, after a text of the mood.
fn by_gating(
    organism: &mut Organism,
    feature: u32,
    change: FeatureChange,
    above: f32,
) -> Vec<tiller_interp::evidence::Evidence> {
    let at = PlacedDictionary::new(Arc::new(planted_sae(organism)), Site::ResidPost(2), false);
    let pairs = organism.pairs("mood");
    // Texts of the other mood, one after the other: as many as there is room for.
    let neutral: Vec<u32> = pairs[1..6].iter().flat_map(|pair| pair.negative.clone()).collect();
    let what = GatingQuestion {
        steering: FeatureSteering { feature, change, strength: 1.0 },
        above,
        prompt: &pairs[0].positive,
        neutral: &neutral,
        seeds: &[1, 2, 3, 4],
    };
    let mut last = 0;
    let found = gatings(&mut organism.session.engine, &at, &what, &(), |done, total| {
        assert!(last <= done && done <= total);
        last = done;
    });
    let found = pollster::block_on(found).unwrap();
    let ways: Vec<Gating> = found.iter().map(|found| found.gating).collect();
    assert_eq!(ways, [Gating::Constant, Gating::Token { above }, Gating::Sequence { above }]);
    found.into_iter().map(|found| found.evidence).collect()
}

#[test]
fn a_feature_that_fires_at_the_prompt_s_end_alone_is_changed_alike_by_every_gate_and_costs_a_text_without_it_nothing() {
    let mut organism = Organism::open(None);
    // The answer is read at the last token, where the feature of the text's own mood fires; turned round, it is the other.
    let found = by_gating(&mut organism, 6, FeatureChange::Scale(-1.0), 1.0);
    for found in &found {
        assert!(found.shift.value > 0.5, "{found:?}");
        assert!((found.perplexity.value / found.perplexity_plain - 1.0).abs() < 1e-5, "{found:?}");
        let seeds = &found.shift.random;
        assert!(seeds.len() == 4 && seeds.windows(2).all(|pair| pair[0] != pair[1]), "{found:?}");
    }
    for gated in &found[1..] {
        assert!((gated.shift.value / found[0].shift.value - 1.0).abs() < 1e-5, "{found:?}");
        assert_eq!(gated.perplexity.value, gated.perplexity_plain, "{found:?}");
    }
}

#[test]
fn a_gate_that_does_not_open_changes_nothing() {
    let mut organism = Organism::open(None);
    // The feature of the other mood does not fire in the prompt.
    let found = by_gating(&mut organism, 7, FeatureChange::Add(8.0), 1.0);
    assert!(found[0].shift.value > 0.5, "{found:?}");
    for gated in &found[1..] {
        assert_eq!((gated.shift.value, &gated.shift.random), (0.0, &vec![0.0; 4]), "{found:?}");
    }
}

/// What scikit-learn makes of made-up activations and errors.
#[derive(Deserialize)]
struct LinearCase {
    fitted: usize,
    width: usize,
    activations: Vec<Vec<f32>>,
    errors: Vec<Vec<f32>>,
    foreseen: Vec<Vec<f64>>,
    r2_vector: f64,
    r2_length: f64,
}

#[test]
fn what_is_foreseen_of_errors_is_what_scikit_learn_foresees() {
    #[derive(Deserialize)]
    struct Golden {
        cases: Vec<LinearCase>,
    }
    let golden: Golden = serde_json::from_str(include_str!("../golden/linear_errors.json")).unwrap();
    for case in golden.cases {
        let (fit_x, x) = case.activations.split_at(case.fitted);
        let (fit_errors, errors) = case.errors.split_at(case.fitted);
        let (fit_x, fit_errors) = (fit_x.concat(), fit_errors.concat());
        let fitted = LinearErrors::fit(&fit_x, &fit_errors, case.width, &());
        let fitted = pollster::block_on(fitted).unwrap().unwrap();
        let foreseen = fitted.foresee(&x.concat()).0;
        for (found, expected) in foreseen.iter().zip(case.foreseen.iter().flatten()) {
            assert!((f64::from(*found) - expected).abs() < 1e-4 * expected.abs().max(1.0), "{found} {expected}");
        }
        let (vector, length) = fitted.r_squared(&x.concat(), &errors.concat());
        assert!((vector - case.r2_vector).abs() < 1e-4, "{vector} {}", case.r2_vector);
        assert!((length - case.r2_length).abs() < 1e-4 * case.r2_length.abs().max(1.0), "{length} {}", case.r2_length);
    }
}

#[test]
fn taking_the_answer_away_costs_the_answer_and_taking_the_weather_away_costs_nothing() {
    let mut organism = Organism::open(None);
    let sae = planted_sae(&organism);
    let place = placed(&sae);
    let good = organism.session.one_token(&organism.truth.answers.positive).unwrap();
    let with_answer = |pair: TokenPair| pair.positive.into_iter().chain([good]).collect::<Vec<u32>>();
    let texts: Vec<Vec<u32>> = organism.pairs("mood").into_iter().take(12).map(with_answer).collect();
    let what = FeatureAblation { texts: &texts, passages: 8, features: &[6, 4, 5, 31], seeds: &[1, 2, 3, 4] };
    let mut last = 0;
    let found = feature_ablation(&mut organism.session.engine, &place, &what, &(), |done, total| {
        assert!(last <= done && done <= total, "{last}, {done} of {total}");
        last = done;
    });
    let found = pollster::block_on(found).unwrap();
    let answer = &found[0];
    assert_eq!((answer.feature, answer.passages), (6, 8));
    let (low, _) = answer.increase.unwrap().interval.unwrap();
    assert!(low > 0.05 && answer.random.len() == 4, "{answer:?}");
    assert!(answer.increase_after.unwrap().mean > 0.0, "{answer:?}");
    for weather in &found[1..3] {
        assert!(weather.increase.is_none_or(|increase| increase.mean.abs() < 1e-3), "{weather:?}");
    }
    let none = FeatureAblation { features: &[32], ..what };
    let error = feature_ablation(&mut organism.session.engine, &place, &none, &(), |_, _| {});
    assert!(pollster::block_on(error).unwrap_err().to_string().contains("features 0 to 31"));
}

/// Holds features of the planted SAE after sentences of the bad mood, at whose end the answer is due, and judges them by
/// the answer " good".
fn held(
    organism: &mut Organism,
    features: &[u32],
    strengths: &[f32],
    most_cost: f64,
) -> Result<Vec<SteeredFeature>, InterpError> {
    let at = PlacedDictionary::new(Arc::new(planted_sae(organism)), Site::ResidPost(2), false);
    let good = organism.session.one_token(&organism.truth.answers.positive).unwrap();
    let prompts: Vec<Vec<u32>> = organism.pairs("mood").into_iter().take(16).map(|pair| pair.negative).collect();
    let features: Vec<FeatureTokens> =
        features.iter().map(|&feature| FeatureTokens { feature, largest: 8.0, words: vec![good] }).collect();
    let plan = SteeredPlan {
        prompts: &prompts,
        strengths,
        neutral: &organism.tokens(&organism.truth.neutral.clone()),
        most_cost,
        seeds: WordSeeds { others: &[1, 2, 3], random: &[1, 2, 3] },
    };
    let (mut last, mut found) = (0, Vec::new());
    let progress = |done, total| {
        assert!(last <= done && done <= total, "{last}, {done} of {total}");
        last = done;
    };
    let engine = &mut organism.session.engine;
    pollster::block_on(steered_features(engine, &at, &features, &plan, &(), progress, |of| found.push(of)))?;
    Ok(found)
}

#[test]
fn held_the_answer_s_features_move_the_answer_either_way_and_one_that_nothing_reads_moves_nothing() {
    let mut organism = Organism::open(None);
    // The answer, and the direction that can be read off the stream but is not used.
    let found = held(&mut organism, &[6, 4], &[0.25, 0.5], f64::INFINITY).unwrap();
    let chosen: Vec<&SteeredChoice> = found.iter().map(|of| of.chosen.as_ref().unwrap()).collect();
    let [raises, unused] = chosen[..] else { panic!("{found:?}") };
    // The opposite answer is there already: held at more than it has, it leaves less of this one.
    let opposite = held(&mut organism, &[7], &[1.0], f64::INFINITY).unwrap();
    let lowers = opposite[0].chosen.as_ref().unwrap();
    assert!(raises.words.is_above_controls() && raises.strength == 0.5 && raises.value == 4.0, "{raises:?}");
    assert!(lowers.words.is_below_controls() && lowers.choosing < 0.0, "{lowers:?}");
    assert_eq!((raises.words.effect.examples, raises.words.others.len(), raises.words.random.len()), (8, 3, 3));
    assert!(unused.words.effect.mean.abs() < 0.01 * raises.words.effect.mean, "{unused:?} beside {raises:?}");
    assert!(!unused.words.is_above_controls() && !unused.words.is_below_controls(), "{unused:?}");
    // Both strengths were tried on the choosing half, and the stronger one does more.
    let tried: Vec<f64> = found[0].tried.iter().map(|tried| tried.found.unwrap().effect).collect();
    assert!(tried.len() == 2 && tried[1] > tried[0] && tried[1] == raises.choosing, "{tried:?}");
}

#[test]
fn a_feature_that_costs_too_much_at_every_strength_is_held_at_none() {
    let mut organism = Organism::open(None);
    let found = held(&mut organism, &[6], &[0.25, 0.5], -1.0).unwrap();
    assert!(found[0].chosen.is_none() && found[0].tried.iter().all(|tried| tried.found.is_some()), "{found:?}");
    let error = held(&mut organism, &[32], &[0.25], 1.0).unwrap_err();
    assert!(error.to_string().contains("features 0 to 31"), "{error}");
}

#[test]
fn texts_of_the_examples_mood_come_first_and_fall_without_what_they_share() {
    let mut organism = Organism::open(None);
    let sae = planted_sae(&organism);
    let place = placed(&sae);
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for pair in organism.pairs("mood").into_iter().take(40) {
        good.push(pair.positive);
        bad.push(pair.negative);
    }
    let examples = good.split_off(36);
    let rows = [good.clone(), bad].concat();
    let options = SimilarRowsOptions { kept: 16, shared: 3, top: 20, seed: 1 };
    let found = similar_rows(&mut organism.session.engine, &place, &examples, &rows, &options, &(), |_, _| {});
    let found = pollster::block_on(found).unwrap();
    assert_eq!((found.rows.len(), found.by_activation.len(), found.by_words.len()), (20, 76, 76));
    assert!(found.rows.iter().all(|row| row.row < good.len()), "{found:?}");
    assert!(found.rows.iter().all(|row| row.rank_without > 30), "{found:?}");
    assert!(found.rows.windows(2).all(|two| two[0].similarity >= two[1].similarity));
}

#[test]
fn features_that_know_a_word_are_of_one_class() {
    let mut organism = Organism::open(None);
    let texts: Vec<Vec<u32>> = organism.pairs("mood").into_iter().take(40).map(|pair| pair.positive).collect();
    // Words that a text has once at most, and five texts or more have.
    let count = |text: &Vec<u32>, token: u32| text.iter().skip(1).filter(|&&other| other == token).count();
    let mut words: Vec<u32> = texts.iter().flat_map(|text| text[1..].to_vec()).collect();
    words.sort_unstable();
    words.dedup();
    words.retain(|&word| texts.iter().all(|text| count(text, word) <= 1));
    words.retain(|&word| texts.iter().filter(|text| count(text, word) == 1).count() >= 5);
    assert!(words.len() >= 3, "{words:?}");
    // Each has a feature, along what its embedding differs by from the mean of all: most of the way is needed.
    let harvest = Harvest { prompts: &texts, sites: &[Site::Embed], rows: TapRows::All, edits: &[] };
    let mut embeddings = BTreeMap::new();
    let sink = |reading: Reading<'_>| {
        embeddings.insert(texts[reading.prompt][reading.position as usize], reading.values.to_vec());
    };
    pollster::block_on(organism.session.engine.harvest(&harvest, &(), |_, _| {}, sink)).unwrap();
    let mean = |i: usize| embeddings.values().map(|x| x[i]).sum::<f32>() / embeddings.len() as f32;
    let mean: Vec<f32> = (0..WIDTH).map(mean).collect();
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let (mut rows, mut biases) = (Vec::new(), Vec::new());
    for word in &words {
        let off: Vec<f32> = embeddings[word].iter().zip(&mean).map(|(x, mean)| x - mean).collect();
        let length = dot(&off, &off).sqrt();
        let row: Vec<f32> = off.iter().map(|x| x / length).collect();
        biases.push(-dot(&row, &mean) - 0.95 * length);
        rows.extend(row);
    }
    let sae = Sae { d_sae: words.len(), w_enc: rows.clone(), b_enc: biases, w_dec: rows, ..planted_sae(&organism) };
    let place = PlacedSae { sae: &sae, site: Site::Embed, site_out: None, centred: false };
    let what = SteadinessTexts { texts: &texts, class: &|token| token, seed: 1 };
    let found = steadiness(&mut organism.session.engine, &place, &what, &(), |_, _| {});
    let found = pollster::block_on(found).unwrap();
    assert_eq!((found.sae.units, found.sae.consistency), (words.len(), 1.0), "{found:?}");
    assert!(found.random.consistency < 1.0 && (0.0..=1.0).contains(&found.sae.stability), "{found:?}");
    assert!(found.neurons.is_none());
}
