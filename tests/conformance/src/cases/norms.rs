//! Normalisation: on its own, in its parts, folded into a product, added to a stream.

use tiller_kernels::{Act, Gpu, Norm, NormKind, Pick, Quant, Recorder};

use crate::dequantise::{random, widths};
use crate::numbers::{F32_SUMS, Numbers, agree, agree_on_scale};
use crate::run::{FEW, MANY, floats, matrix, one_sequence, recorded, tapped, vector};
use crate::{Case, Outcome, twin};

const EPSILON: f32 = 1e-5;

/// Kind, and whether there is a bias.
const NORMS: [(NormKind, bool); 4] =
    [(NormKind::Rms, false), (NormKind::Rms, true), (NormKind::Layer, false), (NormKind::Layer, true)];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, biased) in NORMS {
        let name = format!("{kind:?} norm{}", if biased { " with a bias" } else { "" });
        cases.push(Case::new(name.clone(), move |gpu| alone(gpu, kind, biased)));
        cases.push(Case::new(format!("{name}, added to a stream"), move |gpu| added(gpu, kind, biased)));
        cases.push(Case::new(format!("{name}, in its parts"), move |gpu| in_parts(gpu, kind, biased)));
        for capacity in [FEW, MANY] {
            cases.push(Case::new(format!("{name} in linear, capacity {capacity}"), move |gpu| {
                folded(gpu, kind, biased, capacity)
            }));
        }
    }
    for quant in Quant::ALL {
        cases.push(Case::new(format!("Layer norm in linear {quant:?}"), move |gpu| every_format(gpu, quant)));
    }
    cases
}

/// Rows of very different sizes, the later ones off centre.
fn uneven_rows(numbers: &mut Numbers, rows: usize, width: usize) -> Vec<f32> {
    let mut x = numbers.vector(rows * width);
    for (row, x) in x.chunks_mut(width).enumerate() {
        x.iter_mut().for_each(|x| *x = *x * (row * row + 1) as f32 + row as f32);
    }
    x
}

async fn alone(gpu: Gpu, kind: NormKind, biased: bool) -> Outcome {
    check(gpu, kind, biased, |recorder, x, norm| recorder.norm(&x, norm)).await
}

async fn in_parts(gpu: Gpu, kind: NormKind, biased: bool) -> Outcome {
    check(gpu, kind, biased, move |recorder, x, norm| {
        let scale = recorder.norm_scale(&x, kind, EPSILON);
        let divided = recorder.divide_by_scale(&x, &scale, kind);
        recorder.affine_columns(divided, norm.gain, norm.bias)
    })
    .await
}

async fn check(gpu: Gpu, kind: NormKind, biased: bool, operation: impl Fn(&mut Recorder, Act, Norm) -> Act) -> Outcome {
    let mut numbers = Numbers::new(5);
    for width in [1, 3, 63, 65, 577] {
        for (capacity, rows) in [(FEW, 4), (MANY, 65)] {
            let x = uneven_rows(&mut numbers, rows, width);
            let gain = numbers.vector(width);
            let bias = if biased { numbers.vector(width) } else { Vec::new() };
            let (g, b) = (vector(&gpu, &gain)?, vector(&gpu, &bias)?);
            let norm = Norm { kind, gain: &g, bias: biased.then_some(&b), epsilon: EPSILON };
            let plan = recorded(&gpu, capacity, &x, width, |recorder, x| operation(recorder, x, norm))?;
            let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
            let wanted = twin::norm(&twin::wide(&x), kind, &gain, &bias, f64::from(EPSILON));
            agree(&got, &wanted, width, F32_SUMS).map_err(|what| format!("[{rows}, {width}]: {what}"))?;
        }
    }
    Ok(())
}

