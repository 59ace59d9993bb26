//! Activations at chosen sites, of many prompts in one batch.

use crate::capture::ends;
use crate::edit::{Edit, mask};
use crate::engine::{Engine, PREFILL_ROWS};
use crate::pass_shape::PassShape;
use crate::{Controls, EngineError};
use tiller_kernels::{Draw, LANES, Row, Step, TapRows};
use tiller_model::is_over_keys;
use tiller_sites::Site;

/// What to read.
#[derive(Clone, Debug)]
pub struct Harvest<'a> {
    /// Token ids; their lengths may differ.
    pub prompts: &'a [Vec<u32>],
    pub sites: &'a [Site],
    /// Every token, or the last one of each prompt.
    pub rows: TapRows,
    /// They act on all prompts.
    pub edits: &'a [Edit],
}

/// The activation of one token at one site.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    pub prompt: usize,
    pub position: u32,
    pub site: Site,
    /// `[width of the site]`. Attention scores and patterns: `[heads, position + 1]`, for the keys up to the token's own.
    pub values: &'a [f32],
}

/// Where a row of a step comes from.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub prompt: usize,
    pub row: Row,
    pub last: bool,
}

impl Engine {
    /// Runs the prompts, as many at a time as fit, and hands every reading to `sink`: site by site within a step.
    /// `progress` is told the tokens done and in all.
    pub async fn harvest(
        &mut self,
        what: &Harvest<'_>,
        controls: &impl Controls,
        mut progress: impl FnMut(u64, u64),
        mut sink: impl FnMut(Reading<'_>),
    ) -> Result<(), EngineError> {
        let shape = self.harvest_shape(what)?;
        let keys = shape.keys;
        let coefficients: Vec<f32> = what.edits.iter().map(|edit| edit.coefficient(edit.strength())).collect();
        let total = what.prompts.iter().map(|prompt| prompt.len() as u64).sum();
        let mut done = 0;
        for wave in self.waves(what) {
            for origins in steps(&wave) {
                if controls.cancelled() {
                    return Err(EngineError::Cancelled);
                }
                let rows: Vec<Row> = origins.iter().map(|origin| origin.row).collect();
                let picks = ends(origins);
                let step = Step { rows: &rows, picks: &picks, sampling: Draw::GREEDY, coefficients: &coefficients };
                let (output, tapped) = self.submit(PREFILL_ROWS, &shape, &step)?.collect().await?;
                for (&site, values) in tapped.iter().zip(&output.taps) {
                    let tokens = origins.iter().filter(|origin| what.rows == TapRows::All || origin.last);
                    let width = self.config().site_width(site, keys) as usize;
                    for (origin, values) in tokens.zip(values.chunks_exact(width)) {
                        let Origin { prompt, row: Row { position, .. }, .. } = *origin;
                        let over_keys = is_over_keys(site).then(|| up_to(values, keys as usize, position as usize + 1));
                        let values = over_keys.as_deref().unwrap_or(values);
                        sink(Reading { prompt, position, site, values });
                    }
                }
                done += rows.len() as u64;
                progress(done, total);
                controls.pause().await;
            }
        }
        Ok(())
    }

    /// The shape of a pass that reads what is asked for. Errors where the model has no such site, edit or token, and
    /// where a prompt is too long.
    pub(crate) fn harvest_shape(&self, what: &Harvest<'_>) -> Result<PassShape, EngineError> {
        let room = self.kv_rows().min(self.config().context) as usize;
        for prompt in what.prompts {
            self.check_tokens(prompt)?;
            if prompt.len() > room {
                return Err(EngineError::TooLong { tokens: prompt.len(), room });
            }
        }
        let longest = what.prompts.iter().map(Vec::len).max().unwrap_or(0) as u32;
        let (edits, keys) = self.plan(what.edits, what.sites, longest)?;
        Ok(PassShape::to_tap(what.sites.iter().map(|&site| (site, what.rows)).collect(), edits, keys))
    }

    /// The rows of all prompts, in groups of prompts that fit into the KV cache together.
    pub(crate) fn waves<'a>(&self, what: &Harvest<'a>) -> Waves<'a> {
        Waves { prompts: what.prompts, edits: what.edits, kv_rows: self.kv_rows(), next: 0 }
    }
}

/// Groups of prompts, each made when it is its turn: of thousands of texts, the rows of a few are in memory.
pub(crate) struct Waves<'a> {
    prompts: &'a [Vec<u32>],
    edits: &'a [Edit],
    kv_rows: u32,
    /// The first prompt of the next group.
    next: usize,
}

impl Iterator for Waves<'_> {
    type Item = Vec<Origin>;

    /// The rows of the next group: never none, as no prompt is empty, and each has room by itself.
    fn next(&mut self) -> Option<Vec<Origin>> {
        let (mut wave, mut used) = (Vec::new(), 0);
        while let Some(prompt) = self.prompts.get(self.next) {
            let length = prompt.len() as u32;
            if used + length > self.kv_rows {
                break;
            }
            wave.extend(prompt.iter().zip(0..).map(|(&token, position)| Origin {
                prompt: self.next,
                row: Row { token, position, kv_start: used, edits: mask(self.edits, u32::MAX, position, length) },
                last: position + 1 == length,
            }));
            used += length;
            self.next += 1;
        }
        (!wave.is_empty()).then_some(wave)
    }
}

/// The first `seen` of each head's `keys` entries.
fn up_to(values: &[f32], keys: usize, seen: usize) -> Vec<f32> {
    values.chunks_exact(keys).flat_map(|head| &head[..seen]).copied().collect()
}

/// A wave in steps: each has as many rows, and as many ends of prompts, as a step may have.
pub(crate) fn steps(wave: &[Origin]) -> Vec<&[Origin]> {
    let mut steps = Vec::new();
    let (mut first, mut ends) = (0, 0);
    for (row, origin) in wave.iter().enumerate() {
        if row - first == PREFILL_ROWS as usize || ends + usize::from(origin.last) > LANES as usize {
            steps.push(&wave[first..row]);
            (first, ends) = (row, 0);
        }
        ends += usize::from(origin.last);
    }
    steps.push(&wave[first..]);
    steps.retain(|step| !step.is_empty());
    steps
}
