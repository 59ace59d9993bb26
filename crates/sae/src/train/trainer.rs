//! Training: one batch after another.

use super::backward::{Backward, Entry, Loss, by_feature};
use super::feature::{Batch, Feature, Learnt, Rate, add};
use super::on_device::Elsewhere;
use super::random::Random;
use super::select::{Candidate, across, candidates, largest};
use super::start::{Layout, features, layout, normalise};
use super::{ActivationRows, Batches, Device, Method, Setup, TrainError, TrainOptions, parallel, tiles};
use crate::{Activation, Normalisation, Sae};
use std::ops::ControlFlow;

/// Activations whose pre-activations are in a core's memory together.
pub(super) const ROWS_AT_ONCE: usize = 48;
/// Of JumpReLU. Pre-activations are of the order of 1 when training begins.
const FIRST_THRESHOLD: f32 = 0.1;
/// How fast BatchTopK's threshold follows that of the batches, as SAELens has it.
const THRESHOLD_RATE: f32 = 0.01;

/// An autoencoder in training.
pub struct Trainer {
    pub(super) options: TrainOptions,
    pub(super) width: usize,
    pub(super) layout: Layout,
    pub(super) features: Vec<Feature>,
    pub(super) bias: Learnt,
    /// Steps done.
    pub(super) steps: usize,
    /// The mean of the smallest value that a batch's features had, for BatchTopK.
    pub(super) lowest: Option<f32>,
    random: Random,
    /// Where steps are made elsewhere. What is here is then what was last brought back.
    pub(super) elsewhere: Option<Elsewhere>,
}

/// How training goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps done, and in all.
    pub step: usize,
    pub steps: usize,
    /// The fraction of the batch's variance that is not reconstructed.
    pub unexplained: f64,
    /// Active features of an activation, on average over the batch.
    pub l0: f64,
    /// Features that were not active for long.
    pub dead: usize,
}

/// Steps on a device between two at which it is asked how they go.
const ASK_EVERY: usize = 10;

/// Trains on activations that are read in a new order each time all have been. `say` is told how it goes after every
/// step (on a device after some), and may end it: what there is by then is returned. `device` makes the one that makes the
/// steps, where it is not to be the CPU. Errors where the options do not fit the activations, where training diverges, and
/// where the device fails.
pub async fn train(
    activations: &impl ActivationRows,
    options: &TrainOptions,
    device: Option<&mut dyn FnMut(&Setup) -> Result<Box<dyn Device>, TrainError>>,
    mut say: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Sae, TrainError> {
    let (mut trainer, mut batches) = Batches::begin(activations, options)?;
    if let Some(device) = device {
        trainer.move_to(device)?;
    }
    for step in 1..=options.steps {
        let ask = step % ASK_EVERY == 1 || step == options.steps;
        let progress = trainer.step(&batches.next(activations), ask).await?;
        if progress.is_some_and(|progress| say(&progress).is_break()) {
            break;
        }
    }
    trainer.bring_back().await?;
    Ok(trainer.finish())
}

/// What a batch does to the gradients, before any weight has moved.
pub(super) struct Gradients {
    pub inputs: Vec<f32>,
    pub errors: Vec<f32>,
    pub auxiliary: Vec<f32>,
    pub entries: Vec<Entry>,
    pub starts: Vec<usize>,
    pub bias: Vec<f32>,
    pub squared_errors: Vec<f32>,
    pub lowest: Option<f32>,
}

impl Gradients {
    pub fn batch(&self) -> Batch<'_> {
        Batch { inputs: &self.inputs, errors: &self.errors, auxiliary: &self.auxiliary }
    }

    pub fn of(&self, feature: usize) -> &[Entry] {
        &self.entries[self.starts[feature]..self.starts[feature + 1]]
    }
}

