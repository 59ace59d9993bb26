//! What each attention head adds to the residual stream.

use tiller_kernels::{Gpu, Heads, Quant};

use crate::dequantise::{random, widths};
use crate::numbers::{F32_SUMS, Numbers, agree, agree_on_scale};
use crate::run::{FEW, MANY, floats, matrix, one_sequence, recorded, tapped, vector};
use crate::{Case, Outcome, twin};

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        Quant::ALL.map(|quant| Case::new(format!("head_results {quant:?}"), move |gpu| results(gpu, quant))).into();
    cases.push(Case::new("sum_heads", sums));
    cases
}

fn heads(heads: usize, head_dim: usize) -> Heads {
    let (heads, head_dim) = (heads as u32, head_dim as u32);
    Heads { heads, kv_heads: heads, head_dim, scale: 1.0, soft_cap: None, window: None }
}

/// Heads of three columns and of a sixth as many as there are, a matrix whole and in parts.
async fn results(gpu: Gpu, quant: Quant) -> Outcome {
    let mut numbers = Numbers::new(23);
    for &cols in widths(quant) {
        let outputs = 65;
        let weights = random(quant, outputs, cols, &mut numbers)?;
        let row_bytes = weights.bytes.len() / outputs;
        for (count, limit) in [(cols / 3, u64::MAX), (6, 20 * row_bytes as u64), (1, u64::MAX)] {
            if count == 0 || cols % count != 0 {
                continue;
            }
            gpu.limit_bindings(limit.max(64));
            let w = matrix(&gpu, quant, &weights, cols);
            gpu.limit_bindings(u64::MAX);
            let (w, head_dim) = (w?, cols / count);
            for (capacity, rows) in [(FEW, 2), (MANY, 33)] {
                let z = numbers.vector(rows * cols);
                let shape = heads(count, head_dim);
                let plan = recorded(&gpu, capacity, &z, cols, |recorder, z| recorder.head_results(&z, &w, &shape))?;
                let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
                let (mut wanted, mut scale) = (Vec::new(), Vec::new());
                for z in z.chunks(cols) {
                    for head in 0..count {
                        let columns = head * head_dim..(head + 1) * head_dim;
                        let part: Vec<f32> =
                            weights.values.chunks(cols).flat_map(|w| &w[columns.clone()]).copied().collect();
                        let z = twin::wide(&z[columns]);
                        wanted.extend(twin::linear(&z, &part, head_dim));
                        scale.extend(twin::linear_scale(&z, &part, head_dim));
                    }
                }
                agree_on_scale(&got, &wanted, &scale, outputs * count, F32_SUMS)
                    .map_err(|what| format!("[{rows}, {cols}], {count} heads: {what}"))?;
            }
        }
    }
    Ok(())
}

/// The results of all heads add up to the product.
async fn sums(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(24);
    for (count, head_dim, outputs) in [(1, 5, 1), (3, 21, 65), (9, 64, 577)] {
        let (rows, cols) = (3, count * head_dim);
        let (z, weights, bias) = (numbers.vector(rows * cols), numbers.vector(outputs * cols), numbers.vector(outputs));
        let (w, b) = (floats(&gpu, &weights, cols)?, vector(&gpu, &bias)?);
        for biased in [false, true] {
            let plan = recorded(&gpu, FEW, &z, cols, |recorder, z| {
                let results = recorder.head_results(&z, &w, &heads(count, head_dim));
                recorder.sum_heads(&results, count as u32, biased.then_some(&b))
            })?;
            let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
            let mut wanted = twin::linear(&twin::wide(&z), &weights, cols);
            if biased {
                wanted.iter_mut().zip(bias.iter().cycle()).for_each(|(y, &bias)| *y += f64::from(bias));
            }
            agree(&got, &wanted, outputs, F32_SUMS).map_err(|what| format!("{count} heads: {what}"))?;
        }
    }
    Ok(())
}
