//! Steps that a device makes.

use super::device::{Device, Setup, StepScalars, Weights};
use super::feature::Feature;
use super::trainer::Progress;
use super::{TrainError, Trainer};

/// The device, and when it has to be looked at.
pub(super) struct Elsewhere {
    device: Box<dyn Device>,
    /// The first step at which a feature may be dead, if it is not active before.
    may_be_dead_at: usize,
    /// Whether it answered the last time that it was asked.
    works: bool,
}

impl Trainer {
    /// Goes on with the device that `make` makes, from the weights as they are; Adam's means begin anew. Errors where the
    /// method is not one for devices, and as `make` does.
    pub fn move_to(
        &mut self,
        make: &mut dyn FnMut(&Setup) -> Result<Box<dyn Device>, TrainError>,
    ) -> Result<(), TrainError> {
        if !self.options.method.suits_devices() {
            return Err(TrainError::Options("matching pursuit is trained on the CPU alone"));
        }
        let rows = |of: fn(&Feature) -> &[f32]| self.features.iter().flat_map(of).copied().collect();
        let setup = Setup {
            method: self.options.method,
            auxiliary: self.options.auxiliary,
            dead_after: self.options.dead_after,
            batch: self.options.batch,
            width: self.width,
            weights: Weights {
                encoder: rows(|feature| &feature.encoder.values),
                decoder: rows(|feature| &feature.decoder.values),
                biases: self.features.iter().map(|feature| feature.scalars.values[0]).collect(),
                ln_thresholds: self.features.iter().map(|feature| feature.scalars.values[1]).collect(),
                bias: self.bias.values.clone(),
            },
        };
        let device = make(&setup)?;
        self.elsewhere = Some(Elsewhere { device, may_be_dead_at: 0, works: true });
        self.elsewhere_may_be_dead();
        Ok(())
    }

    /// Whether a device makes the steps.
    pub fn is_on_device(&self) -> bool {
        self.elsewhere.is_some()
    }

    /// Whether steps can still be made: a device that failed makes no more.
    pub fn can_go_on(&self) -> bool {
        self.elsewhere.as_ref().is_none_or(|elsewhere| elsewhere.works)
    }

    /// Brings the weights back from a device; nothing where there is none.
    pub async fn bring_back(&mut self) -> Result<(), TrainError> {
        let Some(elsewhere) = &mut self.elsewhere else { return Ok(()) };
        let weights = elsewhere.device.weights().await;
        let Weights { encoder, decoder, biases, ln_thresholds, bias } = self.answered(weights)?;
        let (encoders, decoders) = (encoder.chunks_exact(self.width), decoder.chunks_exact(self.width));
        let scalars = biases.iter().zip(&ln_thresholds);
        for (feature, ((encoder, decoder), (&own, &ln_threshold))) in
            self.features.iter_mut().zip(encoders.zip(decoders).zip(scalars))
        {
            feature.encoder.values.copy_from_slice(encoder);
            feature.decoder.values.copy_from_slice(decoder);
            feature.scalars.values = vec![own, ln_threshold];
        }
        self.bias.values = bias;
        Ok(())
    }

    /// What [`Trainer::step`] does, where a device does it.
    pub(super) async fn step_elsewhere(&mut self, scaled: &[f32], ask: bool) -> Result<Option<Progress>, TrainError> {
        let penalty = self.warmed_up();
        let rate = self.next_rate();
        let resamples = self.resamples();
        let Some(elsewhere) = &mut self.elsewhere else { return Ok(None) };
        let made = elsewhere.device.step(scaled, &StepScalars { size: rate.size, root: rate.root, penalty });
        let looks = ask || (resamples && self.steps >= elsewhere.may_be_dead_at);
        self.answered(made)?;
        if !looks {
            return Ok(None);
        }
        let Some(elsewhere) = &mut self.elsewhere else { return Ok(None) };
        let figures = elsewhere.device.figures().await;
        let figures = self.answered(figures)?;
        let squared_error: f64 = figures.squared_errors.iter().map(|&e| f64::from(e)).sum();
        if !squared_error.is_finite() {
            return Err(TrainError::Diverged { step: self.steps });
        }
        self.features.iter_mut().zip(&figures.silent_for).for_each(|(feature, &silent)| feature.silent_for = silent);
        self.lowest = figures.lowest;
        let dead = self.dead();
        if resamples && !dead.is_empty() {
            self.bring_back().await?;
            let Some(elsewhere) = &mut self.elsewhere else { return Ok(None) };
            let errors = elsewhere.device.errors().await;
            let errors = self.answered(errors)?;
            self.resample(&dead, &figures.squared_errors, &errors);
            let Some(elsewhere) = &mut self.elsewhere else { return Ok(None) };
            let replaced = dead.iter().try_for_each(|&i| {
                let feature = &self.features[i];
                let scalars = [feature.scalars.values[0], feature.scalars.values[1]];
                elsewhere.device.replace(i, &feature.encoder.values, &feature.decoder.values, scalars)
            });
            self.answered(replaced)?;
        }
        self.elsewhere_may_be_dead();
        let active = figures.active.iter().map(|&active| active as usize).sum();
        Ok(Some(self.progress(scaled, squared_error, active, dead.len())))
    }

    /// From how long features have been silent by now, the first step at which one of them may be dead.
    fn elsewhere_may_be_dead(&mut self) {
        let longest = self.features.iter().map(|feature| feature.silent_for).max().unwrap_or(0);
        let left = self.options.dead_after.saturating_sub(longest).div_ceil(self.options.batch as u64);
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.may_be_dead_at = self.steps + left.max(1) as usize;
        }
    }

    fn answered<T>(&mut self, answer: Result<T, TrainError>) -> Result<T, TrainError> {
        if let (Err(_), Some(elsewhere)) = (&answer, &mut self.elsewhere) {
            elsewhere.works = false;
        }
        answer
    }
}
