//! Which of a GPU's ways to compute serves a model best: found once by trying, kept by the caller, taken again.

use crate::Session;
use std::collections::BTreeMap;
use tiller_engine::{Gpu, Tiers, Workload};
use tiller_formats::Quant;
use tiller_model::ModelConfig;

/// What was found for a device and a model's products, to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuned {
    /// Names the device, its driver, the kernels and the products.
    pub device: String,
    /// The choices in words, as [`Tiers`] writes them.
    pub tiers: String,
}

/// Has the session's GPU compute in the way that `kept` says (by [`Tuned::device`]), or else tries which is best and
/// returns what is to be kept. What is kept in words that are none is tried again. Nothing is done on the CPU; nor by a
/// trial that fails, which leaves the usual choices. `seconds` is a clock. To be called before anything is computed:
/// what has been recorded stays as it is.
pub async fn tune(session: &Session, kept: &BTreeMap<String, String>, seconds: impl Fn() -> f64) -> Option<Tuned> {
    // A software adapter is no device to be explored: all its ways are slow, and it shares the processor with others.
    let gpu = session.engine.gpu().filter(|gpu| !gpu.adapter().software)?;
    tune_on(gpu, workload(session.engine.config(), &session.facts.quants, &session.facts.quantisation)?, kept, seconds)
        .await
}

async fn tune_on(
    gpu: &Gpu,
    workload: Workload,
    kept: &BTreeMap<String, String>,
    seconds: impl Fn() -> f64,
) -> Option<Tuned> {
    let device = workload.key(gpu);
    if let Some(tiers) = kept.get(&device).and_then(|words| words.parse::<Tiers>().ok()) {
        gpu.set_tiers(tiers);
        return None;
    }
    let tiers = gpu.tune(workload, seconds).await.ok()?.to_string();
    Some(Tuned { device, tiers })
}

/// The products of a model's MLP, in the format that most of its weights are in, or else in the first that they can be
/// in.
fn workload(config: &ModelConfig, quants: &[Quant], most: &str) -> Option<Workload> {
    let fits = |quant: &&Quant| {
        [config.width, config.ffn].iter().all(|&cols| cols > 0 && quant.row_bytes(cols as usize).is_some())
    };
    let of_most = quants.iter().filter(|quant| quant.name() == most).find(fits);
    let quant = *of_most.or_else(|| quants.iter().find(fits))?;
    Some(Workload { quant, width: config.width, hidden: config.ffn })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_taken_and_what_is_damaged_is_tried_again() {
        pollster::block_on(async {
            let gpu = Gpu::open().await.expect("a Vulkan driver, if only a software one");
            let usual = gpu.tiers();
            let workload = Workload { quant: Quant::Q8_0, width: 64, hidden: 96 };
            let found = tune_on(&gpu, workload, &BTreeMap::new(), || 0.0).await.expect("a trial");
            assert_eq!(found, Tuned { device: workload.key(&gpu), tiers: usual.to_string() });

            for other in ["spread workgroup", "compact workgroup"] {
                let kept = BTreeMap::from([(found.device.clone(), other.to_owned())]);
                assert_eq!(tune_on(&gpu, workload, &kept, || 0.0).await, None);
                assert_eq!(gpu.tiers().to_string(), other);
            }

            gpu.set_tiers(usual);
            for (device, tiers) in [(found.device.as_str(), "<b>"), ("another device", "spread workgroup")] {
                let kept = BTreeMap::from([(device.to_owned(), tiers.to_owned())]);
                assert_eq!(tune_on(&gpu, workload, &kept, || 0.0).await, Some(found.clone()), "{tiers}");
            }
        });
    }
}
