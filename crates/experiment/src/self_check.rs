//! Whether a GPU computes what the CPU computes.
//!
//! Some drivers compile a kernel into something else, and say nothing. A model made up on the spot runs on both, through
//! the kernels for prompts and through those for writing, with its weights in the format that is to be used.

use crate::{LoadError, Session};
use tiller_engine::{Controls, Engine, EngineError, Generation, Gpu, Harvest, Lane, Sampling, Site, TapRows};
use tiller_formats::Quant;
use tiller_model::TinyLlama;

/// The difference up to which two devices are taken to compute the same: sums in another order differ by a thousandth
/// of this, a wrong kernel by a thousand times as much.
pub const SELF_CHECK_TOLERANCE: f32 = 1e-2;

const CONTEXT: u32 = 64;
const PROMPT: [u32; 12] = [1, 70, 90, 110, 17, 200, 3, 45, 45, 130, 9, 61];
const WRITTEN: u32 = 4;

/// The largest difference between the GPU's and the CPU's logits, as a share of the largest logit. Weights are in
/// `quant`; infinite where the GPU's numbers are none.
pub async fn self_check(gpu: &Gpu, quant: Quant, controls: &impl Controls) -> Result<f32, LoadError> {
    // The width of whole blocks in every format.
    let model = TinyLlama { layers: 1, width: 256, ffn: 256, context: CONTEXT, quant, ..TinyLlama::default() };
    let Ok(file) = model.to_gguf() else { return Ok(0.0) };
    let on_cpu = Session::load(&file, None, CONTEXT, controls, |_, _| {}).await?;
    let on_gpu = Session::load(&file, Some(gpu.clone()), CONTEXT, controls, |_, _| {}).await?;
    let expected = numbers(on_cpu.engine, controls).await?;
    let found = numbers(on_gpu.engine, controls).await?;
    Ok(difference(&expected, &found))
}

/// The logits at every token of a prompt, and the log-probabilities of what is written after it.
async fn numbers(mut engine: Engine, controls: &impl Controls) -> Result<Vec<f32>, EngineError> {
    let mut numbers = Vec::new();
    let read = Harvest { prompts: &[PROMPT.to_vec()], sites: &[Site::Logits], rows: TapRows::All, edits: &[] };
    engine.harvest(&read, controls, |_, _| {}, |reading| numbers.extend_from_slice(reading.values)).await?;
    let write = Generation {
        lanes: vec![Lane { prompt: PROMPT.to_vec(), edits: Vec::new() }],
        edits: Vec::new(),
        sampling: Sampling::GREEDY,
        max_tokens: WRITTEN,
        end_tokens: Vec::new(),
        alternatives: false,
        features: None,
    };
    engine.generate(&write, controls, || 0.0, |written| numbers.push(written.drawn.log_prob)).await?;
    Ok(numbers)
}

fn difference(expected: &[f32], found: &[f32]) -> f32 {
    let largest = expected.iter().fold(0f32, |largest, number| largest.max(number.abs()));
    if expected.len() != found.len() || found.iter().any(|number| !number.is_finite()) || largest == 0.0 {
        return f32::INFINITY;
    }
    expected.iter().zip(found).fold(0f32, |most, (a, b)| most.max((a - b).abs())) / largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_computes_the_same_on_this_machines_gpu() {
        pollster::block_on(async {
            let gpu = Gpu::open().await.expect("a Vulkan driver, if only a software one");
            for quant in Quant::ALL {
                let difference = self_check(&gpu, quant, &()).await.unwrap();
                assert!(difference > 0.0 && difference < SELF_CHECK_TOLERANCE / 10.0, "{quant}: {difference}");
            }
        });
    }

    #[test]
    fn wrong_numbers_are_told_from_rounded_ones() {
        let right = [1.0, -20.0, 3.0];
        assert!(difference(&right, &[1.0001, -20.0, 3.0]) < SELF_CHECK_TOLERANCE);
        for wrong in [&[1.0, -20.0, 4.0][..], &[1.0, f32::NAN, 3.0], &[1.0, -20.0], &[0.0, 0.0, 0.0]] {
            assert!(difference(&right, wrong) > SELF_CHECK_TOLERANCE, "{wrong:?}");
        }
    }
}
