//! Rotary embedding, the key and value cache, attention.

use tiller_kernels::{Gpu, Heads, KvCache, Rope, Row};

use crate::numbers::{F32_SUMS, Numbers, agree};
use crate::run::{FEW, MANY, recorded, said, tapped, vector};
use crate::{Case, Outcome, twin};

/// Heads, key heads, head dimension, rotated dimensions, interleaved pairs.
type Shape = (u32, u32, u32, u32, bool);

const SHAPES: [Shape; 6] = [
    (9, 3, 64, 64, true),
    (2, 1, 256, 256, false),
    (4, 4, 8, 8, true),
    (3, 1, 20, 8, false),
    (1, 1, 3, 2, true),
    (6, 2, 80, 80, false),
];

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = SHAPES
        .into_iter()
        .map(|shape| Case::new(format!("attention {shape:?}"), move |gpu| ragged(gpu, shape)))
        .collect();
    cases.push(Case::new("rope at far positions", far));
    cases
}

fn frequencies(dims: u32) -> Vec<f32> {
    (0..dims / 2).map(|pair| 10_000f32.powf(-2.0 * pair as f32 / dims as f32)).collect()
}

/// A sequence as the twin keeps it: its place in the cache, and the rows (of the qkv table) it consists of.
struct Sequence {
    kv_start: u32,
    rows: Vec<usize>,
}

/// Three sequences of different lengths with gaps between them: first in one step of many rows, then a row each in a
/// step of few rows, on the same cache, which held garbage.
async fn ragged(gpu: Gpu, (heads, kv_heads, head_dim, dims, interleaved): Shape) -> Outcome {
    let layer = 1;
    let width = ((heads + 2 * kv_heads) * head_dim) as usize;
    let shape = Heads { heads, kv_heads, head_dim, scale: 1.0 / (head_dim as f32).sqrt() };
    let inverse_frequencies = frequencies(dims);
    let rope = Rope { interleaved, dims, inverse_frequencies: vector(&gpu, &inverse_frequencies)? };
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
    let qkv: Vec<f32> = Numbers::new(9).vector(next as usize * width).into_iter().map(|x| 2.0 * x).collect();

    let cache = KvCache::new(&gpu, 2, 230, kv_heads * head_dim).map_err(said)?;
    let plan = |capacity| {
        recorded(&gpu, capacity, &qkv, width, |recorder, x| {
            let q = recorder.rope_append(x, &rope, &cache, layer, &shape);
            recorder.attention(&q, &cache, layer, &shape)
        })
    };
    for (capacity, rows) in [(MANY, &first_step), (FEW, &second_step)] {
        let got = tapped(&plan(capacity)?, rows, &[], &[]).await?;
        let mut wanted = Vec::new();
        for row in rows {
            let sequence = sequences.iter().find(|sequence| sequence.kv_start == row.kv_start);
            let seen = &sequence.ok_or("a row of no sequence")?.rows[..=row.position as usize];
            wanted.extend(attended(&qkv, width, seen, &shape, &inverse_frequencies, interleaved));
        }
        agree(&got, &wanted, (heads * head_dim) as usize, F32_SUMS)
            .map_err(|what| format!("step of {} rows: {what}", rows.len()))?;
    }
    Ok(())
}

/// All heads of the last of the rows `seen`.
fn attended(
    qkv: &[f32],
    width: usize,
    seen: &[usize],
    shape: &Heads,
    inverse_frequencies: &[f32],
    interleaved: bool,
) -> Vec<f64> {
    let head_dim = shape.head_dim as usize;
    let part = |position: usize, head: u32, rotated: bool| {
        let start = seen[position] * width + head as usize * head_dim;
        let mut values = twin::wide(&qkv[start..start + head_dim]);
        if rotated {
            twin::rotate(&mut values, position as u32, inverse_frequencies, interleaved);
        }
        values
    };
    (0..shape.heads)
        .flat_map(|head| {
            let key_head = shape.heads + head / (shape.heads / shape.kv_heads);
            let keys: Vec<Vec<f64>> = (0..seen.len()).map(|position| part(position, key_head, true)).collect();
            let values: Vec<Vec<f64>> =
                (0..seen.len()).map(|position| part(position, key_head + shape.kv_heads, false)).collect();
            twin::attend(&part(seen.len() - 1, head, true), &keys, &values, f64::from(shape.scale))
        })
        .collect()
}

/// The angle of a position in the tens of thousands still has all its digits.
async fn far(gpu: Gpu) -> Outcome {
    let (head_dim, rows) = (8, 40_000);
    let shape = Heads { heads: 1, kv_heads: 1, head_dim, scale: 1.0 };
    let inverse_frequencies = frequencies(head_dim);
    let rope = Rope { interleaved: true, dims: head_dim, inverse_frequencies: vector(&gpu, &inverse_frequencies)? };
    let cache = KvCache::new(&gpu, 1, rows, head_dim).map_err(said)?;
    let width = 3 * head_dim as usize;
    let qkv = Numbers::new(10).vector(4 * width);
    let plan = recorded(&gpu, FEW, &qkv, width, |recorder, x| recorder.rope_append(x, &rope, &cache, 0, &shape))?;
    let positions = [1, 1_000, 8_191, 39_999];
    let step: Vec<Row> =
        (0..4).map(|at| Row { token: at, position: positions[at as usize], ..Row::default() }).collect();
    let got = tapped(&plan, &step, &[], &[]).await?;
    for (row, &position) in positions.iter().enumerate() {
        let mut wanted = twin::wide(&qkv[row * width..row * width + 8]);
        twin::rotate(&mut wanted, position, &inverse_frequencies, true);
        agree(&got[row * width..row * width + 8], &wanted, 8, F32_SUMS)
            .map_err(|what| format!("{position}: {what}"))?;
    }
    Ok(())
}
