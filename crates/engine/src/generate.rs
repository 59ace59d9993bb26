//! Writing: several lanes side by side, a token each a step.

use crate::edit::{Edit, MAX_EDITS, mask};
use crate::engine::{BackendKind, Engine, PREFILL_ROWS, Pending};
use crate::features::{FeatureReading, features_of_rows};
use crate::pass_shape::{Head, PassShape};
use crate::readings::IN_FLIGHT;
use crate::{Controls, EngineError};
use std::collections::VecDeque;
use tiller_kernels::{Draw, Drawn, LANE_BIT, LANES, Pick, Row, Step};
use tiller_sites::Sampling;

/// Rows of a decode step: the lanes that can be written side by side.
pub const DECODE_ROWS: u32 = 4;

/// What to write.
#[derive(Clone, Debug)]
pub struct Generation {
    pub lanes: Vec<Lane>,
    /// Of which each lane switches on its own.
    pub edits: Vec<Edit>,
    pub sampling: Sampling,
    pub max_tokens: u32,
    /// Tokens that end a lane; they are the last that is handed out.
    pub end_tokens: Vec<u32>,
    /// Whether the most probable tokens are handed out with each that is drawn.
    pub alternatives: bool,
    /// What is read of each token that a lane reads, and handed out with the next one that it writes.
    pub features: Option<FeatureReading>,
}

/// One of the texts that are written side by side.
#[derive(Clone, Debug)]
pub struct Lane {
    pub prompt: Vec<u32>,
    /// Which edits act on it, by index.
    pub edits: Vec<usize>,
}

/// A token as it was drawn.
#[derive(Clone, Debug)]
pub struct Written {
    pub lane: usize,
    /// Counts from 0 after the prompt.
    pub index: u32,
    pub drawn: Drawn,
    /// The strengths of the edits in the step that drew it, each in its operation's own terms.
    pub strengths: Vec<f32>,
    /// Where features are read: the strongest of each token that the lane has read since its last one was handed out, by
    /// number and value, descending. With the first, those of the whole prompt; with each other, those of the token
    /// before it.
    pub features: Vec<Vec<(u32, f32)>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneResult {
    pub tokens: Vec<u32>,
    pub end: LaneEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneEnd {
    EndToken,
    MaxTokens,
    /// The KV cache has no room for another token.
    ContextFull,
    Stopped,
}

/// When things happened, in the clock that [`Engine::generate`] was given (seconds).
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    pub started: f64,
    pub first_token: f64,
    pub finished: f64,
    /// Steps after the first token.
    pub decode_steps: u32,
}

impl Timing {
    /// Tokens a lane a second after the first token; `None` where there were none.
    pub fn decode_rate(&self) -> Option<f64> {
        let seconds = self.finished - self.first_token;
        (self.decode_steps > 0 && seconds > 0.0).then(|| f64::from(self.decode_steps) / seconds)
    }
}

/// A lane while it is written.
struct Running {
    prompt_len: u32,
    kv_start: u32,
    switched_on: u32,
    /// Tokens the lane may write at most.
    room: u32,
    /// Why it ends when it has written that many.
    end_of_room: LaneEnd,
    tokens: Vec<u32>,
    end: Option<LaneEnd>,
    /// Features of tokens that it has read.
    features: Vec<Vec<(u32, f32)>>,
}

/// Steps in flight whose results come together.
struct Flying {
    pending: Pending,
    steps: Vec<Drawing>,
    strengths: Vec<f32>,
}

/// Which lanes draw in a step, and which of their tokens.
struct Drawing {
    lanes: Vec<usize>,
    index: u32,
}

impl Engine {
    /// Writes on all lanes; `on_token` gets every token as soon as it is known. `clock` tells seconds.
    ///
    /// The prompts run through the wide kernels and each written token through the narrow ones, whatever else runs
    /// beside it: a lane's tokens do not depend on which lanes are its neighbours.
    pub async fn generate(
        &mut self,
        what: &Generation,
        controls: &impl Controls,
        clock: impl Fn() -> f64,
        mut on_token: impl FnMut(Written),
    ) -> Result<(Vec<LaneResult>, Timing), EngineError> {
        if what.lanes.is_empty() || what.lanes.len() > DECODE_ROWS as usize {
            return Err(EngineError::TooManyLanes { limit: DECODE_ROWS as usize });
        }
        what.features.as_ref().map_or(Ok(()), |reading| self.check_reading(reading))?;
        // Patterns have room for all that a lane may write.
        let (edits, keys) = self.plan(&what.edits, &[], self.lane_room(what.lanes.len()))?;
        let repetition_penalty = what.sampling.clamped().repetition_penalty;
        let head = Head::Draw { alternatives: what.alternatives };
        let shape = PassShape {
            taps: Vec::new(),
            features: what.features.clone(),
            edits,
            keys,
            repetition_penalty,
            blocks: usize::MAX,
            head,
            logits_of: None,
        };
        let silent = PassShape { head: Head::Skip, ..shape.clone() };
        let mut lanes = self.place(what)?;
        let sampling = draw_settings(what.sampling);
        let mut timing = Timing { started: clock(), ..Timing::default() };

        let first = self.prefill(what, &mut lanes, controls, [&silent, &shape], sampling).await?;
        let mut drawn = u32::from(first.is_some());
        let mut queue: VecDeque<Flying> = first.into_iter().collect();
        let in_flight = match self.backend() {
            BackendKind::Gpu => IN_FLIGHT,
            BackendKind::Cpu => 1,
        };
        loop {
            while queue.len() < in_flight && drawn > 0 && !controls.cancelled() {
                match self.decode(what, &lanes, controls, &shape, sampling, drawn)? {
                    Some(flying) => {
                        drawn += flying.steps.len() as u32;
                        queue.push_back(flying);
                    }
                    None => break,
                }
            }
            let Some(Flying { pending, steps, strengths }) = queue.pop_front() else { break };
            let outputs = pending.collect_all().await?;
            let most = what.features.as_ref().map_or(0, |reading| reading.most);
            for (Drawing { lanes: drawing, index }, output) in steps.into_iter().zip(outputs) {
                if index == 0 {
                    timing.first_token = clock();
                } else {
                    timing.decode_steps += 1;
                }
                let mut features = output.taps.first().into_iter().flat_map(|numbers| features_of_rows(numbers, most));
                for (lane, drawn) in drawing.into_iter().zip(output.drawn) {
                    let running = &mut lanes[lane];
                    running.features.extend(features.next());
                    // A lane may have ended while this step was on its way.
                    if running.end.is_some() {
                        continue;
                    }
                    running.tokens.push(drawn.token);
                    if what.end_tokens.contains(&drawn.token) {
                        running.end = Some(LaneEnd::EndToken);
                    } else if running.tokens.len() as u32 >= running.room {
                        running.end = Some(running.end_of_room);
                    }
                    let features = std::mem::take(&mut running.features);
                    on_token(Written { lane, index, drawn, strengths: strengths.clone(), features });
                }
            }
            timing.finished = clock();
            controls.pause().await;
            if controls.cancelled() {
                break;
            }
        }
        // Steps that a stop left in flight: their readback has to be finished with.
        for flying in queue {
            flying.pending.collect_all().await?;
        }
        let result = |lane: Running| LaneResult { tokens: lane.tokens, end: lane.end.unwrap_or(LaneEnd::Stopped) };
        Ok((lanes.into_iter().map(result).collect(), timing))
    }

