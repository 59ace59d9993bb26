//! Training an autoencoder: which features of a batch are active, their gradients, and the steps of what is learnt.

use super::dense::NO_SLOT;
use super::{Bound, Recorded, Recorder, Table, by_element};
use crate::act::{Act, Over};
use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::grid::{Along, Grid};
use crate::kernel::Kernel;
use crate::vector::Vector;

/// Columns that a workgroup sums, and that it counts (`shaders/column_sums.wgsl`, `shaders/batch_histogram.wgsl`).
const SUMMED: u32 = 32;
const COUNTED: u32 = 4096;
/// Numbers that a workgroup learns where they are not directions.
const LEARNT: u32 = 1024;

/// How a batch went, as words: how many features are dead; for how many activations each was silent; at how many
/// activations of the batch each was active; the bits of each activation's squared error.
#[derive(Clone, Debug)]
pub struct Figures {
    numbers: Vector,
    features: u32,
    rows: u32,
}

impl Figures {
    /// For up to `rows` activations in a batch. Errors where they exceed what the device binds.
    pub fn new(gpu: &Gpu, features: u32, rows: u32) -> Result<Figures, GpuError> {
        let words = 1 + 2 * features as usize + rows as usize;
        Ok(Figures { numbers: Vector::new(gpu, &vec![0.0; words])?, features, rows })
    }

    /// For how many activations each feature was silent, at how many of the last batch each was active, and the squared
    /// error of each of that batch's.
    pub async fn read(&self) -> Result<(Vec<u32>, Vec<u32>, Vec<f32>), GpuError> {
        let words = self.numbers.read(0, self.numbers.len()).await?;
        let (counts, errors) = words[1..].split_at(2 * self.features as usize);
        let mut silent: Vec<u32> = counts.iter().map(|count| count.to_bits()).collect();
        let active = silent.split_off(self.features as usize);
        Ok((silent, active, errors.to_vec()))
    }

    /// A feature begins anew.
    pub fn forget_silence(&self, feature: u32) -> Result<(), GpuError> {
        self.numbers.write_part(1 + feature as usize, &[0.0])
    }

    pub(crate) fn numbers(&self) -> &Vector {
        &self.numbers
    }
}

/// From which value on a batch's features are kept, and the mean of that over the batches.
#[derive(Clone, Debug)]
pub struct BatchCut(Vector);

impl BatchCut {
    pub fn new(gpu: &Gpu) -> Result<BatchCut, GpuError> {
        Ok(BatchCut(Vector::new(gpu, &[0.0; 4 + 256])?))
    }

    /// The last batch's: the bits of the value (all set where nothing was above 0), and the mean over batches.
    pub async fn read(&self) -> Result<(u32, Option<f32>), GpuError> {
        let words = self.0.read(0, 4).await?;
        Ok((words[0].to_bits(), (words[3].to_bits() == 1).then_some(words[2])))
    }
}

