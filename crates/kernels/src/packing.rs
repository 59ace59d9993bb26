//! The split layout of weights on the device.
//!
//! GGUF stores a block's scale and its quants side by side, in 18 or 34 bytes that no word boundary fits. On the device
//! they lie apart: quants in one buffer of words, scales in another. Quants keep their width: 32 weights of `b` bits
//! take `b` words, as bit planes of 1, 2, 4 or 8 bits in the order of the weights. Every weight is
//! `scale * (quant - zero) + offset`, with scale and offset kept so that the result is exactly ggml's.

use half::f16;
use tiller_formats::Quant;

/// Weights that share one unit of quants.
const UNIT: usize = 32;

/// How the scales of a format are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scales {
    /// None: the weights are floats.
    None,
    /// An f16 for every 32 weights, two a word; rows begin on a word.
    Half,
    /// A word for every 32 weights: f16 scale, f16 offset.
    Pair,
    /// For every 256 weights: a word with an f16 for the scales and an f16 for the offsets, then for each of `groups`
    /// groups an i8 and a u8 that multiply them.
    Superblock { groups: usize },
}

/// The device layout of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    /// Bits a weight.
    pub bits: usize,
    /// The quant that stands for 0.
    pub zero: u32,
    pub scales: Scales,
}

impl Packing {
    pub const fn of(quant: Quant) -> Packing {
        let (bits, zero, scales) = match quant {
            Quant::F32 => (32, 0, Scales::None),
            Quant::F16 | Quant::BF16 => (16, 0, Scales::None),
            Quant::Q4_0 => (4, 8, Scales::Half),
            Quant::Q4_1 => (4, 0, Scales::Pair),
            Quant::Q5_0 => (5, 16, Scales::Half),
            Quant::Q5_1 => (5, 0, Scales::Pair),
            Quant::Q8_0 => (8, 128, Scales::Half),
            Quant::Q2K => (2, 0, Scales::Superblock { groups: 16 }),
            Quant::Q3K => (3, 4, Scales::Superblock { groups: 16 }),
            Quant::Q4K => (4, 0, Scales::Superblock { groups: 8 }),
            Quant::Q5K => (5, 0, Scales::Superblock { groups: 8 }),
            Quant::Q6K => (6, 32, Scales::Superblock { groups: 16 }),
        };
        Packing { bits, zero, scales }
    }

    /// Words of quants (or floats) in a row of `cols` weights. Rows of floats are padded to eight.
    pub fn quant_words(self, cols: usize) -> usize {
        cols.next_multiple_of(8) * self.bits / 32
    }

    /// Words of scales in a row of `cols` weights.
    pub fn scale_words(self, cols: usize) -> usize {
        match self.scales {
            Scales::None => 0,
            Scales::Half => (cols / UNIT).div_ceil(2),
            Scales::Pair => cols / UNIT,
            Scales::Superblock { groups } => cols / 256 * (1 + groups / 2),
        }
    }
}

/// Appends a row, given as its bytes in a GGUF file, to `quants` and `scales`. The caller has checked its length.
pub(crate) fn pack_row(quant: Quant, bytes: &[u8], quants: &mut Vec<u32>, scales: &mut Vec<u32>) {
    let packing = Packing::of(quant);
    match packing.scales {
        Scales::None => pack_floats(bytes, packing.bits, quants),
        Scales::Half | Scales::Pair => pack_legacy(quant, bytes, quants, scales),
        Scales::Superblock { .. } => {
            for block in bytes.chunks_exact(quant.block().1) {
                pack_superblock(quant, block, quants, scales);
            }
        }
    }
}

fn pack_floats(bytes: &[u8], bits: usize, words: &mut Vec<u32>) {
    let cols = bytes.len() * 8 / bits;
    let end = words.len() + cols.next_multiple_of(8) * bits / 32;
    words.extend(
        bytes
            .chunks(4)
            .map(|word| word.iter().enumerate().fold(0, |all, (place, &byte)| all | u32::from(byte) << (8 * place))),
    );
    words.resize(end, 0);
}

/// Q4_0 to Q8_0: blocks of 32 weights with an f16 scale and, in the `_1` formats, an f16 minimum.
fn pack_legacy(quant: Quant, bytes: &[u8], quants: &mut Vec<u32>, scales: &mut Vec<u32>) {
    let Packing { bits, scales: kind, .. } = Packing::of(quant);
    for (index, block) in bytes.chunks_exact(quant.block().1).enumerate() {
        let header = if kind == Scales::Pair { 4 } else { 2 };
        let (scale, body) = block.split_at(header);
        match kind {
            Scales::Pair => scales.push(word(scale)),
            _ if index % 2 == 0 => scales.push(u32::from(half_bits(scale))),
            _ => {
                if let Some(last) = scales.last_mut() {
                    *last |= u32::from(half_bits(scale)) << 16;
                }
            }
        }
        let mut unit = [0; UNIT];
        if bits == 8 {
            for (quant, &byte) in unit.iter_mut().zip(body) {
                *quant = byte ^ 0x80;
            }
        } else {
            let (high, nibbles) = body.split_at(if bits == 5 { 4 } else { 0 });
            let high = if bits == 5 { word(high) } else { 0 };
            for (place, &byte) in nibbles.iter().enumerate() {
                unit[place] = byte & 15 | ((high >> place & 1) as u8) << 4;
                unit[place + 16] = byte >> 4 | ((high >> (place + 16) & 1) as u8) << 4;
            }
        }
        push_unit(&unit, bits, quants);
    }
}

