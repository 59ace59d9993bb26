//! Features: encoding, the largest of them, and edits by them.

use tiller_kernels::{Change, Encoder, FeatureActivation, FeatureChanges, Gpu, Normalised, Quant};

use crate::edited::{Within, check, settings};
use crate::numbers::{F32_SUMS, Numbers, agree_on_scale};
use crate::run::{FEW, MANY, one_sequence, recorded, said, tapped, vector};
use crate::{Case, Outcome};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in [Kind::Relu, Kind::JumpRelu, Kind::Gated, Kind::TopK] {
        for capacity in [FEW, MANY] {
            cases.push(Case::new(format!("features, {kind:?}, capacity {capacity}"), move |gpu| {
                encoded(gpu, kind, capacity)
            }));
        }
    }
    cases.push(Case::new("the largest of a row, and equals among them", largest));
    cases.push(Case::new("the strongest features of a row", strongest));
    for normalised in [Normalised::Not, Normalised::Layer, Normalised::ConstantNorm] {
        cases.push(Case::new(format!("edit_features, {normalised:?}"), move |gpu| edited(gpu, normalised)));
    }
    cases
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Relu,
    JumpRelu,
    Gated,
    TopK,
}

/// An encoder's numbers, and what it does in f64.
struct Twin {
    width: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
    subtracted: Vec<f32>,
    centred: bool,
    normalised: Normalised,
    kind: Kind,
    /// Thresholds, or factors and offsets one after the other.
    numbers: Vec<f32>,
}

const K: usize = 5;

impl Twin {
    fn new(kind: Kind, width: usize, features: usize, centred: bool, normalised: Normalised) -> Twin {
        let mut numbers = Numbers::new(71);
        let scale = 1.0 / (width as f32).sqrt();
        Twin {
            width,
            weights: numbers.vector(width * features).into_iter().map(|w| scale * w).collect(),
            bias: numbers.vector(features).into_iter().map(|b| 0.2 * b).collect(),
            subtracted: numbers.vector(width),
            centred,
            normalised,
            kind,
            numbers: numbers.vector(2 * features).into_iter().map(|n| 0.3 * n.abs()).collect(),
        }
    }

    fn on(&self, gpu: &Gpu) -> Result<Encoder, String> {
        let features = self.bias.len();
        let (first, second) = self.numbers.split_at(features);
        let magnitudes = [first, &self.bias, second].concat();
        let rows = bytemuck::cast_slice(&self.weights);
        Ok(Encoder {
            weights: Encoder::weights(gpu, Quant::F32, self.width as u32, rows).map_err(said)?,
            bias: vector(gpu, &self.bias)?,
            subtracted: if self.subtracted.is_empty() { None } else { Some(vector(gpu, &self.subtracted)?) },
            centred: self.centred,
            normalised: self.normalised,
            activation: match self.kind {
                Kind::Relu => FeatureActivation::Relu,
                Kind::JumpRelu => FeatureActivation::JumpRelu { threshold: vector(gpu, first)? },
                Kind::Gated => FeatureActivation::Gated { magnitudes: vector(gpu, &magnitudes)? },
                Kind::TopK => FeatureActivation::TopK { k: K.min(features) as u32 },
            },
        })
    }

    /// What is taken off x, and what it is divided by.
    fn mean_and_unit(&self, x: &[f64]) -> (f64, f64) {
        let n = x.len() as f64;
        let mean = if self.centred || self.normalised == Normalised::Layer { x.iter().sum::<f64>() / n } else { 0.0 };
        let squares = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        let unit = match self.normalised {
            Normalised::Not => 1.0,
            Normalised::Layer => (squares / (n - 1.0)).sqrt(),
            Normalised::ConstantNorm => (squares / n).sqrt(),
        };
        (mean, unit)
    }