/// Which features of a step are let through.
#[derive(Clone, Copy, Debug)]
pub enum StepRule<'a> {
    /// Those above 0.
    Positive,
    /// Those above their thresholds: `[2, features]`, biases and the logarithms of the thresholds.
    AboveThreshold(&'a Vector),
    /// Those above 0 and not below the batch's cut.
    AboveCut(&'a BatchCut),
    /// Those above 0 of features that were silent for as many activations.
    Dead(&'a Figures, u32),
}

/// Numbers that are learnt, with Adam's running means of their gradients and of those squared.
#[derive(Clone, Debug)]
pub struct Learnt {
    pub values: Vector,
    pub means: Vector,
    pub squares: Vector,
}

impl Learnt {
    pub fn new(gpu: &Gpu, values: &[f32]) -> Result<Learnt, GpuError> {
        let zeros = vec![0.0; values.len()];
        Ok(Learnt {
            values: Vector::new(gpu, values)?,
            means: Vector::new(gpu, &zeros)?,
            squares: Vector::new(gpu, &zeros)?,
        })
    }

    /// Replaces some numbers, which begin anew.
    pub fn begin_anew(&self, first: usize, values: &[f32]) -> Result<(), GpuError> {
        let zeros = vec![0.0; values.len()];
        self.values.write_part(first, values)?;
        self.means.write_part(first, &zeros)?;
        self.squares.write_part(first, &zeros)
    }
}

/// What the gradients by pre-activations are made from, `[rows, features]` each.
#[derive(Clone, Copy, Debug)]
pub struct PreGradients<'a> {
    pub hidden: &'a Act,
    pub features: &'a Act,
    /// The dead features', and the gradient by those.
    pub dead: Option<(&'a Act, &'a Act)>,
    /// The slot of the penalty on a feature, by its share of the batch, where there is one.
    pub penalty: Option<u32>,
    /// `[2, features]`, biases and the logarithms of the thresholds, and the window through which these are learnt.
    pub thresholds: Option<(&'a Vector, f32)>,
}

/// `factor c sum_r w_r x_r`, where c is the coefficient of a slot of the step's, or 1.
#[derive(Clone, Copy, Debug)]
pub struct WeightedSums<'a> {
    pub of: Table<'a>,
    /// One for each row at least; 1 where there are none.
    pub weights: Option<&'a Vector>,
    pub factor: f32,
    pub slot: Option<u32>,
}

impl Recorder {
    /// `x - v`, where x is the step's rows, `[rows, len of v]`.
    pub fn less_vector(&mut self, x: &Vector, v: &Vector) -> Act {
        let width = v.len() as u32;
        self.expect(x.len() >= self.row_capacity as usize * v.len(), || {
            format!("{} numbers for rows of {width}", x.len())
        });
        let y = self.act(Over::Rows, width);
        self.recorded.push(Recorded {
            kernels: vec![Kernel::LessVector],
            dims: vec![width, y.stride()],
            bound: vec![Bound::Memory(x.memory()), Bound::Memory(v.memory()), self.bind(&y)],
            grid: by_element(&y),
        });
        y
    }

    /// The cut from which on the `k` largest of a batch's pre-activations, times its activations, are kept.
    pub fn batch_cut(&mut self, h: &Act, k: u32, cut: &BatchCut) {
        // Eight bits at a time.
        for shift in [24, 16, 8, 0] {
            self.recorded.push(Recorded {
                kernels: vec![Kernel::BatchHistogram],
                dims: vec![h.width(), h.stride(), shift],
                bound: vec![self.bind(h), Bound::Memory(cut.0.memory())],
                grid: Grid { across: h.width().div_ceil(COUNTED), along: Along::Rows },
            });
            self.recorded.push(Recorded {
                kernels: vec![Kernel::BatchCut],
                dims: vec![shift, k],
                bound: vec![Bound::Memory(cut.0.memory())],
                grid: Grid { across: 1, along: Along::Once },
            });
        }
    }

    /// Pre-activations `[rows, features]` that the rule lets through, 0 elsewhere.
    pub fn step_features(&mut self, h: &Act, rule: StepRule<'_>) -> Act {
        let (number, numbers, dead_after) = match rule {
            StepRule::Positive => (0, None, 0),
            StepRule::AboveThreshold(scalars) => (1, Some(scalars), 0),
            StepRule::AboveCut(cut) => (2, Some(&cut.0), 0),
            StepRule::Dead(figures, dead_after) => (3, Some(figures.numbers()), dead_after),
        };
        let enough = match rule {
            StepRule::AboveThreshold(scalars) => scalars.len() == 2 * h.width() as usize,
            StepRule::Dead(figures, _) => figures.features == h.width(),
            StepRule::Positive | StepRule::AboveCut(_) => true,
        };
        self.expect(enough && h.over == Over::Rows, || format!("a rule of other features than {}", h.width()));
        let f = self.act(Over::Rows, h.width());
        self.recorded.push(Recorded {
            kernels: vec![Kernel::StepFeatures],
            dims: vec![h.width(), h.stride(), number, dead_after],
            bound: vec![self.bind(h), Bound::optional(numbers), self.bind(&f)],
            grid: by_element(&f),
        });
        f
    }

    /// Counts the features that were silent for as many activations: what is made only where there are dead features
    /// goes by that.
    pub fn count_dead(&mut self, figures: &Figures, dead_after: u32) {
        self.recorded.push(Recorded {
            kernels: vec![Kernel::CountDead],
            dims: vec![figures.features, dead_after],
            bound: vec![Bound::Memory(figures.numbers.memory())],
            grid: Grid { across: 1, along: Along::Once },
        });
    }

    /// The squared length of each row of x, into the figures' errors.
    pub fn squared_rows(&mut self, x: Table<'_>, figures: &Figures) {
        let (rows, width) = x.shape();
        let rows = if rows == 0 { self.row_capacity } else { rows };
        self.expect(
            figures.rows >= self.row_capacity && rows >= self.row_capacity && x.is_whole(self.row_capacity),
            || format!("errors of {} rows", figures.rows),
        );
        self.recorded.push(Recorded {
            kernels: vec![Kernel::SquaredRows],
            dims: vec![width, x.stride(), 1 + 2 * figures.features],
            bound: vec![x.bound(), Bound::Memory(figures.numbers.memory())],
            grid: Grid { across: 1, along: Along::Rows },
        });
    }

    /// Of `along`, the gradient by the features, `[rows, features]`: the gradient by the pre-activations, in place. Their
    /// sums over the batch, and those of the gradients by the thresholds' logarithms, go to `by_scalars`, `[2, features]`.
    /// Who was silent, and how often each was active, goes to `figures`.
    pub fn pre_gradients(&mut self, of: &PreGradients<'_>, along: Act, by_scalars: &Vector, figures: &Figures) -> Act {
        let width = along.width();
        let alike = |x: &Act| x.width() == width && x.over == Over::Rows;
        let fits = [Some(of.hidden), Some(of.features), of.dead.map(|dead| dead.0), of.dead.map(|dead| dead.1)];
        self.expect(
            fits.into_iter().flatten().all(alike)
                && by_scalars.len() == 2 * width as usize
                && figures.features == width
                && of.thresholds.is_none_or(|(scalars, _)| scalars.len() == 2 * width as usize),
            || format!("gradients of other features than {width}"),
        );
        let (method, bandwidth) = match (of.thresholds, of.penalty) {
            (Some((_, bandwidth)), _) => (2, bandwidth),
            (None, Some(_)) => (1, 0.0),
            (None, None) => (0, 0.0f32),
        };
        let act = |act: Option<&Act>| act.and_then(|act| act.memory.clone()).map_or(Bound::Unused, Bound::Memory);
        self.recorded.push(Recorded {
            kernels: vec![Kernel::FeatureGradients],
            dims: vec![
                width,
                along.stride(),
                method,
                bandwidth.to_bits(),
                u32::from(of.dead.is_some()),
                of.penalty.unwrap_or(0),
            ],
            bound: vec![
                self.bind(of.hidden),
                self.bind(of.features),
                self.bind(&along),
                act(of.dead.map(|dead| dead.0)),
                act(of.dead.map(|dead| dead.1)),
                Bound::optional(of.thresholds.map(|(scalars, _)| scalars)),
                Bound::Memory(by_scalars.memory()),
                Bound::Memory(figures.numbers.memory()),
            ],
            grid: Grid { across: width.div_ceil(SUMMED), along: Along::Once },
        });
        along
    }

    /// Sums over rows into `into`, `[width]`; `adds`: to what it is.
    pub fn column_sums(&mut self, sums: &WeightedSums<'_>, into: &Vector, adds: bool) {
        let (rows, width) = sums.of.shape();
        let capacity = if rows == 0 { self.row_capacity } else { rows };
        let fits = sums.of.is_whole(self.row_capacity)
            && into.len() == width as usize
            && sums.weights.is_none_or(|weights| weights.len() >= capacity as usize);
        self.expect(fits, || format!("sums of {width} columns into {}", into.len()));
        self.recorded.push(Recorded {
            kernels: vec![Kernel::ColumnSums],
            dims: vec![
                width,
                sums.of.stride(),
                rows,
                u32::from(sums.weights.is_some()),
                sums.factor.to_bits(),
                sums.slot.unwrap_or(NO_SLOT),
                u32::from(adds),
            ],
            bound: vec![sums.of.bound(), Bound::optional(sums.weights), Bound::Memory(into.memory())],
            grid: Grid { across: width.div_ceil(SUMMED), along: Along::Once },
        });
    }

    /// A step of Adam. `directions`: the width of the directions that the numbers are, of length 1 before and after. The
    /// step's size lies at `slot` of the step's coefficients, and after it one over what the mean of squares falls short
    /// by.
    pub fn learn(&mut self, learnt: &Learnt, gradient: &Vector, directions: Option<u32>, slot: u32) {
        let total = learnt.values.len();
        let width = directions.unwrap_or(LEARNT);
        let whole = width > 0 && (directions.is_none() || total.is_multiple_of(width as usize));
        self.expect(gradient.len() == total && whole, || {
            format!("{} gradients of {total} numbers, {width} to a direction", gradient.len())
        });
        self.recorded.push(Recorded {
            kernels: vec![Kernel::LearnRows],
            dims: vec![width, total as u32, u32::from(directions.is_some()), slot],
            bound: [gradient, &learnt.values, &learnt.means, &learnt.squares]
                .map(|numbers| Bound::Memory(numbers.memory()))
                .into(),
            grid: Grid { across: (total as u32).div_ceil(width.max(1)), along: Along::Once },
        });
    }
}