/// One block of 256 weights of a K-quant (`ggml-quants.c`).
fn pack_superblock(quant: Quant, block: &[u8], quants: &mut Vec<u32>, scales: &mut Vec<u32>) {
    let mut weights = [0u8; 256];
    // Of each group: what multiplies the scale (signed), and what multiplies the offset.
    let mut factors = [(0u8, 0u8); 16];
    let (halves, groups) = match quant {
        Quant::Q2K => {
            let (factor, rest) = block.split_at(16);
            for (group, &byte) in factor.iter().enumerate() {
                factors[group] = (byte & 15, byte >> 4);
            }
            for (at, weight) in weights.iter_mut().enumerate() {
                *weight = two_bits(rest, at);
            }
            (&rest[64..], 16)
        }
        Quant::Q3K => {
            let (high, rest) = block.split_at(32);
            let packed = &rest[64..76];
            for (group, factor) in factors.iter_mut().enumerate() {
                let low = packed[group % 8] >> (group / 8 * 4) & 15;
                let top = packed[8 + group % 4] >> (group / 4 * 2) & 3;
                factor.0 = (low | top << 4).wrapping_sub(32);
            }
            for (at, weight) in weights.iter_mut().enumerate() {
                *weight = two_bits(rest, at) | (high[at % 32] >> (at / 32) & 1) << 2;
            }
            (&rest[76..], 16)
        }
        Quant::Q4K | Quant::Q5K => {
            let packed = &block[4..16];
            for (group, factor) in factors.iter_mut().take(8).enumerate() {
                *factor = six_bit_factors(packed, group);
            }
            let (high, nibbles) = block[16..].split_at(if quant == Quant::Q5K { 32 } else { 0 });
            for (at, weight) in weights.iter_mut().enumerate() {
                let byte = nibbles[at / 64 * 32 + at % 32];
                let top = high.get(at % 32).map_or(0, |byte| byte >> (at / 32) & 1);
                *weight = byte >> (at / 32 % 2 * 4) & 15 | top << 4;
            }
            (block, 8)
        }
        _ => {
            let (low, rest) = block.split_at(128);
            let (high, rest) = rest.split_at(64);
            for (factor, &byte) in factors.iter_mut().zip(rest) {
                factor.0 = byte;
            }
            for (at, weight) in weights.iter_mut().enumerate() {
                let nibble = low[at / 128 * 64 + at % 64] >> (at % 128 / 64 * 4) & 15;
                let top = high[at / 128 * 32 + at % 32] >> (at % 128 / 32 * 2) & 3;
                *weight = nibble | top << 4;
            }
            (&rest[16..], 16)
        }
    };
    // Q3_K and Q6_K have no offsets.
    let offset = if halves.len() >= 4 { half_bits(&halves[2..]) } else { f16::ZERO.to_bits() };
    scales.push(u32::from(half_bits(halves)) | u32::from(offset) << 16);
    for pair in factors[..groups].chunks_exact(2) {
        scales.push(u32::from_le_bytes([pair[0].0, pair[0].1, pair[1].0, pair[1].1]));
    }
    for unit in weights.chunks_exact(UNIT) {
        push_unit(unit, Packing::of(quant).bits, quants);
    }
}

/// Weight `at` of 256 two-bit weights: 32 bytes hold 128 of them, four rows of 32 in their bit pairs.
fn two_bits(bytes: &[u8], at: usize) -> u8 {
    bytes[at / 128 * 32 + at % 32] >> (at % 128 / 32 * 2) & 3
}

/// `get_scale_min_k4`: scale and minimum of a group, six bits each, out of 12 bytes.
fn six_bit_factors(packed: &[u8], group: usize) -> (u8, u8) {
    if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        let low = packed[group + 4];
        (low & 15 | packed[group - 4] >> 6 << 4, low >> 4 | packed[group] >> 6 << 4)
    }
}

/// Appends 32 quants of `bits` bits as bit planes, lowest bits first.
fn push_unit(unit: &[u8], bits: usize, words: &mut Vec<u32>) {
    let mut shift = 0;
    for width in [8, 4, 2, 1] {
        if bits - shift < width {
            continue;
        }
        let mask = (1u32 << width) - 1;
        for part in unit.chunks_exact(32 / width) {
            let in_place = |(place, &quant): (usize, &u8)| (u32::from(quant) >> shift & mask) << (place * width);
            words.push(part.iter().enumerate().map(in_place).fold(0, |all, bits| all | bits));
        }
        shift += width;
    }
}

fn half_bits(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
