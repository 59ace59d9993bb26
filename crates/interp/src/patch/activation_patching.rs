//! Activation patching: which activations carry what two prompts differ in.

use super::Metric;
use crate::InterpError;
use crate::steer::random_direction;
use serde::Serialize;
use std::sync::Arc;
use tiller_engine::{
    CachedRows, Controls, Edit, Engine, Harvest, Logits, Operation, Part, PatchDirection, PatchPlace, RunCache,
    TapRows, Variant, Variants,
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
    let last = clean.len() as u32 - 1;
    let patched = if what.place == PatchPlace::HeadsAtLast { last..last + 1 } else { first as u32..last + 1 };
    let kinds = 1 + what.seeds.len() + what.unrelated.len();
    let (mut edits, mut runs) = (Vec::new(), Vec::new());
    let mut cells = Vec::new();
    for layer in 0..layers {
        for head in 0..heads {
            let first_edit = edits.len();
            for kind in 0..kinds {
                edits.push(sources.edit(what, layer, head, kind, patched.clone()));
            }
            let ranges: Vec<(u32, std::ops::Range<u32>)> = match what.place {
                PatchPlace::Heads | PatchPlace::HeadsAtLast => vec![(head, patched.clone())],
                _ => patched.clone().map(|position| (position, position..position + 1)).collect(),
            };
            for (column, positions) in ranges {
                cells.push((layer, column, vec![None; kinds]));
                for kind in 0..kinds {
                    runs.push(Variant { edit: Some(first_edit + kind), positions: positions.clone() });
                }
            }
        }
    }

    let tokens = what.metric.tokens();
    let logits = Logits::Of(&tokens);
    let variants = Variants { tokens: base, edits: &edits, runs: &runs, rows: TapRows::Picks, logits };
    let mut overdriven = false;
    engine
        .run_variants(&variants, controls, &mut progress, |run, _, read| {
            let (layer, column, found) = &mut cells[run / kinds];
            match what.metric.of(read) {
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

/// Activations at the patched site of each layer: of the run that is changed, of the other prompt's, then of the
/// unrelated texts'. They stay where they were computed: of each layer one sum comes back, and random directions are all
/// that goes there.
struct Sources {
    cache: Arc<RunCache>,
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
        let harvest = Harvest { prompts: &prompts, sites: &sites, rows: TapRows::All, edits: &[] };
        let cache = engine.capture(&harvest, controls, |_, _| {}).await?;
        // A mean is finite only where all that it is of is.
        let means = cache.weighted_sums(&sites, &vec![1.0 / cache.rows() as f32; cache.rows()]).await?;
        match means.iter().position(|mean| !mean.iter().all(|value| value.is_finite())) {
            Some(at) => Err(InterpError::NotFinite { site: sites[at] }),
            None => Ok(Sources { cache: Arc::new(cache), width, head_width, tokens }),
        }
    }

    /// The edit that puts in what kind 0 (the other prompt), a seed or an unrelated text gives, at all `positions`.
    fn edit(&self, what: &Patching<'_>, layer: u32, head: u32, kind: usize, positions: std::ops::Range<u32>) -> Edit {
        let (width, part) = match what.place.is_by_head() {
            true => (self.head_width, Part::Head(head)),
            false => (self.width, Part::All),
        };
        let site = what.place.site(layer);
        let unrelated = (kind > what.seeds.len()).then(|| 1 + kind - what.seeds.len());
        let row = |position: u32| {
            let row = self.cache.row(unrelated.unwrap_or(1), position as usize);
            (position, row.expect("every token of every prompt was captured") as u32)
        };
        let rows = CachedRows { cache: self.cache.clone(), site, rows: positions.clone().map(row).collect() };
        let operation = match kind.checked_sub(1).and_then(|kind| what.seeds.get(kind)) {
            // What the edit finds is the run's own activation: nothing before it is changed.
            Some(&seed) => {
                let direction = |position: u32| {
                    // One of its own for every layer, head and position.
                    let place = (u64::from(layer) << 10 | u64::from(head)) * self.tokens as u64 + u64::from(position);
                    random_direction(u64::from(seed) | place << 32, width)
                };
                Operation::Displace { rows, directions: positions.flat_map(direction).collect(), coefficient: 1.0 }
            }
            None => Operation::PatchFrom { rows, coefficient: 1.0 },
        };
        Edit::new(site, operation).on(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_band_is_the_largest_size_of_a_control() {
        let cell = PatchCell { layer: 0, column: 0, metric: 0.0, score: 0.0, effect: 0.0, controls: vec![0.1, -0.3] };
        assert_eq!(cell.band(), 0.3);
    }
}
