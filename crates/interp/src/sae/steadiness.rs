//! Whether a feature is strongest on one kind of tokens, and stays where it is when the text is disturbed.
//!
//! Both are how prototypes of image classifiers are judged (Huang et al. 2023, "Evaluation and Improvement of
//! Interpretability for Self-Explainable Part-Prototype Networks"), with a text in the place of an image.

use super::PlacedSae;
use super::baselines::with_random_directions;
use crate::InterpError;
use crate::steer::random_direction;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tiller_engine::{Controls, Edit, Engine, Harvest, Operation, PatchRows, Reading, Site, TapRows};

/// Texts in which a unit is strongest, that are looked at.
const MOST_CONTEXTS: usize = 20;
/// Texts in which a unit has to be active for either to mean anything.
const FEWEST_CONTEXTS: usize = 5;
/// The share of contexts that has to be of one class, as the source has it.
const CONSISTENT: f64 = 0.8;
/// Of the noise on a token's embedding, in multiples of the embedding's own length.
const NOISE: f64 = 0.5;

/// What to look at.
#[derive(Clone, Copy)]
pub struct SteadinessTexts<'a> {
    pub texts: &'a [Vec<u32>],
    /// The class of a token, by its id.
    pub class: &'a dyn Fn(u32) -> u32,
    /// Of the noise and of the random directions.
    pub seed: u32,
}

/// An SAE's features, beside what there is without training one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SteadinessReport {
    pub sae: Steadiness,
    /// The same SAE with random directions.
    pub random: Steadiness,
    /// The block's MLP neurons, as many of each token as the SAE has features, the strongest above 0; `None` where the
    /// SAE reads no block.
    pub neurons: Option<Steadiness>,
}

/// Of units that are active in at least five texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Steadiness {
    pub units: usize,
    /// The share of units whose strongest tokens (one in each text, of the twenty texts in which the unit is strongest) are
    /// of one class in at least four of five texts.
    pub consistency: f64,
    /// In how many of those texts the strongest token stays the same under noise on the embeddings, mean over units.
    pub stability: f64,
}

/// By text, each unit's largest value after the first token, and the position of that.
type Peaks = Vec<BTreeMap<u32, (f32, u32)>>;

/// Reads the texts as they are and with noise on every token's embedding (of half its length). The first token counts
/// nowhere.
///
/// `progress` is told the work done and in all, in tokens. Errors when the SAE does not fit the model, an activation is not
/// finite, or the work was cancelled.
pub async fn steadiness(
    engine: &mut Engine,
    sae: &PlacedSae<'_>,
    what: &SteadinessTexts<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<SteadinessReport, InterpError> {
    sae.check(engine)?;
    let random = with_random_directions(sae.sae, what.seed);
    let random = PlacedSae { sae: &random, ..*sae };
    let neurons = sae.site.layer().map(Site::MlpPost).filter(|&site| engine.config().check_site(site).is_ok());
    let total = 2 * what.texts.iter().map(|text| text.len() as u64).sum::<u64>();
    let mut done = 0;
    // SAE, random, neurons; each as it is, and disturbed.
    let mut peaks: [[Peaks; 2]; 3] = Default::default();
    // Each once: an SAE may read embeddings, or neurons.
    let mut sites = vec![Site::Embed];
    for site in [Some(sae.site), neurons].into_iter().flatten() {
        if !sites.contains(&site) {
            sites.push(site);
        }
    }
    for (n, text) in what.texts.iter().enumerate() {
        let mut noise = Vec::new();
        for disturbed in [false, true] {
            let edits: Vec<Edit> = if disturbed { vec![disturbance(std::mem::take(&mut noise))] } else { Vec::new() };
            let (mut read, mut active) = (Vec::new(), Vec::new());
            let mut not_finite = None;
            let prompts = std::slice::from_ref(text);
            let harvest = Harvest { prompts, sites: &sites, rows: TapRows::All, edits: &edits };
            let report = |tokens: u64, _| progress(done + tokens, total);
            let sink = |reading: Reading<'_>| {
                if !reading.values.iter().all(|x| x.is_finite()) {
                    not_finite.get_or_insert(reading.site);
                }
                if reading.site == Site::Embed && !disturbed {
                    let seed = u64::from(what.seed) << 48 | (n as u64) << 24 | u64::from(reading.position);
                    noise.push((reading.position, disturbed_row(reading.values, seed)));
                }
                if reading.site == sae.site {
                    read.extend_from_slice(reading.values);
                }
                if Some(reading.site) == neurons {
                    active.push(reading.values.to_vec());
                }
            };
            engine.harvest(&harvest, controls, report, sink).await?;
            if let Some(site) = not_finite {
                return Err(InterpError::NotFinite { site });
            }
            done += text.len() as u64;
            let side = usize::from(disturbed);
            let features = sae.encode(&read, controls, |_| {}).await?;
            let of_random = random.encode(&read, controls, |_| {}).await?;
            let at_once = features.iter().map(Vec::len).sum::<usize>().div_ceil(features.len().max(1));
            let of_neurons: Vec<Vec<(u32, f32)>> = active.iter().map(|row| strongest(row, at_once)).collect();
            for (kind, found) in [features, of_random, of_neurons].into_iter().enumerate() {
                peaks[kind][side].push(peaks_of(&found));
            }
        }
    }
    let judged = |[plain, disturbed]: &[Peaks; 2]| judged(what, plain, disturbed);
    Ok(SteadinessReport {
        sae: judged(&peaks[0]),
        random: judged(&peaks[1]),
        neurons: neurons.map(|_| judged(&peaks[2])),
    })
}

