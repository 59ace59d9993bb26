//! Training sparse autoencoders on the GPU: a step is one replay of a plan, and weights stay there with Adam's means.
//!
//! All products are dense, of all features, whichever of them are active. With the errors `E = f D - x` of features
//! `f = gate(h)`, `h = x W^T + b`, of a batch of n activations, the mean loss `|E|^2 / n` has the gradients
//! `2/n f^T E` by the directions D, `G = 2/n E D^T` where the gate is open by h, `G^T x` by the encoder W, and
//! `2/n sum E - sum(G) W` by the bias that x is without.

use tiller_kernels::{
    BatchCut, Beside, Draw, Figures, Gpu, GpuError, Learnt, PreGradients, Product, Recorder, Row, Step, StepRule,
    Table, Vector, Want, WeightedSums,
};
use tiller_sae::train::{Device, Later, Method, Setup, StepFigures, StepScalars, TrainError, Weights};

/// Coefficients of a step: two over the batch's size, the same times the auxiliary loss's weight, the penalty over the
/// batch's size, and Adam's two numbers.
const FACTOR: u32 = 0;
const DEAD_FACTOR: u32 = 1;
const PENALTY: u32 = 2;
const ADAM: u32 = 3;

/// An autoencoder in training on a device.
pub struct SaeTraining {
    setup: Setup,
    d_sae: usize,
    /// `[batch, width]`, as given and as reconstructions miss them.
    batch: Vector,
    errors: Vector,
    encoder: Learnt,
    decoder: Learnt,
    /// `[2, d_sae]`: biases, logarithms of thresholds.
    scalars: Learnt,
    bias: Learnt,
    figures: Figures,
    cut: Option<BatchCut>,
    plan: tiller_kernels::Plan,
    rows: Vec<Row>,
}

impl SaeTraining {
    /// Errors where the method is not one for devices, and where the device cannot hold the weights or a batch's
    /// pre-activations.
    pub fn new(gpu: &Gpu, setup: &Setup) -> Result<SaeTraining, TrainError> {
        if !setup.method.suits_devices() {
            return Err(TrainError::Options("matching pursuit is trained on the CPU alone"));
        }
        SaeTraining::on(gpu, setup).map_err(failed)
    }

    fn on(gpu: &Gpu, setup: &Setup) -> Result<SaeTraining, GpuError> {
        let Weights { encoder, decoder, biases, ln_thresholds, bias } = &setup.weights;
        let (width, d_sae, batch) = (setup.width as u32, biases.len() as u32, setup.batch as u32);
        let zeros = |n: usize| Vector::new(gpu, &vec![0.0; n]);
        let given = zeros(setup.batch * setup.width)?;
        let errors = zeros(setup.batch * setup.width)?;
        let encoder = Learnt::new(gpu, encoder)?;
        let decoder = Learnt::new(gpu, decoder)?;
        let scalars = Learnt::new(gpu, &[biases.as_slice(), ln_thresholds].concat())?;
        let bias = Learnt::new(gpu, bias)?;
        let by_encoder = zeros(encoder.values.len())?;
        let by_decoder = zeros(decoder.values.len())?;
        let by_scalars = zeros(scalars.values.len())?;
        let by_bias = zeros(bias.values.len())?;
        let figures = Figures::new(gpu, d_sae, batch)?;
        let cut = match setup.method {
            Method::BatchTopK { .. } => Some(BatchCut::new(gpu)?),
            _ => None,
        };
        // Beyond what a device counts nothing is dead: a training is never that long.
        let dead_after = u32::try_from(setup.dead_after).unwrap_or(u32::MAX);

        let mut recorder = Recorder::new(gpu, batch);
        let encoders = Table::numbers(&encoder.values, width);
        let directions = Table::numbers(&decoder.values, width);
        let missed = Table::step_numbers(&errors, width);

        recorder.count_dead(&figures, dead_after);
        let x = recorder.less_vector(&given, &bias.values);
        let h = recorder
            .product(&Product { bias: Some(&scalars.values), ..Product::of(Table::act(&x), encoders.turned()) });
        let f = match (setup.method, &cut) {
            (Method::BatchTopK { k }, Some(cut)) => {
                recorder.batch_cut(&h, k as u32, cut);
                recorder.step_features(&h, StepRule::AboveCut(cut))
            }
            (Method::TopK { k }, _) => {
                let f = recorder.step_features(&h, StepRule::Positive);
                recorder.keep_largest(f, k as u32)
            }
            (Method::JumpRelu { .. }, _) => recorder.step_features(&h, StepRule::AboveThreshold(&scalars.values)),
            _ => recorder.step_features(&h, StepRule::Positive),
        };
        let less_x = Some(Beside::Less(Table::act(&x)));
        let written = Product { beside: less_x, ..Product::of(Table::act(&f), directions) };
        recorder.product_into(&written, missed, false);
        recorder.squared_rows(missed, &figures);
        let mut along = recorder.product(&Product { slot: Some(FACTOR), ..Product::of(missed, directions.turned()) });
        let by_directions = Product { slot: Some(FACTOR), ..Product::of(Table::act(&f).turned(), missed) };
        recorder.product_into(&by_directions, Table::numbers(&by_decoder, width), false);

        // What dead features make of what is left, less that: its opposite is what they are to reconstruct.
        let dead = setup.auxiliary.map(|auxiliary| {
            let dead = recorder.step_features(&h, StepRule::Dead(&figures, dead_after));
            let dead = recorder.keep_largest(dead, (auxiliary.k as u32).min(d_sae));
            let if_dead = Some(&figures);
            let error = recorder.product(&Product {
                beside: Some(Beside::Plus(missed)),
                slot: Some(DEAD_FACTOR),
                if_dead,
                ..Product::of(Table::act(&dead), directions)
            });
            let along_dead =
                recorder.product(&Product { if_dead, ..Product::of(Table::act(&error), directions.turned()) });
            let by_directions = Product { if_dead, ..Product::of(Table::act(&dead).turned(), Table::act(&error)) };
            recorder.product_into(&by_directions, Table::numbers(&by_decoder, width), true);
            (dead, along_dead)
        });

        let of = PreGradients {
            hidden: &h,
            features: &f,
            dead: dead.as_ref().map(|(dead, along)| (dead, along)),
            penalty: matches!(setup.method, Method::Standard { .. } | Method::JumpRelu { .. }).then_some(PENALTY),
            thresholds: match setup.method {
                Method::JumpRelu { bandwidth, .. } => Some((&scalars.values, bandwidth)),
                _ => None,
            },
        };
        along = recorder.pre_gradients(&of, along, &by_scalars, &figures);
        recorder.product_into(
            &Product::of(Table::act(&along).turned(), Table::act(&x)),
            Table::numbers(&by_encoder, width),
            false,
        );
        let all_missed = WeightedSums { of: missed, weights: None, factor: 1.0, slot: Some(FACTOR) };
        recorder.column_sums(&all_missed, &by_bias, false);
        // The encoder reads what is left of an activation when the bias is taken off.
        let read = WeightedSums { of: encoders, weights: Some(&by_scalars), factor: -1.0, slot: None };
        recorder.column_sums(&read, &by_bias, true);

        recorder.learn(&encoder, &by_encoder, None, ADAM);
        recorder.learn(&decoder, &by_decoder, Some(width), ADAM);
        recorder.learn(&scalars, &by_scalars, None, ADAM);
        recorder.learn(&bias, &by_bias, None, ADAM);
        drop((x, h, f, along, dead));
        let plan = recorder.finish()?;
        Ok(SaeTraining {
            d_sae: d_sae as usize,
            setup: Setup { weights: Weights::default(), ..setup.clone() },
            batch: given,
            errors,
            encoder,
            decoder,
            scalars,
            bias,
            figures,
            cut,
            plan,
            rows: vec![Row::default(); batch as usize],
        })
    }

