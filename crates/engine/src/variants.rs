//! One text, run many times, each time under another edit.

use crate::capture::ends;
use crate::edit::{Edit, MAX_EDITS, mask};
use crate::engine::{Engine, PREFILL_ROWS};
use crate::harvest::{Origin, steps};
use crate::pass_shape::PassShape;
use crate::{Controls, EngineError};
use std::ops::Range;
use tiller_kernels::{Draw, LANES, Row, Step, TapRows};
use tiller_sites::Site;

/// Copies of the text that run side by side at the least, where there are as many runs and the KV cache has room: fewer
/// rows than this would leave a product of many rows idle.
const FEWEST_COPIES: usize = 8;

/// What to run.
#[derive(Clone, Debug)]
pub struct Variants<'a> {
    pub tokens: &'a [u32],
    /// As many as are wanted; their own conditions and positions hold.
    pub edits: &'a [Edit],
    pub runs: &'a [Variant],
    /// Logits of every token from the run's first position on, or those of the text's last token.
    pub rows: TapRows,
    pub logits: Logits<'a>,
}

/// What is read of a token's logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits<'a> {
    /// `[vocabulary]`.
    All,
    /// Those of these tokens (each once), then the logarithm of the sum of the exponentials of all: `[tokens + 1]`. A
    /// token's log probability is its logit less the last number. On the GPU nothing else comes back.
    Of(&'a [u32]),
}

/// A run of the text under one edit, in part of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Index into [`Variants::edits`]; `None` runs the text as it is.
    pub edit: Option<usize>,
    pub positions: Range<u32>,
}

impl Engine {
    /// Runs the text under each variant, and hands what is read of its logits to `sink`, with the number of the run and
    /// the position. Runs of one edit, or of neighbouring ones, come together; the order is otherwise the engine's own.
    /// `progress` is told the runs done and in all.
    ///
    /// What comes before a run's first position is as in the unedited text, since a token sees only those before it: its
    /// keys and values are computed once for each copy of the text, and only the rest of the text runs again.
    ///
    /// Errors where the text is empty or too long, an edit does not fit the model, a token is not the model's, or the work
    /// was cancelled.
    pub async fn run_variants(
        &mut self,
        what: &Variants<'_>,
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
        sink: impl FnMut(usize, u32, &[f32]),
    ) -> Result<(), EngineError> {
        let ended = self.run_groups(what, controls, progress, sink).await;
        self.forget_caches();
        ended
    }

