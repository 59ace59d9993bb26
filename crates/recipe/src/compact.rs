//! Directions in fewer bytes, for links that have to be short, and what that costs.

use half::f16;
use serde::{Deserialize, Serialize};

/// How a compact direction is written. Only where it points travels: its length is the vector's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Blocks of 32 numbers: a scale in half precision, then whole numbers from -127 to 127. 612 bytes for a width of 576,
    /// where halves take 1,152.
    Q8,
    /// Blocks of 32 numbers: a scale in half precision, then four bits each, from -8 to 7, the number of largest size at -8
    /// (as ggml's Q4_0 has it). 324 bytes.
    Q4,
    /// The largest numbers by their signs alone, the others as nothing, five to a byte: the mask and the signs of T-Switch
    /// (Qi et al. 2025, "Less is more: efficient model merging with binary task switch"). As many are kept as give the
    /// largest cosine: of the k largest |x| that is `sum |x| / sqrt(k)`, for x of unit length. 116 bytes.
    Signs,
}

const BLOCK: usize = 32;
/// Numbers from 0 to 2 in a byte: 3^5 = 243.
const TRITS: usize = 5;

impl Code {
    pub const ALL: [Code; 3] = [Code::Q8, Code::Q4, Code::Signs];

    pub fn name(self) -> &'static str {
        match self {
            Code::Q8 => "q8",
            Code::Q4 => "q4",
            Code::Signs => "signs",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Code::Q8 => "8 bits",
            Code::Q4 => "4 bits",
            Code::Signs => "signs",
        }
    }

    /// Bytes that `width` numbers take.
    fn bytes(self, width: usize) -> usize {
        match self {
            Code::Q8 => 2 * width.div_ceil(BLOCK) + width,
            Code::Q4 => 2 * width.div_ceil(BLOCK) + width / BLOCK * (BLOCK / 2) + (width % BLOCK).div_ceil(2),
            Code::Signs => width.div_ceil(TRITS),
        }
    }

    pub(crate) fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Code::Q8 => values.chunks(BLOCK).flat_map(eight_bits).collect(),
            Code::Q4 => values.chunks(BLOCK).flat_map(four_bits).collect(),
            Code::Signs => {
                let digits = largest_signs(values);
                digits.chunks(TRITS).map(|five| five.iter().rev().fold(0, |byte, digit| 3 * byte + digit)).collect()
            }
        }
    }

    /// The numbers, up to a common factor. `None` where the bytes are not those of `width` numbers.
    pub(crate) fn decode(self, bytes: &[u8], width: usize) -> Option<Vec<f32>> {
        if bytes.len() != self.bytes(width) {
            return None;
        }
        if self == Code::Signs {
            let digit = |i: usize| bytes[i / TRITS] / 3u8.pow((i % TRITS) as u32) % 3;
            return bytes
                .iter()
                .all(|&byte| byte < 243)
                .then(|| (0..width).map(|i| f32::from(digit(i)) - 1.0).collect());
        }
        let block_bytes = self.bytes(BLOCK);
        let mut values = Vec::with_capacity(width);
        for block in bytes.chunks(block_bytes) {
            let (scale, numbers) = block.split_first_chunk::<2>()?;
            let scale = f16::from_le_bytes(*scale).to_f32();
            match self {
                Code::Q8 => values.extend(numbers.iter().map(|&x| scale * f32::from(x.cast_signed()))),
                _ => {
                    values.extend(numbers.iter().flat_map(|&x| [x & 15, x >> 4]).map(|x| scale * (f32::from(x) - 8.0)))
                }
            }
        }
        // A block of odd length leaves half a byte.
        values.truncate(width);
        values.iter().all(|x| x.is_finite()).then_some(values)
    }
}

/// The scale as it is written, and its inverse; a block of zeros has none.
fn scale(largest: f32, steps: f32) -> ([u8; 2], f32) {
    let scale = f16::from_f32(largest / steps);
    let inverse = if scale.to_f32() == 0.0 { 0.0 } else { 1.0 / scale.to_f32() };
    (scale.to_le_bytes(), inverse)
}

fn largest(block: &[f32]) -> f32 {
    block.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0)
}

fn eight_bits(block: &[f32]) -> Vec<u8> {
    let (scale, inverse) = scale(largest(block).abs(), 127.0);
    let number = |x: &f32| ((x * inverse).round().clamp(-127.0, 127.0) as i8).cast_unsigned();
    scale.into_iter().chain(block.iter().map(number)).collect()
}

fn four_bits(block: &[f32]) -> Vec<u8> {
    let (scale, inverse) = scale(largest(block), -8.0);
    let number = |x: f32| ((x * inverse).round() + 8.0).clamp(0.0, 15.0) as u8;
    let pairs = block.chunks(2).map(|two| number(two[0]) | two.get(1).map_or(0, |&x| number(x)) << 4);
    scale.into_iter().chain(pairs).collect()
}

