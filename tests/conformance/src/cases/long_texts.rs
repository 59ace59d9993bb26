//! Attention over hundreds of keys, whose spans are taken together or apart.

use tiller_kernels::{Gpu, Heads, KvCache, Plan, Rotation, Row};

use crate::numbers::{F32_SUMS, Numbers, agree};
use crate::run::{FEW, MANY, recorded, said, tapped};
use crate::{Case, Outcome, twin};

const SHAPES: [Heads; 8] = [
    shape(9, 3, 64, None),
    shape(4, 1, 8, Some(600)),
    shape(4, 1, 8, Some(300)),
    shape(5, 1, 7, Some(600)),
    shape(4, 2, 7, None),
    shape(2, 2, 3, None),
    shape(2, 2, 20, None),
    Heads { soft_cap: Some(2.0), ..shape(4, 2, 256, None) },
];

const fn shape(heads: u32, kv_heads: u32, head_dim: u32, window: Option<u32>) -> Heads {
    Heads { heads, kv_heads, head_dim, scale: 0.3, soft_cap: None, window }
}

/// Positions of the long text, and of the short one that lies before it in the cache.
const LONG: u32 = 777;
const SHORT: u32 = 70;

pub fn cases() -> Vec<Case> {
    let case = |heads: Heads| Case::new(format!("attention to a long text {heads:?}"), move |gpu| long(gpu, heads));
    SHAPES.map(case).into()
}

/// A text is written by steps of many rows. Its last rows are then written again by steps of few: bit for bit the same,
/// alone or beside a short text, and near the twin's.
async fn long(gpu: Gpu, heads: Heads) -> Outcome {
    let Heads { heads: count, kv_heads, head_dim, .. } = heads;
    let width = ((count + 2 * kv_heads) * head_dim) as usize;
    let qkv = Numbers::new(31).vector((SHORT + LONG) as usize * width);
    let cache = KvCache::new(&gpu, 1, SHORT + LONG, kv_heads * head_dim).map_err(said)?;
    let plan = |capacity| -> Result<Plan, String> {
        recorded(&gpu, capacity, &qkv, width, |recorder, x| {
            let q = recorder.rope_append(x, Rotation::default(), &cache, 0, &heads);
            recorder.attention(&q, &cache, 0, &heads)
        })
    };
    let (many, few) = (plan(MANY)?, plan(FEW)?);
    if many.stats().dispatches != few.stats().dispatches {
        return Err("a short step of few rows takes more dispatches than one of many".to_owned());
    }
    let short = |position| Row { token: position, position, kv_start: 0, edits: 0 };
    let long = |position| Row { token: SHORT + position, position, kv_start: SHORT, edits: 0 };
    let rows: Vec<Row> = (0..SHORT).map(short).chain((0..LONG).map(long)).collect();
    let mut written = Vec::new();
    for rows in rows.chunks(MANY as usize) {
        written.extend(tapped(&many, rows, &[], &[]).await?);
    }
    let y_width = (count * head_dim) as usize;
    let of = |row: &Row| &written[row.token as usize * y_width..][..y_width];
    let (short_end, long_end) = (short(SHORT - 1), long(LONG - 1));
    for step in [vec![short_end], vec![short_end, long_end], vec![long_end], vec![long(510), long(511), long(512)]] {
        let got = tapped(&few, &step, &[], &[]).await?;
        for (row, got) in step.iter().zip(got.chunks(y_width)) {
            if let Some(at) = (0..y_width).find(|&at| got[at].to_bits() != of(row)[at].to_bits()) {
                let (position, rows) = (row.position, step.len());
                let (few, many) = (got[at], of(row)[at]);
                return Err(format!("position {position}, number {at}: {few} in a step of {rows}, {many} before"));
            }
        }
    }
    let part =
        |row: usize, head: u32| twin::wide(&qkv[row * width + (head * head_dim) as usize..][..head_dim as usize]);
    for (start, position) in [(0, SHORT - 1), (SHORT, 255), (SHORT, 256), (SHORT, LONG - 1)] {
        let first = heads.window.map_or(0, |window| (position + 1).saturating_sub(window));
        let seen: Vec<usize> = (start + first..=start + position).map(|row| row as usize).collect();
        let wanted: Vec<f64> = (0..count)
            .flat_map(|head| {
                let key_head = count + head / (count / kv_heads);
                let of_head = |head| seen.iter().map(|&row| part(row, head)).collect::<Vec<Vec<f64>>>();
                let scores = twin::scores(&part((start + position) as usize, head), &of_head(key_head), &heads);
                twin::mix(&twin::softmax(&scores), &of_head(key_head + kv_heads), head_dim as usize)
            })
            .collect();
        let row = Row { token: start + position, ..Row::default() };
        agree(of(&row), &wanted, y_width, F32_SUMS).map_err(|what| format!("position {position}: {what}"))?;
    }
    Ok(())
}
