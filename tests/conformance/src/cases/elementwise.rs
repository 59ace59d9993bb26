//! Kernels that work number by number.

use tiller_kernels::{Gpu, Pick};

use crate::numbers::{F32_SUMS, Numbers, agree};
use crate::run::{FEW, MANY, floats, one_sequence, recorded, tapped, vector};
use crate::{Case, Outcome, twin};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("swiglu", swiglu),
        Case::new("swiglu of extremes", extremes),
        Case::new("add", add),
        Case::new("scale_columns", scale_columns),
    ]
}

async fn swiglu(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(7);
    for width in [1, 3, 63, 65, 577] {
        for (capacity, rows) in [(FEW, 3), (MANY, 65)] {
            let x: Vec<f32> = numbers.vector(rows * 2 * width).into_iter().map(|x| 8.0 * x).collect();
            let plan = recorded(&gpu, capacity, &x, 2 * width, |recorder, x| recorder.swiglu(&x))?;
            let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
            agree(&got, &twin::swiglu(&twin::wide(&x), width), width, F32_SUMS)
                .map_err(|what| format!("[{rows}, {width}]: {what}"))?;
        }
    }
    Ok(())
}

/// Gates so large that a careless exponential overflows.
async fn extremes(gpu: Gpu) -> Outcome {
    let x = [-3000.0, -100.0, -20.0, 0.0, 20.0, 100.0, 3000.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
    let plan = recorded(&gpu, FEW, &x, 14, |recorder, x| recorder.swiglu(&x))?;
    let got = tapped(&plan, &one_sequence(1), &[], &[]).await?;
    let wanted = twin::swiglu(&twin::wide(&x), 7);
    got.iter().zip(wanted).try_for_each(|(&got, wanted)| agree(&[got, 1.0], &[wanted, 1.0], 2, F32_SUMS))
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

/// Over rows, and over picked rows.
async fn scale_columns(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(21);
    for width in [1, 65, 577] {
        let rows = 4;
        let (x, factors) = (numbers.vector(rows * width), numbers.vector(width));
        let f = vector(&gpu, &factors)?;
        let plan = recorded(&gpu, FEW, &x, width, |recorder, x| {
            let scaled = recorder.scale_columns(x, &f);
            let picked = recorder.pick_rows(&scaled);
            recorder.scale_columns(picked, &f)
        })?;
        let picks = [3, 1].map(|row| Pick { row, lane: 0, draw: 0 });
        let got = tapped(&plan, &one_sequence(rows), &picks, &[]).await?;
        let twice = |row: usize, column: usize| f64::from(x[row * width + column]) * f64::from(factors[column]).powi(2);
        let wanted: Vec<f64> = [3, 1]
            .into_iter()
            .flat_map(|row| (0..width).map(move |column| (row, column)))
            .map(|(row, column)| twice(row, column))
            .collect();
        agree(&got, &wanted, width, F32_SUMS)?;
    }
    Ok(())
}
