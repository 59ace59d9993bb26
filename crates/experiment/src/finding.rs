//! What running an experiment showed: a sentence with its figures and its control, and whether the one stands out from
//! the other.

use std::collections::BTreeMap;
use tiller_interp::attribution::{Attribution, Component};
use tiller_interp::evidence::{NeutralCost, WordEffect};
use tiller_interp::lens::LensLayer;
use tiller_interp::patch::{PatchBaseline, PatchCell};
use tiller_interp::probe::Sweep;
use tiller_interp::sae::TextFeatures;
use tiller_interp::steer::GridReport;
use tiller_recipe::{Finding, Shelved};
use tiller_sites::{PatchPlace, Site};

fn finding<const N: usize>(holds: Option<bool>, sentence: String, figures: [(&str, f64); N]) -> Finding {
    let figures: BTreeMap<String, f64> = figures.into_iter().map(|(name, value)| (name.into(), value)).collect();
    Finding { holds, sentence, figures }
}

/// Of a vector at one layer and strength, made of half of the pairs and measured on the others. It holds where the
/// interval leaves out zero, and random directions of equal length do less.
pub fn of_steering(found: &GridReport) -> Finding {
    let Some(chosen) = &found.chosen else {
        let sentence = "The vector does not make the positive texts likelier.".into();
        return finding(Some(false), sentence, []);
    };
    let effect = chosen.effect;
    let random = chosen.random.iter().map(|random| random.effect.abs()).fold(0.0, f64::max);
    let cost = 100.0 * (chosen.perplexity / found.perplexity_plain - 1.0);
    let (low, high) = effect.interval.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    let sentence = format!(
        "On {} pairs that it was not made of, the vector moves the odds between the two texts by {:+.1} nats \
         [{low:+.1}, {high:+.1}]; random directions of equal length by at most {random:.1}. It adds {cost:.0} % \
         to the perplexity of neutral text.",
        effect.examples, effect.mean
    );
    let figures = [
        ("effect_nats", effect.mean),
        ("interval_low", low),
        ("interval_high", high),
        ("largest_random_nats", random),
        ("added_perplexity_percent", cost),
    ];
    finding(Some(low > 0.0 && effect.mean > random), sentence, figures)
}

/// Of changes of features, on the words of a feature's label: what they do to the odds of those after beginnings of
/// sentences that had no part in choosing the changes. It holds where all of the interval is beyond every control.
pub fn of_feature_edits(label: &str, found: &WordEffect, cost: &NeutralCost) -> Finding {
    let (effect, furthest) = (found.effect, found.furthest_control());
    let added = 100.0 * (cost.perplexity / cost.perplexity_plain - 1.0);
    let (low, high) = effect.interval.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    let sentence = format!(
        "After {} beginnings of sentences, the change moves the odds of {label} by {:+.1} nats [{low:+.1}, {high:+.1}]; \
         steps as long along other features and random directions by at most {furthest:.1}. It adds {added:.0} % to the \
         perplexity of neutral text.",
        effect.examples, effect.mean
    );
    let figures = [
        ("effect_nats", effect.mean),
        ("interval_low", low),
        ("interval_high", high),
        ("furthest_control_nats", furthest),
        ("added_perplexity_percent", added),
    ];
    finding(Some(found.is_above_controls() || found.is_below_controls()), sentence, figures)
}

/// Of the first token that is followed, after the last token of the text. `layers`: the last block's output first, as the
/// lens gives them. It claims no effect.
pub fn of_lens(layers: &[LensLayer], followed: &str) -> Option<Finding> {
    let at = |layer: &LensLayer| layer.cells.last()?.watched.first().copied();
    let last = at(layers.first()?)?;
    // From this block to the last one, no token is likelier.
    let first = layers.iter().take_while(|layer| at(layer).is_some_and(|found| found.rank == 1)).last();
    let share = 100.0 * last.log_prob.exp();
    let block = first.and_then(|layer| match layer.site {
        Site::ResidPost(block) => Some(block),
        _ => None,
    });
    let course = match block {
        Some(block) => format!("no token is likelier from block {block} on"),
        None => format!("it is number {} in the end", last.rank),
    };
    let sentence = format!("{followed:?} has {share:.0} % after the last block; {course}.");
    let block = block.map_or(-1.0, f64::from);
    Some(finding(None, sentence, [("percent", share), ("rank", f64::from(last.rank)), ("first_block", block)]))
}

