//! How a stored tensor becomes the one that the pass computes with.

use std::ops::Range;
use tiller_formats::{Quant, dequantise};

/// How a tensor lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `[outputs, inputs]`.
    AsIs,
    /// `[inputs, outputs]` (GPT-2's `Conv1D`).
    Transposed,
    /// Outputs in the order (head; query, key, value; component), where the pass wants (query, key, value; head;
    /// component). A bias likewise.
    Interleaved { heads: usize, head_dim: usize },
    /// A gain less one.
    PlusOne,
}

impl Layout {
    /// The shape that the pass sees of a tensor stored in this one.
    pub fn shape(self, stored: &[usize]) -> Vec<usize> {
        match (self, stored) {
            (Layout::Transposed, [inputs, outputs]) => vec![*outputs, *inputs],
            _ => stored.to_vec(),
        }
    }

    /// The format that the pass sees of numbers stored in this one.
    pub fn quant(self, stored: Quant) -> Quant {
        match self {
            // One more than a number in half precision need not be one.
            Layout::PlusOne => Quant::F32,
            _ => stored,
        }
    }

    /// Where the outputs that the pass numbers so lie among the stored ones: ranges, in order. Not for
    /// [`Layout::Transposed`].
    pub fn stored(self, outputs: Range<usize>) -> Vec<Range<usize>> {
        let Layout::Interleaved { heads, head_dim } = self else { return vec![outputs] };
        let mut ranges = Vec::new();
        let mut at = outputs.start;
        while at < outputs.end {
            let component = at % head_dim;
            let (part, head) = (at / head_dim / heads, at / head_dim % heads);
            let run = (head_dim - component).min(outputs.end - at);
            let first = (head * 3 + part) * head_dim + component;
            ranges.push(first..first + run);
            at += run;
        }
        ranges
    }
}

/// The bytes of a matrix `[inputs, outputs]` as `[outputs, inputs]`.
pub(super) fn transposed(bytes: &[u8], inputs: usize, outputs: usize) -> Vec<u8> {
    let each = bytes.len() / (inputs * outputs).max(1);
    let mut out = vec![0; bytes.len()];
    for (input, row) in bytes.chunks_exact((outputs * each).max(1)).enumerate() {
        for (output, number) in row.chunks_exact(each).enumerate() {
            let at = (output * inputs + input) * each;
            out[at..at + each].copy_from_slice(number);
        }
    }
    out
}

/// Gains from gains less one, as f32.
pub(super) fn plus_one(quant: Quant, bytes: &[u8]) -> Vec<u8> {
    let (_, each) = quant.block();
    let numbers = dequantise(quant, bytes, bytes.len() / each);
    numbers.into_iter().flat_map(|number| (number + 1.0).to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaved_heads_are_taken_apart() {
        let layout = Layout::Interleaved { heads: 2, head_dim: 2 };
        let stored: Vec<usize> = layout.stored(0..12).into_iter().flatten().collect();
        assert_eq!(stored, [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]);
        let part: Vec<usize> = layout.stored(3..6).into_iter().flatten().collect();
        assert_eq!(part, stored[3..6]);
    }

    #[test]
    fn a_matrix_is_transposed() {
        let numbers: Vec<u8> = (0..6u16).flat_map(u16::to_le_bytes).collect();
        let expected: Vec<u8> = [0u16, 3, 1, 4, 2, 5].into_iter().flat_map(u16::to_le_bytes).collect();
        assert_eq!(transposed(&numbers, 2, 3), expected);
    }
}
