//! However threads put together what they have, they do it along the same tree: to the bit, the same numbers.

use tiller_kernels::{Gpu, Norm, NormKind, Quant, Recorder, Reduction, TapRows, Tiers};

use crate::numbers::Numbers;
use crate::run::{FEW, floats, matrix, one_sequence, said, tapped, vector};
use crate::{Case, Outcome, dequantise};

pub fn cases() -> Vec<Case> {
    [NormKind::Rms, NormKind::Layer]
        .map(|kind| {
            Case::new(format!("{kind:?} norm and product by either reduction"), move |gpu| same_bits(gpu, kind))
        })
        .into()
}

/// A norm, and a product with a norm folded in, for one to four rows. Where there are no subgroups, both are the same
/// kernel.
async fn same_bits(gpu: Gpu, kind: NormKind) -> Outcome {
    let (cols, outputs) = (576, 65);
    let mut numbers = Numbers::new(70);
    let table = floats(&gpu, &numbers.vector(FEW as usize * cols), cols)?;
    let weights = dequantise::random(Quant::Q8_0, outputs, cols, &mut numbers)?;
    let w = matrix(&gpu, Quant::Q8_0, &weights, cols)?;
    let gain = vector(&gpu, &numbers.vector(cols))?;
    let norm = Norm { kind, gain: &gain, bias: None, epsilon: 1e-5 };
    let mut plans = Vec::new();
    let tiers = gpu.tiers();
    for reduction in Reduction::ALL {
        gpu.set_tiers(Tiers { reduction, ..tiers });
        let mut recorder = Recorder::new(&gpu, FEW);
        let x = recorder.embed(&table);
        let normed = recorder.norm(&x, norm);
        let folded = recorder.linear(&x, std::slice::from_ref(&w), None, Some(norm));
        let plain = recorder.linear(&normed, std::slice::from_ref(&w), None, None);
        let both = recorder.add(&folded, plain);
        recorder.tap(&both, TapRows::All);
        drop((x, normed, folded, both));
        plans.push(recorder.finish().map_err(said));
    }
    gpu.set_tiers(tiers);
    let plans = plans.into_iter().collect::<Result<Vec<_>, _>>()?;
    for rows in 1..=FEW as usize {
        let mut found = Vec::new();
        for plan in &plans {
            found.push(tapped(plan, &one_sequence(rows), &[], &[]).await?);
        }
        if let Some(at) = (0..found[0].len()).find(|&at| found[0][at].to_bits() != found[1][at].to_bits()) {
            return Err(format!("{rows} rows: number {at} is {} or {}", found[0][at], found[1][at]));
        }
    }
    Ok(())
}
