//! Edits along directions.

use std::ops::Range;

use tiller_kernels::{Coordinate, Gpu};

use crate::edited::{Within, check, settings};
use crate::numbers::Numbers;
use crate::run::vector;
use crate::{Case, Outcome};

/// Width, and the columns edited.
const PLACES: [(usize, Range<u32>); 4] = [(1, 0..1), (65, 0..65), (200, 3..131), (577, 64..577)];

pub fn cases() -> Vec<Case> {
    let kinds = [Kind::Linear, Kind::Affine, Kind::Clamp, Kind::ClampBelow, Kind::OneSided];
    let mut cases: Vec<Case> = kinds
        .into_iter()
        .flat_map(|kind| [(kind, false), (kind, true)])
        .map(|(kind, keep_norm)| {
            let name = format!("edit_directions, {kind:?}{}", if keep_norm { ", length kept" } else { "" });
            Case::new(name, move |gpu| along(gpu, kind, keep_norm))
        })
        .collect();
    cases.push(Case::new("a direction projected out is gone", projected_out));
    cases
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Linear,
    Affine,
    Clamp,
    /// From below alone.
    ClampBelow,
    OneSided,
}

const LOW: f32 = -0.25;
const HIGH: f32 = 0.5;

impl Kind {
    fn amount(self, c: f64, s: f64, offset: f32) -> f64 {
        match self {
            Kind::Linear => c * s,
            Kind::Affine => c * (s + f64::from(offset)),
            Kind::Clamp => c * (s.clamp(f64::from(LOW), f64::from(HIGH)) - s),
            Kind::ClampBelow => c * (s.max(f64::from(LOW)) - s),
            Kind::OneSided => -c * s.max(0.0),
        }
    }
}

/// Ranks around a group of four directions, and beyond the threads of a workgroup.
async fn along(gpu: Gpu, kind: Kind, keep_norm: bool) -> Outcome {
    for (width, range) in PLACES {
        for rank in [1, 3, 4, 5, 66] {
            let columns = range.len();
            let mut numbers = Numbers::new(34);
            // About unit length, so that coordinates are about as large as the caps.
            let mut directions = || -> Vec<f32> {
                let scale = (3.0 / columns as f32).sqrt();
                numbers.vector(rank * columns).into_iter().map(|x| scale * x).collect()
            };
            let (read, write) = (directions(), directions());
            let offsets = Numbers::new(35).vector(rank);
            let (a, b, o) = (vector(&gpu, &read)?, vector(&gpu, &write)?, vector(&gpu, &offsets)?);
            let map = match kind {
                Kind::Linear => Coordinate::Affine { offsets: None },
                Kind::Affine => Coordinate::Affine { offsets: Some(&o) },
                Kind::Clamp => Coordinate::Clamp { low: LOW, high: HIGH },
                Kind::ClampBelow => Coordinate::Clamp { low: LOW, high: f32::INFINITY },
                Kind::OneSided => Coordinate::OneSided,
            };
            for setting in settings() {
                let part = range.start as usize..range.end as usize;
                check(
                    &gpu,
                    setting,
                    width,
                    &[0.0, 1.0, -0.6],
                    if keep_norm { Within::Rescaled } else { Within::Sums },
                    |recorder, x, when| recorder.edit_directions(x, range.clone(), &a, &b, map, keep_norm, when),
                    |_, c, x| {
                        let amount = |k: usize, x: &[f64]| kind.amount(c, inner(x, &read[k * columns..]), offsets[k]);
                        moved(&mut x[part.clone()], &write, keep_norm, amount);
                    },
                )
                .await
                .map_err(|what| format!("rank {rank}, {range:?} of {width}: {what}"))?;
            }
        }
    }
    Ok(())
}

/// x plus each of the directions, as much of each as `amount` says of (its number, x as it was).
fn moved(x: &mut [f64], directions: &[f32], keep_norm: bool, amount: impl Fn(usize, &[f64]) -> f64) {
    let before = x.to_vec();
    for (k, direction) in directions.chunks(before.len()).enumerate() {
        let amount = amount(k, &before);
        x.iter_mut().zip(direction).for_each(|(x, &d)| *x += amount * f64::from(d));
    }
    let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let now = length(x);
    if keep_norm && now > 0.0 && x != before {
        let factor = length(&before) / now;
        x.iter_mut().for_each(|x| *x *= factor);
    }
}

fn inner(x: &[f64], direction: &[f32]) -> f64 {
    x.iter().zip(direction).map(|(x, &d)| x * f64::from(d)).sum()
}

/// Where nothing is left, there is no length to restore, and no division by zero.
async fn projected_out(gpu: Gpu) -> Outcome {
    let v = vector(&gpu, &[1.0])?;
    let map = Coordinate::Affine { offsets: None };
    for keep_norm in [false, true] {
        for setting in settings() {
            check(
                &gpu,
                setting,
                3,
                &[-1.0],
                Within::Exactly,
                |recorder, x, when| recorder.edit_directions(x, 1..2, &v, &v, map, keep_norm, when),
                |_, _, x| x[1] = 0.0,
            )
            .await?;
        }
    }
    Ok(())
}
