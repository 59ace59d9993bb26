//! Picked rows go through the same operations as the rows of a step, in groups of their own number.

use tiller_kernels::{Activation, Gpu, LANES, Pick};

use crate::numbers::{F32_SUMS, Numbers, agree};
use crate::run::{FEW, MANY, floats, one_sequence, recorded, tapped, vector};
use crate::{Case, Outcome, twin};

const EPSILON: f32 = 1e-6;

pub fn cases() -> Vec<Case> {
    [(FEW, &[1, 4][..]), (MANY, &[1, 5, 32][..])]
        .into_iter()
        .map(|(capacity, counts)| {
            Case::new(format!("picked rows, capacity {capacity}"), move |gpu| all(gpu, capacity, counts))
        })
        .collect()
}

/// Pick, normalise and multiply, gate, multiply into a sum, add the picked rows, normalise: as the end of a network
/// would, on picks in another order than the rows'.
async fn all(gpu: Gpu, capacity: u32, counts: &[usize]) -> Outcome {
    let (width, hidden) = (65, 63);
    let mut numbers = Numbers::new(20);
    let rows = capacity.min(LANES) as usize;
    let x = numbers.vector(rows * width);
    let (gain, up, down) = (numbers.vector(width), numbers.vector(2 * hidden * width), numbers.vector(width * hidden));
    let (g, w_up, w_down) = (vector(&gpu, &gain)?, floats(&gpu, &up, width)?, floats(&gpu, &down, hidden)?);
    let plan = recorded(&gpu, capacity, &x, width, |recorder, x| {
        let picked = recorder.pick_rows(&x);
        let gate_up = recorder.linear(&picked, &[w_up], None, Some((&g, EPSILON).into()));
        let gated = recorder.gated(&gate_up, Activation::Silu);
        let again = recorder.pick_rows(&x);
        let sum = recorder.linear_add(&gated, &w_down, None, again);
        let sum = recorder.add(&picked, sum);
        recorder.norm(&sum, (&g, EPSILON).into())
    })?;
    for &count in counts {
        let order: Vec<usize> = (0..count).map(|pick| (pick * 7 + 3) % rows).collect();
        let picks: Vec<Pick> = order.iter().map(|&row| Pick { row: row as u32, lane: 0, draw: 0 }).collect();
        let got = tapped(&plan, &one_sequence(rows), &picks, &[]).await?;
        let picked: Vec<f64> = order.iter().flat_map(|&row| twin::wide(&x[row * width..(row + 1) * width])).collect();
        let gate_up = twin::linear(&twin::rms_norm(&picked, &gain, f64::from(EPSILON)), &up, width);
        let mut sum = twin::linear(&twin::swiglu(&gate_up, hidden), &down, hidden);
        sum.iter_mut().zip(&picked).for_each(|(sum, x)| *sum += 2.0 * x);
        agree(&got, &twin::rms_norm(&sum, &gain, f64::from(EPSILON)), width, F32_SUMS)
            .map_err(|what| format!("{count} picks: {what}"))?;
    }
    Ok(())
}
