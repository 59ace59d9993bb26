//! Features of many prompts in one batch.

use crate::edit::Edit;
use crate::engine::{Engine, PREFILL_ROWS};
use crate::features::{FeatureReading, features_of_rows};
use crate::harvest::{Harvest, steps};
use crate::pass_shape::PassShape;
use crate::{Controls, EngineError};
use tiller_kernels::{Draw, Row, Step, TapRows};

/// What to read.
#[derive(Clone, Debug)]
pub struct FeatureHarvest<'a> {
    /// Token ids; their lengths may differ.
    pub prompts: &'a [Vec<u32>],
    pub reading: &'a FeatureReading,
    /// They act on all prompts.
    pub edits: &'a [Edit],
}

/// The strongest features of one token.
#[derive(Clone, Debug, PartialEq)]
pub struct FeaturesRead {
    pub prompt: usize,
    pub position: u32,
    /// By number and value, descending; of equal values the first.
    pub features: Vec<(u32, f32)>,
}

impl Engine {
    /// Runs the prompts as [`Engine::harvest`] does, encodes the activation of every token on the device, and hands its
    /// strongest features to `sink`: eight bytes for each come back. `progress` is told the tokens done and in all.
    ///
    /// Errors as [`Engine::harvest`], and where the SAE does not fit the site or cannot be run in the pass.
    pub async fn harvest_features(
        &mut self,
        what: &FeatureHarvest<'_>,
        controls: &impl Controls,
        mut progress: impl FnMut(u64, u64),
        mut sink: impl FnMut(FeaturesRead),
    ) -> Result<(), EngineError> {
        let FeatureHarvest { prompts, reading, edits } = *what;
        self.check_reading(reading)?;
        let rows_of = Harvest { prompts, sites: &[], rows: TapRows::All, edits };
        let PassShape { edits: planned, keys, .. } = self.harvest_shape(&rows_of)?;
        let shape = PassShape::to_features(reading.clone(), planned, keys);
        let coefficients: Vec<f32> = edits.iter().map(|edit| edit.coefficient(edit.strength())).collect();
        let total = prompts.iter().map(|prompt| prompt.len() as u64).sum();
        let mut done = 0;
        for wave in self.waves(&rows_of) {
            for origins in steps(&wave) {
                if controls.cancelled() {
                    return Err(EngineError::Cancelled);
                }
                let rows: Vec<Row> = origins.iter().map(|origin| origin.row).collect();
                let step = Step { rows: &rows, picks: &[], sampling: Draw::GREEDY, coefficients: &coefficients };
                let (output, _) = self.submit(PREFILL_ROWS, &shape, &step)?.collect().await?;
                for (origin, features) in origins.iter().zip(features_of_rows(&output.taps[0], reading.most)) {
                    sink(FeaturesRead { prompt: origin.prompt, position: origin.row.position, features });
                }
                done += rows.len() as u64;
                progress(done, total);
                controls.pause().await;
            }
        }
        Ok(())
    }
}