/// For each number 2 (kept, above zero), 0 (kept, below) or 1 (left out).
fn largest_signs(values: &[f32]) -> Vec<u8> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    // Of equals the first: whoever encodes gets the same bytes.
    order.sort_by(|&a, &b| values[b].abs().total_cmp(&values[a].abs()).then(a.cmp(&b)));
    let (mut sum, mut best, mut kept) = (0.0f64, 0.0f64, 0);
    for (n, &at) in order.iter().enumerate() {
        sum += f64::from(values[at].abs());
        let cosine = sum / ((n + 1) as f64).sqrt();
        if cosine > best {
            (best, kept) = (cosine, n + 1);
        }
    }
    let mut digits = vec![1; values.len()];
    for &at in &order[..kept] {
        digits[at] = if values[at] < 0.0 { 0 } else { 2 };
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Direction;

    /// Pseudo-random numbers, about Gaussian (the sum of twelve uniform ones).
    fn values(width: usize) -> Vec<f32> {
        let mut state = 7u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        (0..width).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
    }

    #[test]
    fn codes_are_as_long_and_as_near_as_they_are_said_to_be() {
        let whole = Direction::along(&values(576)).unwrap();
        // Uniform steps of size s leave an error of s / sqrt(12) in numbers of unit variance: of the largest of 32 Gaussian
        // numbers (about 2.2) / 127 it is 0.005, / 8 it is 0.08; the best mask of a Gaussian's signs has a cosine of 0.90.
        for (code, bytes, lowest, highest) in
            [(Code::Q8, 612, 0.002, 0.007), (Code::Q4, 324, 0.05, 0.10), (Code::Signs, 116, 0.40, 0.48)]
        {
            assert_eq!(code.encode(&whole.to_f32()).len(), bytes);
            let compact = whole.compacted(code);
            let (found, error) = compact.code().unwrap();
            assert_eq!(found, code);
            assert!((lowest..highest).contains(&error), "{code:?}: {error}");
            let cosine = whole.cosine(&compact).unwrap();
            assert!((cosine - f64::from(1.0 - error * error / 2.0)).abs() < 1e-3, "{code:?}: {cosine}, {error}");
        }
    }

    #[test]
    fn a_compact_direction_comes_back_bit_for_bit_and_is_not_coded_twice() {
        for width in [1, 2, 31, 33, 576, 577] {
            for code in Code::ALL {
                let compact = Direction::along(&values(width)).unwrap().compacted(code);
                let json = serde_json::to_string(&compact).unwrap();
                let back: Direction = serde_json::from_str(&json).unwrap();
                assert_eq!(back, compact, "{json}");
                assert_eq!((back.width(), back.to_f32()), (width, compact.to_f32()));
                assert_eq!(back.compacted(code), compact);
            }
        }
    }

    #[test]
    fn errors_of_codes_upon_codes_add_up() {
        let whole = Direction::along(&values(64)).unwrap();
        let (_, first) = whole.compacted(Code::Q4).code().unwrap();
        let twice = whole.compacted(Code::Q4).compacted(Code::Signs);
        let (code, error) = twice.code().unwrap();
        let (_, alone) = whole.compacted(Code::Q4).exact().compacted(Code::Signs).code().unwrap();
        assert_eq!(code, Code::Signs);
        assert!((error - (first + alone)).abs() < 1e-6);
    }

    #[test]
    fn no_other_number_of_kept_signs_is_nearer() {
        let values = values(100);
        let cosine = |kept: usize| {
            let mut sizes: Vec<f32> = values.iter().map(|x| x.abs()).collect();
            sizes.sort_by(|a, b| b.total_cmp(a));
            sizes[..kept].iter().sum::<f32>() / (kept as f32).sqrt()
        };
        let kept = largest_signs(&values).iter().filter(|&&digit| digit != 1).count();
        assert!((1..=100).all(|other| cosine(other) <= cosine(kept) + 1e-5), "{kept}");
    }

    #[test]
    fn what_no_compact_direction_can_be_is_refused() {
        let data = |text: &str| format!(r#"{{"code":"q8","width":1,"error":0.1,"data":"{text}"}}"#);
        assert!(serde_json::from_str::<Direction>(&data("ADwB")).is_ok());
        for bad in [
            data("ADw"),
            data("ADwBAQ"),
            data("AHwB"), // an infinite scale
            data("ADwA"), // all zeros
            data("!"),
            data("ADwB").replace("\"width\":1", "\"width\":0"),
            data("ADwB").replace("\"width\":1", "\"width\":4000000000"),
            data("ADwB").replace("0.1", "-1"),
            data("ADwB").replace("0.1", "1e39"),
            data("ADwB").replace("q8", "q2"),
            r#"{"code":"signs","width":1,"error":0.1,"data":"_w"}"#.into(),
            r#"{"code":"signs","width":1,"error":0.1,"data":"/w"}"#.into(),
        ] {
            assert!(serde_json::from_str::<Direction>(&bad).is_err(), "{bad}");
        }
    }
}
