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

/// Some of the activations that lie in memory.
#[derive(Clone, Copy, Debug)]
pub struct ChosenRows<'a> {
    /// `[.., width]`
    pub values: &'a [f32],
    pub width: usize,
    /// Which of them, in which order.
    pub chosen: &'a [usize],
}

impl ActivationRows for ChosenRows<'_> {
    fn rows(&self) -> usize {
        self.chosen.len()
    }

    fn width(&self) -> usize {
        self.width
    }

    fn read(&self, row: usize, out: &mut [f32]) {
        let row = self.chosen[row];
        out.copy_from_slice(&self.values[row * self.width..(row + 1) * self.width]);
    }
}

/// Of an activation beside the median, that it is not left out. Lengths differ by a factor of two, massive activations
/// by a hundred (Sun et al. 2024).
pub const MOST_LENGTH: f32 = 4.0;

/// The activations that are at most [`MOST_LENGTH`] times as long as the median: a few tokens beside the first have
/// massive activations too, and are most of the variance of all.
pub fn of_usual_length(activations: &impl ActivationRows) -> Vec<usize> {
    let mut row = vec![0.0; activations.width()];
    let lengths: Vec<f32> = (0..activations.rows())
        .map(|i| {
            activations.read(i, &mut row);
            row.iter().map(|x| x * x).sum::<f32>().sqrt()
        })
        .collect();
    let mut sorted = lengths.clone();
    if sorted.is_empty() {
        return Vec::new();
    }
    let (_, &mut median, _) = sorted.select_nth_unstable_by(lengths.len() / 2, f32::total_cmp);
    (0..lengths.len()).filter(|&i| lengths[i] <= MOST_LENGTH * median).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn massive_activations_are_left_out_and_those_twice_as_long_are_not() {
        let values = [1.0, 0.0, 0.0, 2.0, 90.0, 0.0, 1.0, 1.0, 0.0, 1.5];
        let rows = RowsInMemory { values: &values, width: 2 };
        let kept = of_usual_length(&rows);
        assert_eq!(kept, [0, 1, 3, 4]);
        let chosen = ChosenRows { values: &values, width: 2, chosen: &kept };
        let mut row = [0.0; 2];
        chosen.read(2, &mut row);
        assert_eq!((chosen.rows(), row), (4, [1.0, 1.0]));
        assert_eq!(of_usual_length(&RowsInMemory { values: &[], width: 2 }), [0; 0]);
    }
}
