//! Where activations lie.

/// Activations that can be read in any order.
pub trait ActivationRows {
    fn rows(&self) -> usize;
    /// Numbers in an activation.
    fn width(&self) -> usize;
    /// Activation `row` (below [`ActivationRows::rows`]) to `out`, `[width]`.
    fn read(&self, row: usize, out: &mut [f32]);
}

/// `[rows, width]`, in memory.
#[derive(Clone, Copy, Debug)]
pub struct RowsInMemory<'a> {
    pub values: &'a [f32],
    pub width: usize,
}

impl ActivationRows for RowsInMemory<'_> {
    fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    fn width(&self) -> usize {
        self.width
    }

    fn read(&self, row: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.values[row * self.width..(row + 1) * self.width]);
    }
}