impl Trainer {
    /// `sample`: some of the activations, `[n, width]`, for their scale and middle.
    pub fn new(width: usize, options: &TrainOptions, sample: &[f32]) -> Result<Trainer, TrainError> {
        options.check(width)?;
        let layout = layout(sample, width)?;
        let mut random = Random::new(options.seed);
        Ok(Trainer {
            options: *options,
            width,
            features: features(options.method, options.d_sae, width, FIRST_THRESHOLD, &mut random),
            bias: Learnt::new(layout.median.clone()),
            layout,
            steps: 0,
            lowest: None,
            random,
            elsewhere: None,
        })
    }

    /// One step on a batch, `[n, width]` (on a device of the size that the options say): activations as the model has
    /// them. Returns how it goes: on a device only where it is asked, because that is waited for, or where it is looked at
    /// anyway. Where a device is lost, what was brought back last stays, and no further step can be made.
    pub async fn step(&mut self, activations: &[f32], ask: bool) -> Result<Option<Progress>, TrainError> {
        assert!(!activations.is_empty() && activations.len().is_multiple_of(self.width), "whole activations");
        let scaled: Vec<f32> = activations.iter().map(|x| x * self.layout.scale).collect();
        match self.elsewhere {
            Some(_) => self.step_elsewhere(&scaled, ask).await,
            None => self.step_here(&scaled).map(Some),
        }
    }

    fn step_here(&mut self, scaled: &[f32]) -> Result<Progress, TrainError> {
        let gradients = self.gradients(scaled);
        let rows = scaled.len() / self.width;
        let squared_error: f64 = gradients.squared_errors.iter().map(|&e| f64::from(e)).sum();
        if !squared_error.is_finite() {
            return Err(TrainError::Diverged { step: self.steps + 1 });
        }
        let active = gradients.entries.iter().filter(|entry| entry.active).count();

        let rate = self.next_rate();
        self.bias.step(&gradients.bias, rate);
        let batch = gradients.batch();
        parallel::for_each(&mut self.features, |i, feature| {
            let entries = gradients.of(i);
            feature.step(feature.gradients(entries, &batch), rate);
            let active = entries.iter().filter(|entry| entry.active).count() as u64;
            feature.silent_for = if active > 0 { 0 } else { feature.silent_for + rows as u64 };
        });
        if let Some(lowest) = gradients.lowest {
            self.lowest = Some(self.lowest.map_or(lowest, |mean| mean + THRESHOLD_RATE * (lowest - mean)));
        }
        let dead = self.dead();
        if self.resamples() {
            self.resample(&dead, &gradients.squared_errors, &gradients.errors);
        }
        Ok(self.progress(scaled, squared_error, active, dead.len()))
    }

    /// Counts a step, and says how far it goes.
    pub(super) fn next_rate(&mut self) -> Rate {
        self.steps += 1;
        Rate::at(self.options.learning_rate * self.schedule(), self.steps)
    }

    /// `active`: features of all activations of the batch together.
    pub(super) fn progress(&self, scaled: &[f32], squared_error: f64, active: usize, dead: usize) -> Progress {
        Progress {
            step: self.steps,
            steps: self.options.steps,
            unexplained: squared_error / variance(scaled, self.width).max(f64::MIN_POSITIVE),
            l0: active as f64 / (scaled.len() / self.width) as f64,
            dead,
        }
    }

    /// What has been learnt, of activations as the model has them; directions have length 1.
    pub fn finish(self) -> Sae {
        let d_sae = self.features.len();
        let rows = |of: fn(&Feature) -> &[f32]| self.features.iter().flat_map(of).copied().collect();
        let is_tied = matches!(self.options.method, Method::MatchingPursuit { .. });
        let activation = match self.options.method {
            Method::TopK { k } => Activation::TopK { k },
            Method::BatchTopK { .. } => Activation::JumpRelu { threshold: vec![self.lowest.unwrap_or(0.0); d_sae] },
            Method::Standard { .. } => Activation::Relu,
            Method::MatchingPursuit { k } => Activation::MatchingPursuit {
                residual_threshold: 0.0,
                max_iterations: k,
                stop_on_duplicate_support: false,
            },
            Method::JumpRelu { .. } => {
                Activation::JumpRelu { threshold: self.features.iter().map(Feature::threshold).collect() }
            }
        };
        let mut sae = Sae {
            d_in: self.width,
            d_sae,
            w_enc: if is_tied { Vec::new() } else { rows(|feature| &feature.encoder.values) },
            b_enc: if is_tied { Vec::new() } else { self.features.iter().map(Feature::bias).collect() },
            w_dec: rows(|feature| &feature.decoder.values),
            b_dec: self.bias.values,
            apply_b_dec_to_input: true,
            activation,
            normalisation: Normalisation::None,
            transcoder: None,
        };
        sae.fold_input_scale(self.layout.scale);
        sae.fold_direction_lengths();
        sae
    }