    fn features(&self, x: &[f64]) -> Vec<f64> {
        let (mean, unit) = self.mean_and_unit(x);
        let divisor = if self.normalised == Normalised::Layer { unit + 1e-5 } else { unit };
        let taken = |i: usize| self.subtracted.get(i).map_or(0.0, |&b| f64::from(b));
        let seen: Vec<f64> = x.iter().enumerate().map(|(i, x)| (x - mean) / divisor - taken(i)).collect();
        let rows = self.weights.chunks(self.width);
        let pre: Vec<f64> = rows
            .zip(&self.bias)
            .map(|(row, &bias)| seen.iter().zip(row).map(|(x, &w)| x * f64::from(w)).sum::<f64>() + f64::from(bias))
            .collect();
        let (first, second) = self.numbers.split_at(pre.len());
        let by_number = |i: usize, h: f64| match self.kind {
            Kind::Relu | Kind::TopK => h.max(0.0),
            Kind::JumpRelu if h > f64::from(first[i]) => h,
            Kind::Gated if h > 0.0 => {
                ((h - f64::from(self.bias[i])) * f64::from(first[i]) + f64::from(second[i])).max(0.0)
            }
            Kind::JumpRelu | Kind::Gated => 0.0,
        };
        let found: Vec<f64> = pre.iter().enumerate().map(|(i, &h)| by_number(i, h)).collect();
        if self.kind == Kind::TopK { kept(&found, K) } else { found }
    }
}

/// The k largest that are above 0, of equal ones the first; 0 elsewhere.
fn kept(values: &[f64], k: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).filter(|&i| values[i] > 0.0).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let mut kept = vec![0.0; values.len()];
    order.into_iter().take(k).for_each(|i| kept[i] = values[i]);
    kept
}

/// Widths around a workgroup's threads, columns within a wider activation, and as many rows as a plan has.
async fn encoded(gpu: Gpu, kind: Kind, capacity: u32) -> Outcome {
    let rows = if capacity == FEW { 4 } else { 66 };
    for (width, range, features) in [(2, 0..2, 1), (65, 0..65, 130), (200, 3..131, 33), (24, 0..24, 300)] {
        for normalised in [Normalised::Not, Normalised::Layer, Normalised::ConstantNorm] {
            for (centred, subtracts) in [(false, false), (false, true), (true, true)] {
                let mut twin = Twin::new(kind, range.len(), features, centred, normalised);
                if !subtracts {
                    twin.subtracted.clear();
                }
                let encoder = twin.on(&gpu)?;
                let x = Numbers::new(72).vector(rows * width);
                let columns = range.start as u32..range.end as u32;
                let plan = recorded(&gpu, capacity, &x, width, |r, x| r.encode(&x, columns, &encoder))?;
                let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
                let wanted = x.chunks(width).flat_map(|x| {
                    let part: Vec<f64> = x[range.clone()].iter().map(|&x| f64::from(x)).collect();
                    twin.features(&part)
                });
                let wanted: Vec<f64> = wanted.collect();
                // Of a row of which little is left, what is left is known to the size of what there was.
                let scale = vec![1.0 / (features as f64).sqrt(); wanted.len()];
                agree_on_scale(&got, &wanted, &scale, features, 3.0 * F32_SUMS)
                    .map_err(|what| format!("{range:?} of {width}, {normalised:?}, centred {centred}: {what}"))?;
            }
        }
    }
    Ok(())
}

/// Numbers of few values, so that many are equal; a third of them not above 0.
fn with_equals(count: usize, seed: u64) -> Vec<f32> {
    let mut numbers = Numbers::new(seed);
    (0..count).map(|_| [0.5, 0.25, -0.5, 1.5, 0.0, 0.125][numbers.word() as usize % 6]).collect()
}

fn rows_of(width: usize, rows: usize) -> Vec<f32> {
    let mut x = with_equals(rows * width, 73);
    // Rows without equals, without anything above 0, and of equals alone.
    x[..width].copy_from_slice(&Numbers::new(74).vector(width));
    x[width..2 * width].fill(-1.0);
    x[2 * width..3 * width].fill(0.75);
    x
}

