//! Products of matrices of floats that steps read and change.

use super::{Bound, Figures, Recorded, Recorder};
use crate::act::{Act, Over};
use crate::grid::{Along, Grid};
use crate::kernel::Kernel;
use crate::vector::Vector;

/// Rows and columns that a workgroup takes (`shaders/dense_product.wgsl`).
const SIDE: u32 = 64;

/// In place of a coefficient's slot: there is none.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// A matrix on the device: an activation, `[rows of the step, width]`, or numbers that stay, `[len / width, width]`.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    of: Of<'a>,
    turned: bool,
}

#[derive(Clone, Copy, Debug)]
enum Of<'a> {
    Act(&'a Act),
    Numbers(&'a Vector, u32),
    StepNumbers(&'a Vector, u32),
}

impl<'a> Table<'a> {
    pub fn act(act: &'a Act) -> Table<'a> {
        Table { of: Of::Act(act), turned: false }
    }

    /// `width` numbers to a row.
    pub fn numbers(numbers: &'a Vector, width: u32) -> Table<'a> {
        Table { of: Of::Numbers(numbers, width), turned: false }
    }

    /// As many rows of numbers as the step has, of those that there is room for.
    pub fn step_numbers(numbers: &'a Vector, width: u32) -> Table<'a> {
        Table { of: Of::StepNumbers(numbers, width), turned: false }
    }

    /// The transpose.
    pub fn turned(self) -> Table<'a> {
        Table { turned: !self.turned, ..self }
    }

    /// Rows and columns; 0 stands for the rows of the step.
    pub(super) fn shape(&self) -> (u32, u32) {
        let (rows, cols) = match self.of {
            Of::Act(act) => (0, act.width()),
            Of::StepNumbers(_, width) => (0, width),
            Of::Numbers(numbers, width) => ((numbers.len() / width.max(1) as usize) as u32, width),
        };
        if self.turned { (cols, rows) } else { (rows, cols) }
    }

    /// Numbers from one row to the next, as they lie.
    pub(super) fn stride(&self) -> u32 {
        match self.of {
            Of::Act(act) => act.stride(),
            Of::Numbers(_, width) | Of::StepNumbers(_, width) => width,
        }
    }

    pub(super) fn bound(&self) -> Bound {
        match self.of {
            Of::Act(act) => act.memory.clone().map_or(Bound::Unused, Bound::Memory),
            Of::Numbers(numbers, _) | Of::StepNumbers(numbers, _) => Bound::Memory(numbers.memory()),
        }
    }

    /// Whether its rows are what it says they are, in a plan for so many rows.
    pub(super) fn is_whole(&self, row_capacity: u32) -> bool {
        match self.of {
            Of::Act(act) => act.over == Over::Rows,
            Of::StepNumbers(numbers, width) => width > 0 && numbers.len() >= row_capacity as usize * width as usize,
            Of::Numbers(numbers, width) => width > 0 && !numbers.is_empty() && numbers.len() % width as usize == 0,
        }
    }
}

/// What is added to a product before its factor.
#[derive(Clone, Copy, Debug)]
pub enum Beside<'a> {
    Plus(Table<'a>),
    Less(Table<'a>),
}

/// `c (a b + bias + beside)`, where c is the coefficient of a slot of the step's, or 1.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    pub a: Table<'a>,
    pub b: Table<'a>,
    /// A number for each column, the first of these.
    pub bias: Option<&'a Vector>,
    pub beside: Option<Beside<'a>>,
    pub slot: Option<u32>,
    /// It is made only in steps at which there are dead features; what it is written to stays as it is in others.
    pub if_dead: Option<&'a Figures>,
}

impl<'a> Product<'a> {
    pub fn of(a: Table<'a>, b: Table<'a>) -> Product<'a> {
        Product { a, b, bias: None, beside: None, slot: None, if_dead: None }
    }
}

impl Recorder {
    /// A product with the rows of the step: `[rows, columns of b]`.
    pub fn product(&mut self, product: &Product<'_>) -> Act {
        let y = self.act(Over::Rows, product.b.shape().1);
        self.product_to(product, Table::act(&y), false);
        y
    }

    /// A product into numbers that stay; `adds`: to what they are.
    pub fn product_into(&mut self, product: &Product<'_>, into: Table<'_>, adds: bool) {
        self.product_to(product, into, adds);
    }

    fn product_to(&mut self, product: &Product<'_>, y: Table<'_>, adds: bool) {
        let Product { a, b, bias, beside, slot, if_dead } = *product;
        let ((rows, inner), (b_rows, cols)) = (a.shape(), b.shape());
        let (sign, beside) = match beside {
            None => (0, None),
            Some(Beside::Plus(beside)) => (1, Some(beside)),
            Some(Beside::Less(beside)) => (2, Some(beside)),
        };
        let capacity = self.row_capacity;
        let fits = inner == b_rows
            && !y.turned
            && y.shape() == (rows, cols)
            && beside.is_none_or(|beside| !beside.turned && beside.shape() == (rows, cols))
            && bias.is_none_or(|bias| bias.len() >= cols as usize)
            && [Some(a), Some(b), Some(y), beside].iter().flatten().all(|table| table.is_whole(capacity));
        self.expect(fits, || {
            format!(
                "a product of {rows} by {inner} with {b_rows} by {cols} into {:?} (0: the rows of a step)",
                y.shape()
            )
        });
        let tiles = |n: u32| if n == 0 { self.row_capacity } else { n }.div_ceil(SIDE);
        let across = tiles(rows).saturating_mul(tiles(cols));
        self.recorded.push(Recorded {
            kernels: vec![Kernel::DenseProduct],
            dims: vec![
                rows,
                cols,
                inner,
                a.stride(),
                u32::from(a.turned),
                b.stride(),
                u32::from(b.turned),
                y.stride(),
                u32::from(bias.is_some()),
                sign,
                beside.map_or(0, |beside| beside.stride()),
                slot.unwrap_or(NO_SLOT),
                u32::from(adds),
                u32::from(if_dead.is_some()),
            ],
            bound: vec![
                a.bound(),
                b.bound(),
                y.bound(),
                Bound::optional(bias),
                beside.map_or(Bound::Unused, |beside| beside.bound()),
                Bound::optional(if_dead.map(Figures::numbers)),
            ],
            grid: Grid { across, along: Along::Once },
        });
    }
}