    /// `scaled`: `[n, width]`, of mean length `sqrt(width)`.
    pub(super) fn gradients(&self, scaled: &[f32]) -> Gradients {
        let (width, rows) = (self.width, scaled.len() / self.width);
        let mut inputs = scaled.to_vec();
        for x in inputs.chunks_exact_mut(width) {
            x.iter_mut().zip(&self.bias.values).for_each(|(x, b)| *x -= b);
        }
        let is_dead: Vec<bool> = self.features.iter().map(|feature| self.is_dead(feature)).collect();
        if let Method::MatchingPursuit { k } = self.options.method {
            return self.pursuit_gradients(&inputs, k, &is_dead);
        }
        let blocks = parallel::map(rows.div_ceil(ROWS_AT_ONCE), |block| {
            let first = block * ROWS_AT_ONCE * width;
            let inputs = &inputs[first..(first + ROWS_AT_ONCE * width).min(inputs.len())];
            self.candidates(inputs, &is_dead)
        });
        let (mut active, dead): (Vec<Vec<Candidate>>, Vec<Vec<Candidate>>) = blocks.into_iter().flatten().unzip();
        let lowest = match self.options.method {
            Method::BatchTopK { k } => across(&mut active, k),
            _ => None,
        };

        let loss = Loss {
            method: self.options.method,
            features: &self.features,
            share: 1.0 / rows as f32,
            penalty: self.warmed_up(),
            auxiliary_weight: self.options.auxiliary.map_or(0.0, |auxiliary| auxiliary.weight),
        };
        let found: Vec<Backward> = parallel::map(rows, |row| {
            loss.backward(row as u32, &inputs[row * width..(row + 1) * width], &active[row], &dead[row])
        });
        let (entries, starts) = by_feature(found.iter().flat_map(|row| &row.entries), self.features.len());
        let mut bias = vec![0.0; width];
        found.iter().for_each(|row| add(&mut bias, 1.0, &row.error));
        // The encoder reads what is left of an activation when the bias is taken off.
        for (feature, start) in self.features.iter().zip(starts.windows(2)) {
            let by_hidden: f32 = entries[start[0]..start[1]].iter().map(|entry| entry.by_hidden).sum();
            add(&mut bias, -by_hidden, &feature.encoder.values);
        }
        let flat = |of: fn(&Backward) -> &[f32], needed: bool| {
            let of_row = |row| {
                let values = of(row);
                if values.is_empty() { vec![0.0; width] } else { values.to_vec() }
            };
            if needed { found.iter().flat_map(of_row).collect() } else { Vec::new() }
        };
        Gradients {
            errors: flat(|row| &row.error, true),
            auxiliary: flat(|row| &row.auxiliary, entries.iter().any(|entry| entry.auxiliary)),
            squared_errors: found.iter().map(|row| row.squared_error).collect(),
            inputs,
            entries,
            starts,
            bias,
            lowest,
        }
    }