    fn submit(&self, batch: &[f32], scalars: &StepScalars) -> Result<(), GpuError> {
        let share = 1.0 / self.setup.batch as f32;
        let penalty = match self.setup.method {
            Method::Standard { sparsity } | Method::JumpRelu { sparsity, .. } => sparsity * scalars.penalty * share,
            _ => 0.0,
        };
        let auxiliary = self.setup.auxiliary.map_or(0.0, |auxiliary| auxiliary.weight);
        let coefficients = [2.0 * share, 2.0 * share * auxiliary, penalty, scalars.size, scalars.root];
        self.batch.write(batch)?;
        let step = Step { rows: &self.rows, picks: &[], sampling: Draw::GREEDY, coefficients: &coefficients };
        self.plan.submit(&step, Want::default())?;
        Ok(())
    }

    async fn read_figures(&self) -> Result<StepFigures, GpuError> {
        let (silent, active, squared_errors) = self.figures.read().await?;
        let lowest = match &self.cut {
            Some(cut) => cut.read().await?.1,
            None => None,
        };
        Ok(StepFigures { squared_errors, silent_for: silent.into_iter().map(u64::from).collect(), active, lowest })
    }

    async fn read_weights(&self) -> Result<Weights, GpuError> {
        let all = async |numbers: &Vector| numbers.read(0, numbers.len()).await;
        let mut biases = all(&self.scalars.values).await?;
        let ln_thresholds = biases.split_off(self.d_sae);
        Ok(Weights {
            encoder: all(&self.encoder.values).await?,
            decoder: all(&self.decoder.values).await?,
            biases,
            ln_thresholds,
            bias: all(&self.bias.values).await?,
        })
    }
}

fn failed(error: GpuError) -> TrainError {
    TrainError::Device(match error {
        GpuError::Lost(reason) => format!("the graphics device was lost ({reason}): train on the CPU, or try again"),
        GpuError::TooLarge { bytes, limit, .. } => format!(
            "training needs {bytes} bytes in one buffer, and this device allows {limit}: choose fewer features or a \
             smaller batch, or train on the CPU"
        ),
        GpuError::OutOfMemory(what) => {
            format!("the graphics device is out of memory ({what}): choose fewer features, or train on the CPU")
        }
        error => error.to_string(),
    })
}

impl Device for SaeTraining {
    fn step(&mut self, batch: &[f32], scalars: &StepScalars) -> Result<(), TrainError> {
        self.submit(batch, scalars).map_err(failed)
    }

    fn figures(&mut self) -> Later<'_, StepFigures> {
        Box::pin(async { self.read_figures().await.map_err(failed) })
    }

    fn errors(&mut self) -> Later<'_, Vec<f32>> {
        Box::pin(async { self.errors.read(0, self.errors.len()).await.map_err(failed) })
    }

    fn weights(&mut self) -> Later<'_, Weights> {
        Box::pin(async { self.read_weights().await.map_err(failed) })
    }

    fn replace(
        &mut self,
        feature: usize,
        encoder: &[f32],
        decoder: &[f32],
        scalars: [f32; 2],
    ) -> Result<(), TrainError> {
        let first = feature * self.setup.width;
        let replaced = self
            .encoder
            .begin_anew(first, encoder)
            .and_then(|()| self.decoder.begin_anew(first, decoder))
            .and_then(|()| self.scalars.begin_anew(feature, &scalars[..1]))
            .and_then(|()| self.scalars.begin_anew(self.d_sae + feature, &scalars[1..]))
            .and_then(|()| self.figures.forget_silence(feature as u32));
        replaced.map_err(failed)
    }
}
