//! Edits and conditions, a row at a time.

use super::matrix::dot;
use crate::edit::{Change, Columns, Condition, Coordinate, PlannedEdit, Test};
use tiller_kernels::Row;

/// Makes the change to one row of an activation. `c` is the edit's coefficient.
pub(super) fn change(row: &mut [f32], edit: &PlannedEdit, c: f32, position: u32) {
    match &edit.columns {
        Columns::Range(range) => {
            let x = &mut row[range.start as usize..range.end as usize];
            match &edit.change {
                Change::Add(v) => x.iter_mut().zip(v.iter()).for_each(|(x, v)| *x += c * v),
                Change::Set(v) => x.iter_mut().zip(v.iter()).for_each(|(x, v)| *x = towards(*x, *v, c)),
                Change::Scale => x.iter_mut().for_each(|x| *x *= c),
                Change::Directions { read, write, coordinate, keep_norm } => {
                    along_directions(x, read, write, coordinate, *keep_norm, c);
                }
                Change::Patch(rows) => {
                    if let Some((_, values)) = rows.0.iter().find(|(at, _)| *at == position) {
                        x.iter_mut().zip(values).for_each(|(x, v)| *x = towards(*x, *v, c));
                    }
                }
                Change::PatchFrom(from) => {
                    if let Some((_, values)) = from.at(position) {
                        x.iter_mut().zip(values).for_each(|(x, v)| *x = towards(*x, *v, c));
                    }
                }
                Change::Displace { from, directions } => {
                    if let Some((entry, values)) = from.at(position) {
                        let square = |(x, v): (&f32, &f32)| (f64::from(*v) - f64::from(*x)).powi(2);
                        let step = c * x.iter().zip(values).map(square).sum::<f64>().sqrt() as f32;
                        let direction = &directions[entry * x.len()..];
                        x.iter_mut().zip(direction).for_each(|(x, d)| *x += step * d);
                    }
                }
                Change::Features(_) => unreachable!("the pass encodes its rows first"),
            }
        }
        Columns::Listed(listed) => {
            for (i, &column) in listed.iter().enumerate() {
                let x = &mut row[column as usize];
                match &edit.change {
                    Change::Add(v) => *x += c * v[i],
                    Change::Set(v) => *x = towards(*x, v[i], c),
                    Change::Scale => *x *= c,
                    Change::Directions { .. }
                    | Change::Patch(_)
                    | Change::PatchFrom(_)
                    | Change::Displace { .. }
                    | Change::Features(_) => {
                        unreachable!("planning refuses it")
                    }
                }
            }
        }
    }
}

/// From `x` towards `v`: at 1 exactly there.
fn towards(x: f32, v: f32, c: f32) -> f32 {
    if c == 1.0 { v } else { x + c * (v - x) }
}

fn along_directions(x: &mut [f32], read: &[f32], write: &[f32], f: &Coordinate, keep_norm: bool, c: f32) {
    let before = x.to_vec();
    for (k, (read, write)) in read.chunks_exact(x.len()).zip(write.chunks_exact(x.len())).enumerate() {
        let s = dot(&before, read);
        let step = match f {
            Coordinate::Affine { offsets } => c * (s + offsets.as_ref().map_or(0.0, |offsets| offsets[k])),
            Coordinate::Clamp { low, high } => c * (s.max(*low).min(*high) - s),
            Coordinate::OneSided => -c * s.max(0.0),
        };
        x.iter_mut().zip(write).for_each(|(x, w)| *x += step * w);
    }
    if keep_norm {
        let (was, is) = (dot(&before, &before).sqrt(), dot(x, x).sqrt());
        if is > 0.0 {
            x.iter_mut().for_each(|x| *x *= was / is);
        }
    }
}

/// What the condition compares, of the activation `h` of one token. A feature is read by the pass.
pub(super) fn value(condition: &Condition, h: &[f32]) -> f32 {
    let Condition::Activation { test, .. } = condition else {
        unreachable!("a condition on tokens reads no activation");
    };
    match test {
        Test::Probe { vector, bias } => dot(h, vector) + bias,
        Test::Cosine { vector } => cosine(h, vector),
        Test::CosineToProjection { vector } => {
            let s = dot(h, vector) / dot(vector, vector);
            let projected: Vec<f32> = vector.iter().map(|v| (s * v).tanh()).collect();
            cosine(h, &projected)
        }
        Test::Feature { .. } => unreachable!("the pass encodes its rows"),
    }
}

/// Whether the condition holds where it found `value`, latches aside.
pub(super) fn holds(condition: &Condition, value: f32) -> bool {
    match condition {
        Condition::Activation { above: true, threshold, .. } => value > *threshold,
        Condition::Activation { above: false, threshold, .. } => value < *threshold,
        Condition::Token(_) => unreachable!("a condition on tokens reads no activation"),
    }
}

/// 0 where one of them is zero.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

/// Where each latched condition has held, by place in the KV cache: one list for each gate's slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latches(Vec<Vec<bool>>);

impl Latches {
    /// Notes at which rows condition `slot` holds now, and says for which rows it has held at some token of their
    /// sequence so far.
    pub fn latch(&mut self, slot: usize, rows: &[Row], now: &[bool]) -> Vec<bool> {
        if self.0.len() <= slot {
            self.0.resize(slot + 1, Vec::new());
        }
        let held = &mut self.0[slot];
        for (row, now) in rows.iter().zip(now) {
            let at = (row.kv_start + row.position) as usize;
            if held.len() <= at {
                held.resize(at + 1, false);
            }
            held[at] = *now;
        }
        let so_far = |row: &Row| held[row.kv_start as usize..][..=row.position as usize].contains(&true);
        rows.iter().map(so_far).collect()
    }
}