    /// Of each of a few inputs: the features that may be active, and the dead ones that reconstruct the rest.
    fn candidates(&self, inputs: &[f32], is_dead: &[bool]) -> Vec<(Vec<Candidate>, Vec<Candidate>)> {
        let mut hidden = tiles::products(inputs, self.width, &self.features);
        let auxiliary = self.options.auxiliary.filter(|_| is_dead.contains(&true));
        let of_row = |hidden: &mut [f32]| {
            hidden.iter_mut().zip(&self.features).for_each(|(h, feature)| *h += feature.bias());
            let active = candidates(self.options.method, hidden, |i| self.features[i].threshold());
            let dead = auxiliary.map_or(Vec::new(), |auxiliary| {
                hidden.iter_mut().zip(is_dead).filter(|(_, dead)| !**dead).for_each(|(h, _)| *h = 0.0);
                largest(hidden, auxiliary.k)
            });
            (active, dead)
        };
        hidden.chunks_exact_mut(self.features.len()).map(of_row).collect()
    }

    fn is_dead(&self, feature: &Feature) -> bool {
        feature.silent_for >= self.options.dead_after
    }

    pub(super) fn dead(&self) -> Vec<usize> {
        (0..self.features.len()).filter(|&i| self.is_dead(&self.features[i])).collect()
    }

    /// From 0 to 1 over the first steps.
    pub(super) fn warmed_up(&self) -> f32 {
        ((self.steps + 1) as f32 / self.options.warm_up.max(1) as f32).min(1.0)
    }

    /// Of the learning rate, at the step that is being made.
    fn schedule(&self) -> f32 {
        let left = (self.options.steps + 1).saturating_sub(self.steps) as f32;
        let rising = (self.steps as f32 / self.options.warm_up.max(1) as f32).min(1.0);
        rising * (left / self.options.decay.max(1) as f32).min(1.0)
    }

    /// Whether dead features are made anew at this step: where no auxiliary loss revives them.
    pub(super) fn resamples(&self) -> bool {
        let ends = self.options.steps - self.options.decay.min(self.options.steps);
        let penalised = matches!(self.options.method, Method::Standard { .. } | Method::JumpRelu { .. });
        penalised && self.options.auxiliary.is_none() && self.steps < ends
    }

    /// Makes dead features anew, along what was left of activations that are reconstructed badly: drawn by the square of
    /// their loss (Bricken et al. 2023, "Neuron resampling"). `errors`: reconstructions less activations, `[n, width]`,
    /// times anything above 0.
    pub(super) fn resample(&mut self, dead: &[usize], squared_errors: &[f32], errors: &[f32]) {
        let weights: Vec<f64> = squared_errors.iter().map(|&e| f64::from(e).powi(2)).collect();
        let total: f64 = weights.iter().sum();
        let alive = (self.features.len() - dead.len()).max(1) as f64;
        let length = |feature: &Feature| f64::from(tiles::dot(&feature.encoder.values, &feature.encoder.values)).sqrt();
        let lengths: f64 = self.features.iter().filter(|f| !self.is_dead(f)).map(length).sum();
        for &i in dead {
            let mut at = self.random.uniform() * total;
            let found = weights.iter().position(|weight| {
                at -= weight;
                at <= 0.0
            });
            let row = found.unwrap_or(0) * self.width..(found.unwrap_or(0) + 1) * self.width;
            // The error is the reconstruction less the activation.
            let mut direction: Vec<f32> = errors[row].iter().map(|e| -e).collect();
            normalise(&mut direction);
            let encoder = direction.iter().map(|d| d * (0.2 * lengths / alive) as f32).collect();
            self.features[i] = Feature::new(encoder, direction, FIRST_THRESHOLD);
        }
    }
}

/// The sum of the squared distances of rows from their mean.
fn variance(rows: &[f32], width: usize) -> f64 {
    let n = (rows.len() / width) as f64;
    let (mut sums, mut squares) = (vec![0f64; width], 0.0);
    for x in rows.chunks_exact(width) {
        sums.iter_mut().zip(x).for_each(|(sum, &x)| *sum += f64::from(x));
        squares += x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
    }
    squares - sums.iter().map(|sum| sum * sum).sum::<f64>() / n
}