/// Of the cell that moves the answer most. It holds where its controls do less, and it carries at least half of the
/// difference. `columns` names tokens or heads.
pub fn of_patching(
    place: PatchPlace,
    baseline: &PatchBaseline,
    cells: &[PatchCell],
    columns: impl Fn(u32) -> String,
) -> Option<Finding> {
    let best = cells.iter().max_by(|a, b| a.effect.abs().total_cmp(&b.effect.abs()))?;
    let (share, control) = (100.0 * best.effect, 100.0 * best.band());
    let where_to = match place.is_by_head() {
        true => format!("head {} of block {}", best.column, best.layer),
        false => format!("block {} at {}", best.layer, columns(best.column)),
    };
    let sentence = format!(
        "{where_to} alone carries {share:.0} % of the difference of {:.1} between the two prompts; a random step of \
         equal length {control:.0} %.",
        baseline.clean - baseline.corrupt
    );
    let figures = [
        ("percent", share),
        ("largest_random_percent", control),
        ("layer", f64::from(best.layer)),
        ("column", f64::from(best.column)),
    ];
    finding(Some(best.effect.abs() > best.band() && best.effect.abs() >= 0.5), capitalised(sentence), figures).into()
}

/// Of the part that adds most to a difference of logits. It shows no cause, and so claims no effect.
pub fn of_attribution(found: &Attribution) -> Option<Finding> {
    let most = found.shares.iter().max_by(|a, b| a.value.total_cmp(&b.value))?;
    let part = match most.component {
        Component::Embedding => "the embedding".into(),
        Component::Head { layer, head } => format!("head {head} of block {layer}"),
        Component::AttentionBias { layer } => format!("the bias of block {layer}'s attention"),
        Component::Attention { layer } => format!("the attention of block {layer}"),
        Component::Mlp { layer } => format!("the MLP of block {layer}"),
        Component::FinalNormBias => "the final norm's bias".into(),
    };
    let sentence = format!(
        "The answer leads by {:.1}, the sum of {} parts; {part} adds most, {:+.1}.",
        found.logit_difference,
        found.shares.len(),
        most.value
    );
    finding(None, sentence, [("logit_difference", found.logit_difference), ("largest_part", most.value)]).into()
}

/// Of the layer that the validation texts choose, on the test texts. It holds where the interval leaves out the accuracy
/// of naming the commoner class, and shuffled labels do less.
pub fn of_probe(found: &Sweep) -> Finding {
    let best = found.best();
    let shuffled = best.shuffled.iter().copied().fold(0.0, f64::max);
    let test = &best.test;
    let percent = |share: f64| 100.0 * share;
    let block = match best.site {
        Site::ResidPost(block) => block,
        _ => 0,
    };
    let sentence = format!(
        "After block {block} the probe names {:.0} % of {} held-out texts rightly [{:.0}, {:.0}]; the commoner class \
         alone would give {:.0} %, and shuffled labels give at most {:.0} %.",
        percent(test.accuracy),
        test.texts,
        percent(test.interval.low),
        percent(test.interval.high),
        percent(found.majority),
        percent(shuffled)
    );
    let figures = [
        ("accuracy_percent", percent(test.accuracy)),
        ("interval_low", percent(test.interval.low)),
        ("interval_high", percent(test.interval.high)),
        ("majority_percent", percent(found.majority)),
        ("largest_shuffled_percent", percent(shuffled)),
        ("layer", f64::from(block)),
    ];
    finding(Some(test.interval.low > found.majority && test.accuracy > shuffled), sentence, figures)
}

/// Of a feature in a text, whose tokens are spelt in `texts`. It claims no effect.
pub fn of_feature(feature: u32, found: &TextFeatures, texts: &[String]) -> Finding {
    let Some(own) = found.features.iter().find(|own| own.feature == feature) else {
        return finding(None, format!("Feature {feature} is not active on this text."), [("active", 0.0)]);
    };
    let active = own.values.iter().skip(1).filter(|value| **value > 0.0).count();
    let at = texts.get(own.at as usize).map(String::as_str).unwrap_or_default();
    let sentence = format!(
        "Feature {feature} is active on {active} of {} tokens after the first, most on {at:?} ({:.1}).",
        texts.len().saturating_sub(1),
        own.max
    );
    finding(None, sentence, [("active", active as f64), ("max", own.max.into()), ("at", own.at.into())])
}