async fn folded(gpu: Gpu, kind: NormKind, biased: bool, capacity: u32) -> Outcome {
    let mut numbers = Numbers::new(6);
    for (width, outputs) in [(1, 3), (65, 63), (577, 65)] {
        for rows in [1, 2, 3] {
            let x = uneven_rows(&mut numbers, rows, width);
            let (gain, weights) = (numbers.vector(width), numbers.vector(outputs * width));
            let bias = if biased { numbers.vector(width) } else { Vec::new() };
            let (g, b, w) = (vector(&gpu, &gain)?, vector(&gpu, &bias)?, floats(&gpu, &weights, width)?);
            let norm = Norm { kind, gain: &g, bias: biased.then_some(&b), epsilon: EPSILON };
            let product = |norm: Option<Norm>| {
                recorded(&gpu, capacity, &x, width, |recorder, x| {
                    recorder.linear(&x, std::slice::from_ref(&w), None, norm)
                })
            };
            let (plan, plain) = (product(Some(norm))?, product(None)?);
            let folds = capacity == FEW && !(kind == NormKind::Rms && biased);
            let dispatches = plain.stats().dispatches + usize::from(!folds);
            if plan.stats().dispatches != dispatches {
                return Err(format!("{} dispatches instead of {dispatches}", plan.stats().dispatches));
            }
            let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
            let normed = twin::norm(&twin::wide(&x), kind, &gain, &bias, f64::from(EPSILON));
            let wanted = twin::linear(&normed, &weights, width);
            agree(&got, &wanted, outputs, F32_SUMS).map_err(|what| format!("[{rows}, {width}]: {what}"))?;
        }
    }
    Ok(())
}

async fn every_format(gpu: Gpu, quant: Quant) -> Outcome {
    let mut numbers = Numbers::new(29);
    let outputs = 65;
    for &width in widths(quant) {
        let weights = random(quant, outputs, width, &mut numbers)?;
        let (gain, bias) = (numbers.vector(width), numbers.vector(width));
        let (w, g, b) = (matrix(&gpu, quant, &weights, width)?, vector(&gpu, &gain)?, vector(&gpu, &bias)?);
        let norm = Norm { kind: NormKind::Layer, gain: &g, bias: Some(&b), epsilon: EPSILON };
        let x = uneven_rows(&mut numbers, 4, width);
        let plan = recorded(&gpu, FEW, &x, width, |recorder, x| recorder.linear(&x, &[w], None, Some(norm)))?;
        for rows in 1..=4 {
            let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
            let x = twin::wide(&x[..rows * width]);
            let normed = twin::norm(&x, NormKind::Layer, &gain, &bias, f64::from(EPSILON));
            let wanted = twin::linear(&normed, &weights.values, width);
            let scale = twin::linear_scale(&normed, &weights.values, width);
            agree_on_scale(&got, &wanted, &scale, outputs, F32_SUMS)
                .map_err(|what| format!("[{rows}, {width}]: {what}"))?;
        }
    }
    Ok(())
}

/// stream + norm(x), and that again on picked rows.
async fn added(gpu: Gpu, kind: NormKind, biased: bool) -> Outcome {
    let mut numbers = Numbers::new(22);
    for width in [1, 65, 577] {
        let rows = 4;
        let (x, stream) = (uneven_rows(&mut numbers, rows, width), numbers.vector(rows * width));
        let gain = numbers.vector(width);
        let bias = if biased { numbers.vector(width) } else { Vec::new() };
        let (g, b) = (vector(&gpu, &gain)?, vector(&gpu, &bias)?);
        let norm = Norm { kind, gain: &g, bias: biased.then_some(&b), epsilon: EPSILON };
        let table = floats(&gpu, &stream, width)?;
        let plan = recorded(&gpu, FEW, &x, width, |recorder, x| {
            let stream = recorder.embed(&table);
            let sum = recorder.add_normed(&x, norm, stream);
            let (picked_x, picked_sum) = (recorder.pick_rows(&x), recorder.pick_rows(&sum));
            recorder.add_normed(&picked_x, norm, picked_sum)
        })?;
        let order = [3, 1];
        let picks = order.map(|row| Pick { row: row as u32, lane: 0, draw: 0 });
        let got = tapped(&plan, &one_sequence(rows), &picks, &[]).await?;
        let normed = twin::norm(&twin::wide(&x), kind, &gain, &bias, f64::from(EPSILON));
        let wanted: Vec<f64> = order
            .iter()
            .flat_map(|row| row * width..(row + 1) * width)
            .map(|at| f64::from(stream[at]) + 2.0 * normed[at])
            .collect();
        agree(&got, &wanted, width, F32_SUMS).map_err(|what| format!("width {width}: {what}"))?;
    }
    Ok(())
}