    /// Tokens for which each of `lanes` lanes has room.
    fn lane_room(&self, lanes: usize) -> u32 {
        (self.kv_rows() / lanes.max(1) as u32).min(self.config().context)
    }

    /// Gives every lane its part of the KV cache.
    fn place(&self, what: &Generation) -> Result<Vec<Running>, EngineError> {
        let share = self.lane_room(what.lanes.len());
        let mut placed = Vec::with_capacity(what.lanes.len());
        for (n, lane) in what.lanes.iter().enumerate() {
            self.check_tokens(&lane.prompt)?;
            let prompt_len = lane.prompt.len() as u32;
            if prompt_len > share {
                return Err(EngineError::TooLong { tokens: lane.prompt.len(), room: share as usize });
            }
            // The last token that is drawn need not be read back in, so it needs no place.
            let room = share - prompt_len + 1;
            let (room, end_of_room) = match what.max_tokens <= room {
                true => (what.max_tokens, LaneEnd::MaxTokens),
                false => (room, LaneEnd::ContextFull),
            };
            placed.push(Running {
                prompt_len,
                kv_start: n as u32 * share,
                switched_on: lane.edits.iter().filter(|&&e| e < MAX_EDITS).fold(0, |bits, e| bits | 1 << e),
                room,
                end_of_room,
                tokens: Vec::new(),
                end: (room == 0).then_some(end_of_room),
                features: Vec::new(),
            });
        }
        Ok(placed)
    }