/// Of the two vectors that are most alike. It claims no effect. `None` for fewer than two of one width.
pub fn of_shelf(shelf: &[Shelved]) -> Option<Finding> {
    let pairs = shelf.iter().enumerate().flat_map(|(n, a)| shelf[n + 1..].iter().map(move |b| (&a.vector, &b.vector)));
    let cosines = pairs.filter_map(|(a, b)| Some((a, b, a.direction.cosine(&b.direction)?)));
    let (a, b, cosine) = cosines.max_by(|x, y| x.2.abs().total_cmp(&y.2.abs()))?;
    let width = a.direction.width() as f64;
    // Of two random directions the cosine has this standard deviation.
    let random = 1.0 / width.sqrt();
    let sentence = format!(
        "Most alike, or most opposed, are {} and {}: cosine {cosine:+.2}. Random directions of this width have about \
         {random:.2}.",
        a.name, b.name
    );
    finding(None, sentence, [("largest_cosine", cosine), ("random_cosine", random)]).into()
}

fn capitalised(sentence: String) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiller_interp::evidence::Estimate;
    use tiller_interp::steer::{GridChoice, GridReading};

    fn steering(values: &[f64], random: f64) -> GridReport {
        let reading = |effect| GridReading { effect, perplexity: 11.0, divergence: 0.1 };
        let effect = Estimate::of(values).unwrap();
        let chosen = GridChoice {
            layer: 3,
            strength: 0.2,
            effect,
            perplexity: 12.0,
            divergence: 0.2,
            random: vec![reading(0.1), reading(random)],
        };
        GridReport { perplexity_plain: 10.0, choosing: 5, possible: 0, cells: Vec::new(), chosen: Some(chosen) }
    }

    #[test]
    fn an_effect_holds_only_beyond_zero_and_beyond_its_controls() {
        let clear = of_steering(&steering(&[2.0, 2.2, 1.8, 2.1], -0.3));
        assert_eq!(clear.holds, Some(true));
        assert!(clear.sentence.contains("+2.0 nats") && clear.sentence.contains("adds 20 %"), "{}", clear.sentence);
        assert_eq!(clear.figures["largest_random_nats"], 0.3);
        assert_eq!(of_steering(&steering(&[2.0, 2.2, 1.8, 2.1], -5.0)).holds, Some(false), "a control does more");
        assert_eq!(of_steering(&steering(&[6.0, -4.0, 5.0, -3.0], 0.1)).holds, Some(false), "the interval has zero");
        let none = GridReport { chosen: None, ..steering(&[1.0, 1.0], 0.0) };
        assert_eq!(of_steering(&none).holds, Some(false));
    }

    #[test]
    fn a_feature_does_something_only_beyond_its_controls_up_or_down() {
        let of = |rises: &[f64], others: &[f64]| {
            let effect = Estimate::of(rises).unwrap();
            let found = WordEffect { effect, others: others.into(), random: vec![0.2] };
            let cost = NeutralCost { perplexity_plain: 10.0, perplexity: 11.0, divergence: 0.1 };
            of_feature_edits("the word “sea”", &found, &cost)
        };
        let clear = of(&[2.0, 2.2, 1.8, 2.1], &[-0.3]);
        assert_eq!((clear.holds, clear.figures["furthest_control_nats"]), (Some(true), 0.3));
        let said = "the odds of the word “sea” by +2.0 nats [+1.8, +2.3]";
        assert!(clear.sentence.contains(said) && clear.sentence.contains("adds 10 %"), "{}", clear.sentence);
        assert_eq!(of(&[-2.0, -2.2, -1.8, -2.1], &[0.1]).holds, Some(true));
        assert_eq!(of(&[2.0, 2.2, 1.8, 2.1], &[-2.0]).holds, Some(false), "another feature does as much");
        assert_eq!(of(&[6.0, -4.0, 5.0, -3.0], &[0.0]).holds, Some(false), "the interval has zero");
    }

    #[test]
    fn a_patch_within_its_controls_is_no_finding() {
        let baseline = PatchBaseline { clean: 3.0, corrupt: -1.0, first_difference: 2, layers: 2, columns: 5 };
        let cell = |effect, controls| PatchCell { layer: 1, column: 3, metric: 0.0, score: effect, effect, controls };
        let of = |cells: &[PatchCell]| of_patching(PatchPlace::ResidPost, &baseline, cells, |n| format!("token {n}"));
        let found = of(&[cell(0.1, vec![0.0]), cell(0.9, vec![0.2, -0.3])]).unwrap();
        assert_eq!(found.holds, Some(true));
        assert!(found.sentence.starts_with("Block 1 at token 3 alone carries 90 %"), "{}", found.sentence);
        assert_eq!(of(&[cell(0.9, vec![-1.2])]).unwrap().holds, Some(false));
        assert_eq!(of(&[cell(0.4, vec![0.0])]).unwrap().holds, Some(false));
        assert_eq!(of(&[]), None);
    }
}
