//! Per-head norms, rotary embedding, the key and value cache, attention: at once, and step by step.

use tiller_kernels::{Act, Gpu, Heads, KvCache, Recorder, Rope, Rotation, Row};

use crate::numbers::{F32_SUMS, Numbers, agree};
use crate::run::{FEW, MANY, recorded, said, tapped, vector};
use crate::{Case, Outcome, twin};

/// Of the norms of heads.
const EPSILON: f32 = 1e-6;

#[derive(Clone, Copy, Debug)]
struct Shape {
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    /// Rotated dimensions; 0 is no rotation.
    rotated: u32,
    interleaved: bool,
    /// Norms of the heads of queries, of keys.
    normed: (bool, bool),
    soft_cap: Option<f32>,
    window: Option<u32>,
}

const fn shape(heads: u32, kv_heads: u32, head_dim: u32, rotated: u32, interleaved: bool) -> Shape {
    Shape { heads, kv_heads, head_dim, rotated, interleaved, normed: (false, false), soft_cap: None, window: None }
}

/// As in SmolLM2, Gemma, ..., Gemma 2, Gemma 3, Qwen3, GPT-2.
const SHAPES: [Shape; 12] = [
    shape(9, 3, 64, 64, true),
    shape(2, 1, 256, 256, false),
    shape(4, 4, 8, 8, true),
    shape(3, 1, 20, 8, false),
    shape(1, 1, 3, 2, true),
    shape(6, 2, 80, 80, false),
    Shape { soft_cap: Some(0.7), window: Some(17), ..shape(4, 2, 256, 256, false) },
    Shape { normed: (true, true), window: Some(64), ..shape(4, 1, 256, 256, false) },
    Shape { normed: (true, true), ..shape(14, 2, 128, 128, false) },
    Shape { normed: (false, true), window: Some(1), ..shape(5, 1, 7, 4, true) },
    Shape { normed: (true, false), soft_cap: Some(50.0), window: Some(65), ..shape(2, 2, 65, 2, false) },
    shape(12, 12, 64, 0, false),
];

/// Whether attention runs in one dispatch, or what is looked at on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Path {
    AtOnce,
    Scores,
    Pattern,
    Mixed,
}

pub fn cases() -> Vec<Case> {
    let paths = [Path::AtOnce, Path::Scores, Path::Pattern, Path::Mixed];
    let mut cases: Vec<Case> = SHAPES
        .into_iter()
        .flat_map(|shape| {
            paths.map(|path| Case::new(format!("attention {path:?} {shape:?}"), move |gpu| ragged(gpu, shape, path)))
        })
        .collect();
    cases.push(Case::new("rope at far positions", |gpu| far(gpu, false)));
    cases.push(Case::new("rope at far positions, its keys kept", |gpu| far(gpu, true)));
    cases.push(Case::new("positions beyond the scores are refused", beyond));
    cases
}

fn frequencies(dims: u32) -> Vec<f32> {
    (0..dims / 2).map(|pair| 10_000f32.powf(-2.0 * pair as f32 / dims as f32)).collect()
}

/// What the twin knows of a layer: queries, keys and values of every row of a table, and how they are used.
struct Layer {
    shape: Shape,
    heads: Heads,
    qkv: Vec<f32>,
    inverse_frequencies: Vec<f32>,
    q_gain: Vec<f32>,
    k_gain: Vec<f32>,
}

impl Layer {
    fn new(shape: Shape, rows: usize) -> Layer {
        let Shape { heads, kv_heads, head_dim, soft_cap, window, .. } = shape;
        let mut numbers = Numbers::new(9);
        let qkv = numbers.vector(rows * ((heads + 2 * kv_heads) * head_dim) as usize);
        let scale = 1.0 / (head_dim as f32).sqrt();
        Layer {
            shape,
            heads: Heads { heads, kv_heads, head_dim, scale, soft_cap, window },
            qkv: qkv.into_iter().map(|x| 2.0 * x).collect(),
            inverse_frequencies: frequencies(shape.rotated),
            q_gain: numbers.vector(head_dim as usize),
            k_gain: numbers.vector(head_dim as usize),
        }
    }

    fn width(&self) -> usize {
        ((self.heads.heads + 2 * self.heads.kv_heads) * self.heads.head_dim) as usize
    }

