//! RMS normalisation, on its own and folded into a product.

use tiller_kernels::Gpu;

use crate::numbers::{F32_SUMS, Numbers, agree};
use crate::run::{FEW, MANY, floats, one_sequence, recorded, tapped, vector};
use crate::{Case, Outcome, twin};

const EPSILON: f32 = 1e-5;

pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::new("rms_norm", alone)];
    for capacity in [FEW, MANY] {
        cases.push(Case::new(format!("rms_norm in linear, capacity {capacity}"), move |gpu| folded(gpu, capacity)));
    }
    cases
}

async fn alone(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(5);
    for width in [1, 3, 63, 65, 577] {
        for (capacity, rows) in [(FEW, 4), (MANY, 65)] {
            // Rows of very different sizes.
            let mut x = numbers.vector(rows * width);
            x.chunks_mut(width)
                .enumerate()
                .for_each(|(row, x)| x.iter_mut().for_each(|x| *x *= (row * row + 1) as f32));
            let gain = numbers.vector(width);
            let g = vector(&gpu, &gain)?;
            let plan = recorded(&gpu, capacity, &x, width, |recorder, x| recorder.rms_norm(&x, &g, EPSILON))?;
            let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
            let wanted = twin::rms_norm(&twin::wide(&x), &gain, f64::from(EPSILON));
            agree(&got, &wanted, width, F32_SUMS).map_err(|what| format!("[{rows}, {width}]: {what}"))?;
        }
    }
    Ok(())
}

async fn folded(gpu: Gpu, capacity: u32) -> Outcome {
    let mut numbers = Numbers::new(6);
    for (width, outputs) in [(1, 3), (65, 63), (577, 65)] {
        let rows = 3;
        let x = numbers.vector(rows * width);
        let (gain, weights) = (numbers.vector(width), numbers.vector(outputs * width));
        let (g, w) = (vector(&gpu, &gain)?, floats(&gpu, &weights, width)?);
        let plan =
            recorded(&gpu, capacity, &x, width, |recorder, x| recorder.linear(&x, &[w], None, Some((&g, EPSILON))))?;
        let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
        let wanted = twin::linear(&twin::rms_norm(&twin::wide(&x), &gain, f64::from(EPSILON)), &weights, width);
        agree(&got, &wanted, outputs, F32_SUMS).map_err(|what| format!("[{rows}, {width}]: {what}"))?;
    }
    Ok(())
}
