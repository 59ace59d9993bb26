//! What a device cannot bind or dispatch at once is split; what cannot be split is refused.

use tiller_kernels::{Gpu, GpuError, KvCache, Matrix, Quant, Recorder, TapRows};

use crate::dequantise::random;
use crate::numbers::{F32_SUMS, Numbers, agree};
use crate::run::{FEW, MANY, floats, matrix, one_sequence, recorded, said, tapped};
use crate::{Case, Outcome, twin};

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("more workgroups than one dimension holds", wide_grid),
        Case::new("what exceeds a binding is refused", too_large),
    ];
    for capacity in [FEW, MANY] {
        cases
            .push(Case::new(format!("a matrix in many parts, capacity {capacity}"), move |gpu| sharded(gpu, capacity)));
    }
    cases
}

/// A table and a matrix of 577 rows, of which a binding holds 85 and 170.
async fn sharded(gpu: Gpu, capacity: u32) -> Outcome {
    let (cols, outputs, rows) = (96, 577, 4);
    let mut numbers = Numbers::new(18);
    let weights = random(Quant::Q4_1, outputs, cols, &mut numbers)?;
    let table = random(Quant::Q8_0, outputs, cols, &mut numbers)?;
    let x: Vec<f32> = (0..rows).flat_map(|row| table.values[row * 190 * cols..][..cols].to_vec()).collect();
    // Activations and taps do not get smaller: only the matrices are made under the limit.
    gpu.limit_bindings(85 * cols as u64);
    let w = matrix(&gpu, Quant::Q4_1, &weights, cols)?;
    let t = matrix(&gpu, Quant::Q8_0, &table, cols)?;
    gpu.limit_bindings(u64::MAX);
    let mut recorder = Recorder::new(&gpu, capacity);
    let embedded = recorder.embed(&t);
    let y = recorder.linear(&embedded, &[w], None, None);
    recorder.tap(&y, TapRows::All);
    drop((embedded, y));
    let plan = recorder.finish().map_err(said)?;
    // One dispatch for each part of the table, for each part of the matrix, and for the tap.
    if plan.stats().dispatches != 7 + 4 + 1 {
        return Err(format!("{} dispatches", plan.stats().dispatches));
    }
    let mut step = one_sequence(rows);
    step.iter_mut().for_each(|row| row.token *= 190);
    let got = tapped(&plan, &step, &[], &[]).await?;
    agree(&got, &twin::linear(&twin::wide(&x), &weights.values, cols), outputs, F32_SUMS)
}

async fn wide_grid(gpu: Gpu) -> Outcome {
    // Eight outputs a workgroup: 66,250 workgroups.
    let (cols, outputs) = (3, 530_000);
    let mut numbers = Numbers::new(19);
    let x = numbers.vector(2 * cols);
    let weights = numbers.vector(outputs * cols);
    let w = floats(&gpu, &weights, cols)?;
    let plan = recorded(&gpu, FEW, &x, cols, |recorder, x| recorder.linear(&x, &[w], None, None))?;
    let got = tapped(&plan, &one_sequence(2), &[], &[]).await?;
    agree(&got, &twin::linear(&twin::wide(&x), &weights, cols), outputs, F32_SUMS)
}

async fn too_large(gpu: Gpu) -> Outcome {
    gpu.limit_bindings(1024);
    let one_row = Matrix::new(&gpu, Quant::F32, 2, 1000).err();
    let cache = KvCache::new(&gpu, 1, 100, 64).err();
    let refused = |error: &Option<GpuError>| matches!(error, Some(GpuError::TooLarge { limit: 1024, .. }));
    if refused(&one_row) && refused(&cache) { Ok(()) } else { Err(format!("{one_row:?}, {cache:?}")) }
}
