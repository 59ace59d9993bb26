//! Activation patching: which activations carry what two prompts differ in.

use super::Metric;
use crate::InterpError;
use crate::steer::random_direction;
use serde::Serialize;
use std::sync::Arc;
use tiller_engine::{
    Controls, Edit, Engine, Harvest, Operation, Part, PatchDirection, PatchPlace, PatchRows, TapRows, Variant, Variants,
};

/// The clean and the corrupt prompt must be at least so far apart in the metric (logits or nats): scores are shares of
/// that difference, and of a small one they would show rounding and chance.
const LEAST_DIFFERENCE: f64 = 0.1;

/// What to patch.
#[derive(Clone, Debug)]
pub struct Patching<'a> {
    /// The prompt after which the answer is right.
    pub clean: &'a [u32],
    /// A prompt of as many tokens that differs in what the answer depends on.
    pub corrupt: &'a [u32],
    pub metric: Metric,
    pub place: PatchPlace,
    pub direction: PatchDirection,
    /// A random control of each cell for each: as long a step from the run's own activation, in a random direction.
    pub seeds: &'a [u32],
    /// A control of each cell for each: the activation of this text, of as many tokens, at the same place.
    pub unrelated: &'a [Vec<u32>],
}

/// The runs that cells are measured against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PatchBaseline {
    /// The metric after the clean prompt.
    pub clean: f64,
    /// The metric after the corrupt prompt.
    pub corrupt: f64,
    /// The first position at which the prompts differ. Before it the two runs are the same, so there is nothing to patch.
    pub first_difference: u32,
    pub layers: u32,
    /// Positions or heads: the columns of the map.
    pub columns: u32,
}

/// One place in the model, patched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PatchCell {
    pub layer: u32,
    /// A position, or a head.
    pub column: u32,
    /// The metric of the patched run.
    pub metric: f64,
    /// `(metric - corrupt) / (clean - corrupt)`: 0 is the corrupt prompt's answer, 1 the clean one's.
    pub score: f64,
    /// How far the patch moved the score: from 0 when denoising, from 1 when noising.
    pub effect: f64,
    /// The same for each control.
    pub controls: Vec<f64>,
}

impl PatchCell {
    /// The largest size of a control's effect: what is no larger has not been shown to be more than a disturbance.
    pub fn band(&self) -> f64 {
        self.controls.iter().fold(0.0, |band, control| control.abs().max(band))
    }
}

/// What comes of patching, as it comes.
#[derive(Clone, Debug, PartialEq)]
pub enum PatchStep {
    /// First, once.
    Baseline(PatchBaseline),
    Cell(PatchCell),
}

