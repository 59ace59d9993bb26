//! Kernels that work number by number.

use tiller_kernels::{Activation, Gpu, Pick};

use crate::numbers::{F32_SUMS, Numbers, agree, agree_on_scale};
use crate::run::{FEW, MANY, floats, one_sequence, recorded, tapped, vector};
use crate::{Case, Outcome, twin};

const ACTIVATIONS: [Activation; 4] = [Activation::Silu, Activation::GeluTanh, Activation::GeluErf, Activation::Relu];

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("the error function in GELU", error_function),
        Case::new("soft_cap", soft_cap),
        Case::new("add", add),
        Case::new("affine_columns", affine_columns),
        Case::new("copy", copy),
    ];
    for activation in ACTIVATIONS {
        cases.push(Case::new(format!("gated {activation:?}"), move |gpu| gated(gpu, activation)));
        cases.push(Case::new(format!("activate {activation:?}"), move |gpu| activate(gpu, activation)));
        cases.push(Case::new(format!("gated {activation:?} of extremes"), move |gpu| extremes(gpu, activation)));
    }
    cases
}

async fn gated(gpu: Gpu, activation: Activation) -> Outcome {
    let mut numbers = Numbers::new(7);
    for width in [1, 3, 63, 65, 577] {
        for (capacity, rows) in [(FEW, 3), (MANY, 65)] {
            let x: Vec<f32> = numbers.vector(rows * 2 * width).into_iter().map(|x| 8.0 * x).collect();
            let plan = recorded(&gpu, capacity, &x, 2 * width, |recorder, x| recorder.gated(&x, activation))?;
            let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
            // A single number is checked against its input: an activation of -8 is a small difference of large ones.
            let wanted = twin::gated(&twin::wide(&x), width, activation);
            let scale: Vec<f64> = x.chunks(2 * width).flat_map(|row| &row[..width]).map(|&x| f64::from(x)).collect();
            agree_on_scale(&got, &wanted, &scale, width, F32_SUMS)
                .map_err(|what| format!("[{rows}, {width}]: {what}"))?;
        }
    }
    Ok(())
}

async fn activate(gpu: Gpu, activation: Activation) -> Outcome {
    let mut numbers = Numbers::new(25);
    for width in [1, 3, 63, 65, 577] {
        let rows = 4;
        let x: Vec<f32> = numbers.vector(rows * width).into_iter().map(|x| 4.0 * x).collect();
        let plan = recorded(&gpu, FEW, &x, width, |recorder, x| {
            let picked = recorder.pick_rows(&x);
            recorder.activate(&picked, activation)
        })?;
        let picks = [3, 1].map(|row| Pick { row, lane: 0, draw: 0 });
        let got = tapped(&plan, &one_sequence(rows), &picks, &[]).await?;
        let picked: Vec<f64> = [3, 1].into_iter().flat_map(|row| twin::wide(&x[row * width..][..width])).collect();
        let wanted: Vec<f64> = picked.iter().map(|&x| twin::activated(x, activation)).collect();
        agree_on_scale(&got, &wanted, &picked, width, F32_SUMS).map_err(|what| format!("width {width}: {what}"))?;
    }
    Ok(())
}

