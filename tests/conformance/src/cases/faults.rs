//! A device that is lost while it works.

use tiller_kernels::{Draw, Gpu, GpuError, Step, Want};

use crate::run::{FEW, one_sequence, recorded, said};
use crate::{Case, Outcome};

pub fn cases() -> Vec<Case> {
    vec![Case::new("a lost device says so and keeps nobody waiting", lost)]
}

/// On a device of its own.
async fn lost(_: Gpu) -> Outcome {
    let gpu = Gpu::open().await.map_err(said)?;
    let plan = recorded(&gpu, FEW, &[1.0], 1, |_, x| x)?;
    let rows = one_sequence(1);
    let step = Step { rows: &rows, picks: &[], sampling: Draw::GREEDY, coefficients: &[] };
    let want = Want { taps: true, ..Want::default() };
    gpu.settled().await.map_err(said)?;
    let under_way = plan.submit(&step, want).map_err(said)?;
    gpu.lose();
    let read = plan.read(under_way).await.err();
    let settled = gpu.settled().await.err();
    let again = plan.submit(&step, want).err();
    for (what, error) in [("read", read), ("settled", settled), ("submitted", again)] {
        if !matches!(error, Some(GpuError::Lost(_))) {
            return Err(format!("{what}: {error:?}"));
        }
    }
    if gpu.lost().is_some() { Ok(()) } else { Err("not lost".to_owned()) }
}