/// Runs one prompt again and again, each time with one activation (at one layer, and one position or head) put in from
/// the other prompt's run (Vig et al. 2020, "Causal Mediation Analysis"; Meng et al. 2022, "Locating and Editing Factual
/// Associations"; score as in Zhang and Nanda 2023, "Towards Best Practices of Activation Patching").
///
/// `sink` is given the baseline and then each cell from [`PatchBaseline::first_difference`] on (heads: every cell) when
/// it and its controls are done. `progress` is told the runs done and in all. Errors when the prompts differ in length or
/// not at all, when the metric tells them apart by less than a tenth, when a site or a token is not the model's, an
/// activation is not finite, or the work was cancelled.
pub async fn activation_patching(
    engine: &mut Engine,
    what: &Patching<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
    mut sink: impl FnMut(PatchStep),
) -> Result<(), InterpError> {
    let (clean, corrupt) = (what.clean, what.corrupt);
    if clean.len() != corrupt.len() {
        return Err(InterpError::UnequalPrompts { clean: clean.len(), corrupt: corrupt.len() });
    }
    if let Some(text) = what.unrelated.iter().find(|text| text.len() != clean.len()) {
        return Err(InterpError::UnequalControl { tokens: text.len(), needed: clean.len() });
    }
    what.metric.check(engine)?;
    let first = clean.iter().zip(corrupt).position(|(a, b)| a != b).ok_or(InterpError::SamePrompts)?;
    let layers = engine.config().layers;
    let heads = if what.place.is_by_head() { engine.config().heads } else { 1 };
    let baseline = PatchBaseline {
        clean: what.metric.plain(engine, clean, controls).await?,
        corrupt: what.metric.plain(engine, corrupt, controls).await?,
        first_difference: first as u32,
        layers,
        columns: if what.place.is_by_head() { heads } else { clean.len() as u32 },
    };
    let difference = baseline.clean - baseline.corrupt;
    if difference.abs() < LEAST_DIFFERENCE {
        let PatchBaseline { clean, corrupt, .. } = baseline;
        return Err(InterpError::TooLittleDifference { what: what.metric.name(), clean, corrupt });
    }
    sink(PatchStep::Baseline(baseline));

    let (base, source, start) = match what.direction {
        PatchDirection::Denoise => (corrupt, clean, baseline.corrupt),
        PatchDirection::Noise => (clean, corrupt, baseline.clean),
    };
    let sources = Sources::read(engine, what, base, source, controls).await?;
    let positions = first as u32..clean.len() as u32;
    let kinds = 1 + what.seeds.len() + what.unrelated.len();
    let (mut edits, mut runs) = (Vec::new(), Vec::new());
    let mut cells = Vec::new();
    for layer in 0..layers {
        for head in 0..heads {
            let first_edit = edits.len();
            for kind in 0..kinds {
                edits.push(sources.edit(what, layer, head, kind, positions.clone()));
            }
            let ranges: Vec<(u32, std::ops::Range<u32>)> = match what.place {
                PatchPlace::Heads => vec![(head, positions.clone())],
                PatchPlace::HeadsAtLast => vec![(head, positions.end - 1..positions.end)],
                _ => positions.clone().map(|position| (position, position..position + 1)).collect(),
            };
            for (column, positions) in ranges {
                cells.push((layer, column, vec![None; kinds]));
                for kind in 0..kinds {
                    runs.push(Variant { edit: Some(first_edit + kind), positions: positions.clone() });
                }
            }
        }
    }

    let variants = Variants { tokens: base, edits: &edits, runs: &runs, rows: TapRows::Picks };
    let mut overdriven = false;
    engine
        .run_variants(&variants, controls, &mut progress, |run, _, logits| {
            let (layer, column, found) = &mut cells[run / kinds];
            match what.metric.of(logits) {
                Some(metric) => found[run % kinds] = Some(metric),
                None => overdriven = true,
            }
            let Some(metrics) = found.iter().copied().collect::<Option<Vec<f64>>>() else { return };
            let effects: Vec<f64> = metrics.iter().map(|metric| (metric - start) / difference).collect();
            sink(PatchStep::Cell(PatchCell {
                layer: *layer,
                column: *column,
                metric: metrics[0],
                score: (metrics[0] - baseline.corrupt) / difference,
                effect: effects[0],
                controls: effects[1..].to_vec(),
            }));
        })
        .await?;
    if overdriven { Err(InterpError::Overdriven) } else { Ok(()) }
}

/// Activations at the patched site of each layer, `[tokens, width]`: of the run that is changed, of the other prompt's,
/// then of the unrelated texts'.
struct Sources {
    by_prompt: Vec<Vec<Vec<f32>>>,
    width: usize,
    /// Of one head, where heads are patched.
    head_width: usize,
    tokens: usize,
}