    /// Runs the prompts; the step that holds the end of the last one draws the first token of every lane, so lanes are
    /// packed in such a way that all of them end in it where they fit.
    async fn prefill(
        &mut self,
        what: &Generation,
        lanes: &mut [Running],
        controls: &impl Controls,
        [silent, drawing]: [&PassShape; 2],
        sampling: Draw,
    ) -> Result<Option<Flying>, EngineError> {
        let active: Vec<usize> = (0..lanes.len()).filter(|&n| lanes[n].end.is_none()).collect();
        if active.is_empty() {
            return Ok(None);
        }
        let strengths = strengths(what, controls);
        let coefficients = coefficients(what, &strengths);
        let row = |lanes: &[Running], lane: usize, position: usize| Row {
            token: what.lanes[lane].prompt[position],
            position: position as u32,
            kv_start: lanes[lane].kv_start,
            edits: mask(&what.edits, lanes[lane].switched_on, position as u32, lanes[lane].prompt_len),
        };
        // All but the last token of each lane first, then the last tokens in one step.
        let places = active.iter().flat_map(|&n| (0..what.lanes[n].prompt.len() - 1).map(move |p| (n, p)));
        let places: Vec<(usize, usize)> = places.collect();
        for places in places.chunks(PREFILL_ROWS as usize) {
            let rows: Vec<Row> = places.iter().map(|&(n, p)| row(lanes, n, p)).collect();
            let step = Step { rows: &rows, picks: &[], sampling, coefficients: &coefficients };
            let (output, _) = self.submit(PREFILL_ROWS, silent, &step)?.collect().await?;
            if let (Some(reading), Some(numbers)) = (&what.features, output.taps.first()) {
                let found = features_of_rows(numbers, reading.most);
                places.iter().zip(found).for_each(|(&(n, _), found)| lanes[n].features.push(found));
            }
            controls.pause().await;
            if controls.cancelled() {
                return Ok(None);
            }
        }
        let rows: Vec<Row> = active.iter().map(|&n| row(lanes, n, what.lanes[n].prompt.len() - 1)).collect();
        let picks = picks(&active, 0);
        let step = Step { rows: &rows, picks: &picks, sampling, coefficients: &coefficients };
        let pending = self.submit(DECODE_ROWS, drawing, &step)?;
        Ok(Some(Flying { pending, steps: vec![Drawing { lanes: active, index: 0 }], strengths }))
    }

    /// Sends the steps that draw token `first` and those that come back with it of every lane that still runs; `None`
    /// where none does.
    fn decode(
        &mut self,
        what: &Generation,
        lanes: &[Running],
        controls: &impl Controls,
        shape: &PassShape,
        sampling: Draw,
        first: u32,
    ) -> Result<Option<Flying>, EngineError> {
        let row = |n: usize, index: u32| {
            let lane = &lanes[n];
            let position = lane.prompt_len + index - 1;
            Row {
                token: LANE_BIT | n as u32,
                position,
                kv_start: lane.kv_start,
                edits: mask(&what.edits, lane.switched_on, position, lane.prompt_len),
            }
        };
        let mut drawings = Vec::with_capacity(self.steps_a_reading());
        for index in (first..).take(self.steps_a_reading()) {
            let runs = |n: &usize| lanes[*n].end.is_none() && index < lanes[*n].room;
            let active: Vec<usize> = (0..lanes.len()).filter(runs).collect();
            if active.is_empty() {
                break;
            }
            let rows: Vec<Row> = active.iter().map(|&n| row(n, index)).collect();
            let picks = picks(&active, index);
            drawings.push((Drawing { lanes: active, index }, rows, picks));
        }
        if drawings.is_empty() {
            return Ok(None);
        }
        let strengths = strengths(what, controls);
        let coefficients = coefficients(what, &strengths);
        let steps: Vec<Step> = drawings
            .iter()
            .map(|(_, rows, picks)| Step { rows, picks, sampling, coefficients: &coefficients })
            .collect();
        let pending = self.submit_all(DECODE_ROWS, shape, &steps)?;
        let steps = drawings.into_iter().map(|(drawing, ..)| drawing).collect();
        Ok(Some(Flying { pending, steps, strengths }))
    }
}

/// One pick a row; the lane's number says where the token is kept for the next step.
fn picks(active: &[usize], draw: u32) -> Vec<Pick> {
    active.iter().enumerate().map(|(row, &lane)| Pick { row: row as u32, lane: lane as u32, draw }).collect()
}

/// What the edits' strengths are now.
fn strengths(what: &Generation, controls: &impl Controls) -> Vec<f32> {
    what.edits.iter().enumerate().map(|(e, edit)| controls.coefficient(e, edit.strength())).collect()
}

fn coefficients(what: &Generation, strengths: &[f32]) -> Vec<f32> {
    what.edits.iter().zip(strengths).map(|(edit, &strength)| edit.coefficient(strength)).collect()
}

fn draw_settings(sampling: Sampling) -> Draw {
    let Sampling { temperature, top_k, top_p, seed, .. } = sampling.clamped();
    Draw { temperature, top_k, top_p, seed }
}

const _: () = assert!(DECODE_ROWS <= LANES);