/// Gates so large that a careless exponential overflows.
async fn extremes(gpu: Gpu, activation: Activation) -> Outcome {
    let x = [-3000.0, -100.0, -20.0, 0.0, 20.0, 100.0, 3000.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
    let plan = recorded(&gpu, FEW, &x, 14, |recorder, x| recorder.gated(&x, activation))?;
    let got = tapped(&plan, &one_sequence(1), &[], &[]).await?;
    let wanted = twin::gated(&twin::wide(&x), 7, activation);
    got.iter().zip(wanted).try_for_each(|(&got, wanted)| agree(&[got, 1.0], &[wanted, 1.0], 2, F32_SUMS))
}

/// `erf(x / sqrt(2)) = 2 gelu(x) / x - 1` at 10,001 points of both of its pieces and beyond.
async fn error_function(gpu: Gpu) -> Outcome {
    let x: Vec<f32> = (1..=10_001).map(|step| (step as f32 - 5_001.5) / 700.0).collect();
    let plan = recorded(&gpu, FEW, &x, x.len(), |recorder, x| recorder.activate(&x, Activation::GeluErf))?;
    let got = tapped(&plan, &one_sequence(1), &[], &[]).await?;
    for (&x, &got) in x.iter().zip(&got) {
        let x = f64::from(x);
        // Beside 2e-7 of the function, the sum with 1 and the product each round by 6e-8 of at most 2.
        let factor = 2.0 * f64::from(got) / x;
        let off = (factor - 1.0 - twin::error_function(x / 2f64.sqrt())).abs();
        if off.is_nan() || off > 2e-7 + 2.4e-7 {
            return Err(format!("at {x} it is off by {off:.2e}"));
        }
    }
    Ok(())
}

/// Small numbers stay what they are, large ones become the cap.
async fn soft_cap(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(26);
    for width in [1, 65, 577] {
        let rows = 4;
        let mut x = numbers.vector(rows * width);
        x.chunks_mut(width).zip([1e-3, 10.0, 60.0, 1e6]).for_each(|(x, size)| x.iter_mut().for_each(|x| *x *= size));
        let plan = recorded(&gpu, FEW, &x, width, |recorder, x| recorder.soft_cap(x, 30.0))?;
        let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
        let wanted: Vec<f64> = x.iter().map(|&x| twin::soft_capped(f64::from(x), 30.0)).collect();
        agree(&got, &wanted, width, F32_SUMS).map_err(|what| format!("width {width}: {what}"))?;
    }
    Ok(())
}

async fn add(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(8);
    for width in [1, 65, 577] {
        let rows = 4;
        let (x, other) = (numbers.vector(rows * width), numbers.vector(rows * width));
        let table = floats(&gpu, &other, width)?;
        let plan = recorded(&gpu, MANY, &x, width, |recorder, x| {
            let a = recorder.embed(&table);
            recorder.add(&a, x)
        })?;
        let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
        let wanted: Vec<f64> = x.iter().zip(&other).map(|(&a, &b)| f64::from(a) + f64::from(b)).collect();
        agree(&got, &wanted, width, F32_SUMS)?;
    }
    Ok(())
}

/// Over rows with a bias, and over picked rows without one.
async fn affine_columns(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(21);
    for width in [1, 65, 577] {
        let rows = 4;
        let (x, factors, bias) = (numbers.vector(rows * width), numbers.vector(width), numbers.vector(width));
        let (f, b) = (vector(&gpu, &factors)?, vector(&gpu, &bias)?);
        let plan = recorded(&gpu, FEW, &x, width, |recorder, x| {
            let scaled = recorder.affine_columns(x, &f, Some(&b));
            let picked = recorder.pick_rows(&scaled);
            recorder.affine_columns(picked, &f, None)
        })?;
        let picks = [3, 1].map(|row| Pick { row, lane: 0, draw: 0 });
        let got = tapped(&plan, &one_sequence(rows), &picks, &[]).await?;
        let at = |row: usize, column: usize| {
            let factor = f64::from(factors[column]);
            (f64::from(x[row * width + column]) * factor + f64::from(bias[column])) * factor
        };
        let columns = |row| (0..width).map(move |column| (row, column));
        let wanted: Vec<f64> = [3, 1].into_iter().flat_map(columns).map(|(row, column)| at(row, column)).collect();
        let scale: Vec<f64> = wanted.iter().map(|_| 1.0).collect();
        agree_on_scale(&got, &wanted, &scale, width, F32_SUMS)?;
    }
    Ok(())
}

/// A copy keeps what was there when its original is changed.
async fn copy(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(27);
    for width in [1, 65, 577] {
        let rows = 4;
        let (x, factors) = (numbers.vector(rows * width), vec![3.0; width]);
        let f = vector(&gpu, &factors)?;
        let plan = recorded(&gpu, FEW, &x, width, |recorder, x| {
            let kept = recorder.copy(&x);
            let tripled = recorder.affine_columns(x, &f, None);
            recorder.add(&tripled, kept)
        })?;
        let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
        let wanted: Vec<f64> = x.iter().map(|&x| 4.0 * f64::from(x)).collect();
        agree(&got, &wanted, width, F32_SUMS)?;
    }
    Ok(())
}