/// Puts rows in the place of embeddings.
fn disturbance(rows: Vec<(u32, Vec<f32>)>) -> Edit {
    Edit::new(Site::Embed, Operation::Patch { rows: Arc::new(PatchRows(rows)), coefficient: 1.0 })
}

fn disturbed_row(embedding: &[f32], seed: u64) -> Vec<f32> {
    let length = crate::products::norm(embedding) * NOISE;
    let noise = random_direction(seed, embedding.len());
    embedding.iter().zip(noise).map(|(&x, noise)| (f64::from(x) + length * f64::from(noise)) as f32).collect()
}

/// The `count` largest numbers above 0.
fn strongest(row: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut found: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).filter(|(_, x)| *x > 0.0).collect();
    found.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.truncate(count);
    found
}

fn peaks_of(tokens: &[Vec<(u32, f32)>]) -> BTreeMap<u32, (f32, u32)> {
    let mut peaks = BTreeMap::new();
    for (position, units) in (0u32..).zip(tokens).skip(1) {
        for &(unit, value) in units {
            let peak = peaks.entry(unit).or_insert((value, position));
            if value > peak.0 {
                *peak = (value, position);
            }
        }
    }
    peaks
}

fn judged(what: &SteadinessTexts<'_>, plain: &Peaks, disturbed: &Peaks) -> Steadiness {
    let mut contexts: BTreeMap<u32, Vec<(f32, usize, u32)>> = BTreeMap::new();
    for (text, peaks) in plain.iter().enumerate() {
        for (&unit, &(value, position)) in peaks {
            contexts.entry(unit).or_default().push((value, text, position));
        }
    }
    let mut found = Steadiness::default();
    for (unit, mut contexts) in contexts {
        if contexts.len() < FEWEST_CONTEXTS {
            continue;
        }
        contexts.sort_by(|a, b| b.0.total_cmp(&a.0));
        contexts.truncate(MOST_CONTEXTS);
        let n = contexts.len() as f64;
        let mut classes: BTreeMap<u32, usize> = BTreeMap::new();
        for &(_, text, position) in &contexts {
            *classes.entry((what.class)(what.texts[text][position as usize])).or_default() += 1;
        }
        let most = classes.values().copied().max().unwrap_or(0);
        let stays = |&&(_, text, position): &&(f32, usize, u32)| {
            disturbed[text].get(&unit).is_some_and(|&(_, other)| other == position)
        };
        found.units += 1;
        found.consistency += f64::from(u8::from(most as f64 >= CONSISTENT * n));
        found.stability += contexts.iter().filter(stays).count() as f64 / n;
    }
    let units = found.units.max(1) as f64;
    Steadiness { units: found.units, consistency: found.consistency / units, stability: found.stability / units }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of ten tokens, whose token ids are their classes.
    fn texts() -> Vec<Vec<u32>> {
        (0..10).map(|text| (0..10).map(|at| (at + text) % 5).collect()).collect()
    }

    /// Of each text, unit 0 is strongest where class 3 is; unit 1 is where `elsewhere` says.
    fn peaks(elsewhere: impl Fn(u32) -> u32) -> Peaks {
        let of_text = |text: u32| {
            let at_class = (1..10).find(|at| (at + text) % 5 == 3).unwrap();
            BTreeMap::from([(0, (2.0, at_class)), (1, (1.0, elsewhere(text)))])
        };
        (0..10).map(of_text).collect()
    }

    #[test]
    fn a_unit_of_one_class_is_consistent_and_one_that_moves_is_not_stable() {
        let texts = texts();
        let what = SteadinessTexts { texts: &texts, class: &|token| token, seed: 1 };
        let found = judged(&what, &peaks(|_| 4), &peaks(|text| if text < 5 { 4 } else { 7 }));
        // Unit 0 stays everywhere, unit 1 in half of the texts; it is of all classes in turn.
        assert_eq!(found, Steadiness { units: 2, consistency: 0.5, stability: 0.75 });
        let few: Peaks = peaks(|_| 4).into_iter().take(4).collect();
        assert_eq!(judged(&what, &few, &few), Steadiness::default());
    }

    #[test]
    fn the_first_token_is_no_peak() {
        let found = peaks_of(&[vec![(7, 9.0)], vec![(7, 1.0), (8, 2.0)], vec![(7, 3.0)]]);
        assert_eq!(found, BTreeMap::from([(7, (3.0, 2)), (8, (2.0, 1))]));
        assert_eq!(strongest(&[-1.0, 3.0, 0.0, 5.0, 4.0], 2), [(3, 5.0), (4, 4.0)]);
    }
}