    /// Head `head` of [queries, keys, values] of the row `row` of the table, at `position`.
    fn part(&self, row: usize, head: u32, position: usize) -> Vec<f64> {
        let head_dim = self.heads.head_dim as usize;
        let start = row * self.width() + head as usize * head_dim;
        let mut values = twin::wide(&self.qkv[start..start + head_dim]);
        if head >= self.heads.heads + self.heads.kv_heads {
            return values;
        }
        let is_query = head < self.heads.heads;
        let (normed, gain) =
            if is_query { (self.shape.normed.0, &self.q_gain) } else { (self.shape.normed.1, &self.k_gain) };
        if normed {
            values = twin::rms_norm(&values, gain, f64::from(EPSILON));
        }
        twin::rotate(&mut values, position as u32, &self.inverse_frequencies, self.shape.interleaved);
        values
    }

    /// Scores of one head of the last of the rows `seen` (of a sequence from its start), from the window's first on.
    fn scores(&self, seen: &[usize], head: u32) -> Vec<f64> {
        let last = seen.len() - 1;
        let keys: Vec<Vec<f64>> =
            (self.first(seen)..seen.len()).map(|at| self.part(seen[at], self.key_head(head), at)).collect();
        twin::scores(&self.part(seen[last], head, last), &keys, &self.heads)
    }

    fn mixed(&self, seen: &[usize], head: u32) -> Vec<f64> {
        let value_head = self.key_head(head) + self.heads.kv_heads;
        let values: Vec<Vec<f64>> =
            (self.first(seen)..seen.len()).map(|at| self.part(seen[at], value_head, at)).collect();
        twin::mix(&twin::softmax(&self.scores(seen, head)), &values, self.heads.head_dim as usize)
    }

    fn key_head(&self, head: u32) -> u32 {
        self.heads.heads + head / (self.heads.heads / self.heads.kv_heads)
    }

    fn first(&self, seen: &[usize]) -> usize {
        self.shape.window.map_or(0, |window| seen.len().saturating_sub(window as usize))
    }

    /// One head of what a path returns for the last of the rows `seen`.
    fn wanted(&self, seen: &[usize], head: u32, path: Path, keys: usize) -> Vec<f64> {
        let padded = |values: Vec<f64>, unseen: f64| {
            let mut row = vec![unseen; keys];
            row[self.first(seen)..seen.len()].copy_from_slice(&values);
            row
        };
        match path {
            Path::AtOnce | Path::Mixed => self.mixed(seen, head),
            Path::Scores => padded(self.scores(seen, head), f64::from(-1e30f32)),
            Path::Pattern => padded(twin::softmax(&self.scores(seen, head)), 0.0),
        }
    }
}

/// A sequence as the twin keeps it: its place in the cache, and the rows (of the qkv table) it consists of.
struct Sequence {
    kv_start: u32,
    rows: Vec<usize>,
}

/// Three sequences of different lengths with gaps between them: first in one step of many rows, then a row each in a
/// step of few rows, on the same cache, which held garbage.
async fn ragged(gpu: Gpu, shape: Shape, path: Path) -> Outcome {
    let mut sequences = [(3, 1), (10, 70), (200, 5)].map(|(kv_start, len)| (kv_start, len, Vec::new()));
    let mut first_step = Vec::new();
    let mut second_step = Vec::new();
    let mut next = 0;
    for (kv_start, len, rows) in &mut sequences {
        for position in 0..*len {
            first_step.push(Row { token: next, position, kv_start: *kv_start, edits: 0 });
            rows.push(next as usize);
            next += 1;
        }
    }
    for (kv_start, len, rows) in &mut sequences {
        second_step.push(Row { token: next, position: *len, kv_start: *kv_start, edits: 0 });
        rows.push(next as usize);
        next += 1;
    }
    let sequences = sequences.map(|(kv_start, _, rows)| Sequence { kv_start, rows });
    // Not a multiple of the 64 keys that a workgroup takes.
    let keys = 75;
    let layer = Layer::new(shape, next as usize);
    let heads = layer.heads;
    let rope = Rope {
        interleaved: shape.interleaved,
        dims: shape.rotated,
        inverse_frequencies: vector(&gpu, &layer.inverse_frequencies)?,
    };
    let (q_gain, k_gain) = (vector(&gpu, &layer.q_gain)?, vector(&gpu, &layer.k_gain)?);
    let rotation = Rotation {
        rope: (shape.rotated > 0).then_some(&rope),
        q_norm: shape.normed.0.then_some(&q_gain),
        k_norm: shape.normed.1.then_some(&k_gain),
        epsilon: EPSILON,
        // Where keys are looked at, attention itself is the same.
        keeps_keys: path == Path::Mixed,
    };
    let cache = KvCache::new(&gpu, 2, 230, heads.kv_heads * heads.head_dim).map_err(said)?;
    let operations = |recorder: &mut Recorder, x: Act| {
        let q = recorder.rope_append(x, rotation, &cache, 1, &heads);
        if path == Path::AtOnce {
            return recorder.attention(&q, &cache, 1, &heads);
        }
        let scores = recorder.attention_scores(&q, &cache, 1, &heads, keys);
        if path == Path::Scores {
            return scores;
        }
        let pattern = recorder.attention_softmax(scores, &heads, keys);
        if path == Path::Pattern {
            return pattern;
        }
        recorder.attention_mix(&pattern, &cache, 1, &heads, keys)
    };
    for (capacity, rows) in [(MANY, &first_step), (FEW, &second_step)] {
        let plan = recorded(&gpu, capacity, &layer.qkv, layer.width(), operations)?;
        let got = tapped(&plan, rows, &[], &[]).await?;
        let mut wanted = Vec::new();
        let mut seen_only = Vec::new();
        for row in rows {
            let sequence = sequences.iter().find(|sequence| sequence.kv_start == row.kv_start);
            let seen = &sequence.ok_or("a row of no sequence")?.rows[..=row.position as usize];
            wanted.extend((0..heads.heads).flat_map(|head| layer.wanted(seen, head, path, keys as usize)));
        }
        if got.len() != wanted.len() {
            return Err(format!("{} numbers instead of {}", got.len(), wanted.len()));
        }
        // What is not seen is exactly so, and would hide everything else in a relative distance.
        for (at, (&got, wanted)) in got.iter().zip(&mut wanted).enumerate() {
            let unseen = match path {
                Path::Scores => *wanted < -1e29,
                Path::Pattern => *wanted == 0.0,
                Path::AtOnce | Path::Mixed => false,
            };
            if unseen && f64::from(got) != *wanted {
                return Err(format!("number {at} is {got} instead of {wanted}"));
            }
            seen_only.push(if unseen { 0.0 } else { got });
            if unseen {
                *wanted = 0.0;
            }
        }
        let width = wanted.len() / rows.len();
        agree(&seen_only, &wanted, width, F32_SUMS).map_err(|what| format!("step of {} rows: {what}", rows.len()))?;
    }
    Ok(())
}