async fn largest(gpu: Gpu) -> Outcome {
    for width in [1, 7, 255, 257, 4097] {
        for k in [1, 2, 48, 300, 4097] {
            let k = k.min(width);
            let x = rows_of(width, 4);
            let top = FeatureActivation::TopK { k: k as u32 };
            let plan = recorded(&gpu, FEW, &x, width, |r, x| r.activate_features(x, &top))?;
            let got = tapped(&plan, &one_sequence(4), &[], &[]).await?;
            for (row, (got, x)) in got.chunks(width).zip(x.chunks(width)).enumerate() {
                let wanted = kept(&x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>(), k);
                if let Some(i) = (0..width).find(|&i| f64::from(got[i]) != wanted[i]) {
                    return Err(format!("{k} of {width}, row {row}: {} at {i}, not {}", got[i], wanted[i]));
                }
            }
        }
    }
    Ok(())
}

async fn strongest(gpu: Gpu) -> Outcome {
    for (capacity, rows) in [(FEW, 4), (MANY, 66)] {
        for width in [1, 7, 257, 4097] {
            for most in [1, 8, 64] {
                let x = rows_of(width, rows);
                // The first tap is the features'.
                let plan = recorded(&gpu, capacity, &x, width, |r, x| {
                    r.strongest_features(&x, most);
                    x
                })?;
                let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
                let most = most as usize;
                for (row, (got, x)) in got.chunks(2 * most).zip(x.chunks(width)).enumerate() {
                    let mut order: Vec<usize> = (0..width).filter(|&i| x[i] > 0.0).collect();
                    order.sort_by(|&a, &b| x[b].total_cmp(&x[a]));
                    let mut wanted: Vec<f32> = order.iter().take(most).flat_map(|&i| [i as f32, x[i]]).collect();
                    wanted.resize(2 * most, 0.0);
                    if got != wanted {
                        return Err(format!("{most} of {width}, row {row}: {got:?} instead of {wanted:?}"));
                    }
                }
            }
        }
    }
    Ok(())
}

async fn edited(gpu: Gpu, normalised: Normalised) -> Outcome {
    let features = 40;
    for (width, range) in [(2, 0..2u32), (65, 0..65), (200, 3..131)] {
        for (kind, centred) in [(Kind::Relu, true), (Kind::TopK, false), (Kind::Gated, true)] {
            let twin = Twin::new(kind, range.len(), features, centred, normalised);
            let encoder = twin.on(&gpu)?;
            let all: Vec<(u32, Change)> = (0..features as u32)
                .map(|feature| {
                    let change = match feature % 4 {
                        0 => Change::Set(0.3),
                        1 => Change::Add(-0.2),
                        2 => Change::Scale(0.0),
                        _ => Change::Clamp { low: 0.1, high: 0.2 },
                    };
                    (feature * 7 % features as u32, change)
                })
                .collect();
            let scale = 1.0 / (range.len() as f32).sqrt();
            for count in [1, 3, features] {
                let changes = &all[..count];
                let directions = Numbers::new(75).vector(count * range.len());
                let directions: Vec<f32> = directions.into_iter().map(|d| scale * d).collect();
                let on_device = FeatureChanges::new(&gpu, changes, &directions).map_err(said)?;
                for setting in settings() {
                    let part = range.start as usize..range.end as usize;
                    check(
                        &gpu,
                        setting,
                        width,
                        &[0.0, 1.0, -0.6],
                        Within::Sums,
                        |recorder, x, when| {
                            let found = recorder.encode(&x, range.clone(), &encoder);
                            recorder.edit_features(x, range.clone(), &found, &on_device, &encoder, when)
                        },
                        |_, c, x| {
                            let x = &mut x[part.clone()];
                            let (found, (_, unit)) = (twin.features(x), twin.mean_and_unit(x));
                            for (&(feature, change), d) in changes.iter().zip(directions.chunks(x.len())) {
                                let f = found[feature as usize];
                                let difference = match change {
                                    Change::Set(value) => f64::from(value) - f,
                                    Change::Add(value) => f64::from(value),
                                    Change::Scale(factor) => (f64::from(factor) - 1.0) * f,
                                    Change::Clamp { low, high } => f.clamp(low.into(), high.into()) - f,
                                };
                                let amount = c * unit * difference;
                                x.iter_mut().zip(d).for_each(|(x, &d)| *x += amount * f64::from(d));
                            }
                        },
                    )
                    .await
                    .map_err(|what| format!("{kind:?}, {count} features, {range:?} of {width}: {what}"))?;
                }
            }
        }
    }
    Ok(())
}
