//! What a device does once, before anybody waits for it.

use crate::Session;
use tiller_engine::{BackendKind, Controls, Edit, EngineError, Generation, Lane, Sampling, Site};

/// Tokens of a prompt that goes through the kernels for many rows.
const MANY: usize = 8;

/// Tokens by which it is measured how long one takes.
const MEASURED: u32 = 5;

impl Session {
    /// Writes two tokens, plain and steered, so that shaders are compiled and memory is touched: a browser compiles a
    /// shader when it is first used. Afterwards neither a prompt nor a token, with or without a vector added, has to wait
    /// for that. Then finds out how many tokens should come back from the device at once. `seconds` is a clock.
    pub async fn warm_up(&mut self, controls: &impl Controls, seconds: impl Fn() -> f64) -> Result<(), EngineError> {
        let config = self.engine.config();
        let nothing = vec![0.0; config.width as usize];
        let edits = vec![Edit::add(Site::ResidPost(config.layers / 2), nothing, 0.0)];
        let lane = |edits: &[usize], tokens: usize| Lane { prompt: vec![0; tokens], edits: edits.to_vec() };
        let lanes = match self.engine.backend() {
            BackendKind::Gpu => vec![lane(&[], MANY), lane(&[0], MANY)],
            // Nothing is compiled there, and a prompt takes longer.
            BackendKind::Cpu => vec![lane(&[], 2)],
        };
        let what = Generation {
            lanes,
            edits,
            sampling: Sampling::GREEDY,
            max_tokens: 2,
            end_tokens: Vec::new(),
            alternatives: true,
            features: None,
        };
        self.engine.generate(&what, controls, &seconds, |_| {}).await?;
        if self.engine.backend() == BackendKind::Gpu && !controls.cancelled() {
            self.engine.read_together(1);
            let again = Generation { max_tokens: MEASURED, ..what };
            let (_, timing) = self.engine.generate(&again, controls, &seconds, |_| {}).await?;
            if let Some(rate) = timing.decode_rate() {
                self.engine.fit_readings(rate.recip(), &seconds).await?;
            }
        }
        Ok(())
    }
}