/// The angle of a position in the tens of thousands still has all its digits; keys that are kept are rotated as queries
/// are, others stay as they came.
async fn far(gpu: Gpu, keeps_keys: bool) -> Outcome {
    let (head_dim, rows) = (8, 40_000);
    let heads = Heads { heads: 1, kv_heads: 1, head_dim, scale: 1.0, soft_cap: None, window: None };
    let inverse_frequencies = frequencies(head_dim);
    let rope = Rope { interleaved: true, dims: head_dim, inverse_frequencies: vector(&gpu, &inverse_frequencies)? };
    let cache = KvCache::new(&gpu, 1, rows, head_dim).map_err(said)?;
    let width = 3 * head_dim as usize;
    let qkv = Numbers::new(10).vector(4 * width);
    let rotation = Rotation { rope: Some(&rope), keeps_keys, ..Rotation::default() };
    let plan = recorded(&gpu, FEW, &qkv, width, |recorder, x| recorder.rope_append(x, rotation, &cache, 0, &heads))?;
    let positions = [1, 1_000, 8_191, 39_999];
    let step: Vec<Row> =
        (0..4).map(|at| Row { token: at, position: positions[at as usize], ..Row::default() }).collect();
    let got = tapped(&plan, &step, &[], &[]).await?;
    for (row, &position) in positions.iter().enumerate() {
        for (part, is_rotated) in [true, keeps_keys, false].into_iter().enumerate() {
            let columns = row * width + 8 * part..row * width + 8 * (part + 1);
            let mut wanted = twin::wide(&qkv[columns.clone()]);
            if is_rotated {
                twin::rotate(&mut wanted, position, &inverse_frequencies, true);
            }
            agree(&got[columns], &wanted, 8, F32_SUMS).map_err(|what| format!("{position}, part {part}: {what}"))?;
        }
    }
    Ok(())
}

/// Scores for 75 keys have no place for position 75; the cache would.
async fn beyond(gpu: Gpu) -> Outcome {
    let layer = Layer::new(shape(1, 1, 8, 0, false), 1);
    let cache = KvCache::new(&gpu, 1, 100, 8).map_err(said)?;
    let plan = recorded(&gpu, FEW, &layer.qkv, layer.width(), |recorder, x| {
        let q = recorder.rope_append(x, Rotation::default(), &cache, 0, &layer.heads);
        recorder.attention_scores(&q, &cache, 0, &layer.heads, 75)
    })?;
    let at = |position| [Row { position, ..Row::default() }];
    tapped(&plan, &at(74), &[], &[]).await?;
    if tapped(&plan, &at(75), &[], &[]).await.is_ok() {
        return Err("position 75: accepted".to_owned());
    }
    Ok(())
}