impl Sources {
    async fn read(
        engine: &mut Engine,
        what: &Patching<'_>,
        base: &[u32],
        source: &[u32],
        controls: &impl Controls,
    ) -> Result<Sources, InterpError> {
        let layers = engine.config().layers;
        let sites: Vec<_> = (0..layers).map(|layer| what.place.site(layer)).collect();
        engine.config().check_site(sites[0]).map_err(tiller_engine::EngineError::from)?;
        let width = engine.config().site_width(sites[0], 0) as usize;
        let head_width = width / engine.config().heads as usize;
        let tokens = base.len();
        let prompts: Vec<Vec<u32>> =
            [base, source].into_iter().map(<[u32]>::to_vec).chain(what.unrelated.iter().cloned()).collect();
        let mut by_prompt = vec![vec![vec![0.0; tokens * width]; sites.len()]; prompts.len()];
        let mut not_finite = None;
        let harvest = Harvest { prompts: &prompts, sites: &sites, rows: TapRows::All, edits: &[] };
        engine
            .harvest(
                &harvest,
                controls,
                |_, _| {},
                |reading| {
                    if !reading.values.iter().all(|value| value.is_finite()) {
                        not_finite.get_or_insert(reading.site);
                    }
                    let layer = reading.site.layer().expect("the sites are blocks'") as usize;
                    let row = reading.position as usize * width;
                    by_prompt[reading.prompt][layer][row..row + width].copy_from_slice(reading.values);
                },
            )
            .await?;
        match not_finite {
            Some(site) => Err(InterpError::NotFinite { site }),
            None => Ok(Sources { by_prompt, width, head_width, tokens }),
        }
    }

    /// The edit that puts in what kind 0 (the other prompt), a seed or an unrelated text gives, at all `positions`.
    fn edit(&self, what: &Patching<'_>, layer: u32, head: u32, kind: usize, positions: std::ops::Range<u32>) -> Edit {
        let (columns, part) = match what.place.is_by_head() {
            true => {
                let (head, width) = (head as usize, self.head_width);
                (head * width..(head + 1) * width, Part::Head(head as u32))
            }
            false => (0..self.width, Part::All),
        };
        let values = |prompt: usize, position: u32| {
            let row = position as usize * self.width;
            &self.by_prompt[prompt][layer as usize][row..row + self.width][columns.clone()]
        };
        let patched = |position: u32| match kind {
            0 => values(1, position).to_vec(),
            _ if kind <= what.seeds.len() => {
                let (own, other) = (values(0, position), values(1, position));
                // A direction of its own for every layer, head and position.
                let place = (u64::from(layer) << 10 | u64::from(head)) * self.tokens as u64 + u64::from(position);
                as_far(own, other, u64::from(what.seeds[kind - 1]) | place << 32)
            }
            _ => values(1 + kind - what.seeds.len(), position).to_vec(),
        };
        let rows = PatchRows(positions.map(|position| (position, patched(position))).collect());
        Edit::new(what.place.site(layer), Operation::Patch { rows: Arc::new(rows), coefficient: 1.0 }).on(part)
    }
}

/// As far from `own` as `other` is, in a random direction.
fn as_far(own: &[f32], other: &[f32], seed: u64) -> Vec<f32> {
    let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    let distance = own.iter().zip(other).map(square).sum::<f64>().sqrt();
    let direction = random_direction(seed, own.len());
    own.iter().zip(&direction).map(|(&own, &d)| (f64::from(own) + distance * f64::from(d)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_control_is_as_far_away_as_the_patch() {
        let own: Vec<f32> = (0..64).map(|i| i as f32 / 10.0).collect();
        let other: Vec<f32> = own.iter().map(|x| 2.0 - x).collect();
        let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
        let random = as_far(&own, &other, 7);
        assert!((distance(&own, &random) - distance(&own, &other)).abs() < 1e-3);
        assert_ne!(random, as_far(&own, &other, 8));
        assert_eq!(as_far(&own, &own, 7), own);
    }

    #[test]
    fn the_band_is_the_largest_size_of_a_control() {
        let cell = PatchCell { layer: 0, column: 0, metric: 0.0, score: 0.0, effect: 0.0, controls: vec![0.1, -0.3] };
        assert_eq!(cell.band(), 0.3);
    }
}