    async fn run_groups(
        &mut self,
        what: &Variants<'_>,
        controls: &impl Controls,
        mut progress: impl FnMut(u64, u64),
        mut sink: impl FnMut(usize, u32, &[f32]),
    ) -> Result<(), EngineError> {
        self.check_tokens(what.tokens)?;
        let length = what.tokens.len();
        let room = self.kv_rows().min(self.config().context) as usize;
        if length > room {
            return Err(EngineError::TooLong { tokens: length, room });
        }
        let (taps, width): (&[Site], usize) = match what.logits {
            Logits::All => (&[Site::Logits], self.config().vocab as usize),
            Logits::Of(tokens) => {
                self.check_tokens(tokens)?;
                (&[], tokens.len() + 1)
            }
        };
        // Every condition takes a slot of its own.
        let edits_at_once = match what.edits.iter().any(|edit| edit.condition.is_some()) {
            true => MAX_EDITS / 2,
            false => MAX_EDITS,
        };
        let mut copies = self.copies(what);
        let mut done = 0;
        for group in groups(what.runs, edits_at_once) {
            let edits = &what.edits[group.edits.clone()];
            let (planned, keys) = self.plan(edits, taps, length as u32)?;
            let shape = match what.logits {
                Logits::All => PassShape::to_tap(vec![(Site::Logits, what.rows)], planned, keys),
                Logits::Of(tokens) => PassShape::to_logits(tokens.into(), what.rows, planned, keys),
            };
            let coefficients: Vec<f32> = edits.iter().map(|edit| edit.coefficient(edit.strength())).collect();
            for round in group.runs.chunks(copies.len()) {
                let mut origins = Vec::new();
                for (slot, (&run, unedited)) in round.iter().zip(&mut copies).enumerate() {
                    let Variant { edit, positions } = &what.runs[run];
                    let switched_on = edit.map_or(0, |edit| 1 << (edit - group.edits.start));
                    let from = positions.start.min(length as u32 - 1);
                    let first = from.min(*unedited);
                    for position in first..length as u32 {
                        let on = if positions.contains(&position) { switched_on } else { 0 };
                        let row = Row {
                            token: what.tokens[position as usize],
                            position,
                            kv_start: (slot * length) as u32,
                            edits: mask(edits, on, position, length as u32),
                        };
                        origins.push(Origin { prompt: run, row, last: position as usize + 1 == length });
                    }
                    *unedited = from;
                }
                for origins in steps(&origins) {
                    if controls.cancelled() {
                        return Err(EngineError::Cancelled);
                    }
                    let rows: Vec<Row> = origins.iter().map(|origin| origin.row).collect();
                    let picks = ends(origins);
                    let step = Step { rows: &rows, picks: &picks, sampling: Draw::GREEDY, coefficients: &coefficients };
                    let (output, _) = self.submit(PREFILL_ROWS, &shape, &step)?.collect().await?;
                    let logits = output.taps[0].chunks_exact(width);
                    let tapped = origins.iter().filter(|origin| what.rows == TapRows::All || origin.last);
                    for (origin, logits) in tapped.zip(logits) {
                        let position = origin.row.position;
                        if position >= what.runs[origin.prompt].positions.start || origin.last {
                            sink(origin.prompt, position, logits);
                        }
                    }
                    controls.pause().await;
                }
                done += round.len() as u64;
                progress(done, what.runs.len() as u64);
            }
        }
        Ok(())
    }

    /// For each copy of the text, how many of its first tokens have keys and values of the unedited text: none yet.
    fn copies(&self, what: &Variants<'_>) -> Vec<u32> {
        let length = what.tokens.len();
        let first = what.runs.iter().map(|run| run.positions.start as usize).min().unwrap_or(0);
        let rows = length.saturating_sub(first).max(1);
        let wanted = (PREFILL_ROWS as usize / rows).max(FEWEST_COPIES).min(LANES as usize);
        vec![0; wanted.min(self.kv_rows() as usize / length).min(what.runs.len()).max(1)]
    }
}

/// Runs whose edits fit into one plan.
struct Group {
    edits: Range<usize>,
    /// Those that begin late in the text first, so that each finds what comes before it unedited.
    runs: Vec<usize>,
}

fn groups(runs: &[Variant], edits_at_once: usize) -> Vec<Group> {
    let group_of = |run: &Variant| run.edit.unwrap_or(0) / edits_at_once;
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by_key(|&run| (group_of(&runs[run]), std::cmp::Reverse(runs[run].positions.start)));
    let alike = order.chunk_by(|&a, &b| group_of(&runs[a]) == group_of(&runs[b]));
    let group = |alike: &[usize]| {
        let edits = alike.iter().filter_map(|&run| runs[run].edit);
        let (first, last) = edits.fold((usize::MAX, 0), |(first, last), edit| (first.min(edit), last.max(edit + 1)));
        Group { edits: first.min(last)..last, runs: alike.to_vec() }
    };
    alike.map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(edit: usize, from: u32) -> Variant {
        Variant { edit: Some(edit), positions: from..from + 1 }
    }

    #[test]
    fn runs_are_grouped_by_edits_that_fit_into_one_plan_and_end_first() {
        let runs = [run(0, 3), run(5, 1), run(1, 4), run(3, 2), Variant { edit: None, positions: 0..0 }, run(4, 9)];
        let found: Vec<_> = groups(&runs, 4).into_iter().map(|group| (group.edits, group.runs)).collect();
        assert_eq!(found, [(0..4, vec![2, 0, 3, 4]), (4..6, vec![5, 1])]);
        let plain = [Variant { edit: None, positions: 0..0 }];
        assert_eq!(groups(&plain, 4)[0].edits, 0..0);
    }
}
