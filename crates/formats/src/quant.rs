//! How the numbers of a tensor are stored.

use std::fmt;

/// How the numbers of a tensor are stored, under ggml's names. A quantised row is a whole number of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types)]
pub enum Quant {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
}

impl Quant {
    pub const ALL: [Quant; 13] = [
        Quant::F32,
        Quant::F16,
        Quant::BF16,
        Quant::Q4_0,
        Quant::Q4_1,
        Quant::Q5_0,
        Quant::Q5_1,
        Quant::Q8_0,
        Quant::Q2K,
        Quant::Q3K,
        Quant::Q4K,
        Quant::Q5K,
        Quant::Q6K,
    ];

    /// Elements in a block, and bytes that a block takes in a GGUF file (`ggml-common.h`).
    pub const fn block(self) -> (usize, usize) {
        match self {
            Quant::F32 => (1, 4),
            Quant::F16 | Quant::BF16 => (1, 2),
            Quant::Q4_0 => (32, 18),
            Quant::Q4_1 => (32, 20),
            Quant::Q5_0 => (32, 22),
            Quant::Q5_1 => (32, 24),
            Quant::Q8_0 => (32, 34),
            Quant::Q2K => (256, 84),
            Quant::Q3K => (256, 110),
            Quant::Q4K => (256, 144),
            Quant::Q5K => (256, 176),
            Quant::Q6K => (256, 210),
        }
    }

    /// Bytes of a row of `cols` elements; `None` where `cols` is not a whole number of blocks or the size overflows.
    pub fn row_bytes(self, cols: usize) -> Option<usize> {
        let (elements, bytes) = self.block();
        if !cols.is_multiple_of(elements) {
            return None;
        }
        (cols / elements).checked_mul(bytes)
    }

    /// The format that ggml numbers so (`enum ggml_type`), if it is one of these.
    pub const fn from_ggml(number: u32) -> Option<Quant> {
        Some(match number {
            0 => Quant::F32,
            1 => Quant::F16,
            2 => Quant::Q4_0,
            3 => Quant::Q4_1,
            6 => Quant::Q5_0,
            7 => Quant::Q5_1,
            8 => Quant::Q8_0,
            10 => Quant::Q2K,
            11 => Quant::Q3K,
            12 => Quant::Q4K,
            13 => Quant::Q5K,
            14 => Quant::Q6K,
            30 => Quant::BF16,
            _ => return None,
        })
    }

    /// ggml's number for this format.
    pub const fn to_ggml(self) -> u32 {
        match self {
            Quant::F32 => 0,
            Quant::F16 => 1,
            Quant::Q4_0 => 2,
            Quant::Q4_1 => 3,
            Quant::Q5_0 => 6,
            Quant::Q5_1 => 7,
            Quant::Q8_0 => 8,
            Quant::Q2K => 10,
            Quant::Q3K => 11,
            Quant::Q4K => 12,
            Quant::Q5K => 13,
            Quant::Q6K => 14,
            Quant::BF16 => 30,
        }
    }

    /// What ggml calls the format of this number, for messages about those that cannot be read.
    pub fn describe_ggml(number: u32) -> String {
        let unread = [
            (9, "Q8_1"),
            (15, "Q8_K"),
            (16, "IQ2_XXS"),
            (17, "IQ2_XS"),
            (18, "IQ3_XXS"),
            (19, "IQ1_S"),
            (20, "IQ4_NL"),
            (21, "IQ3_S"),
            (22, "IQ2_S"),
            (23, "IQ4_XS"),
            (24, "I8"),
            (25, "I16"),
            (26, "I32"),
            (27, "I64"),
            (28, "F64"),
            (29, "IQ1_M"),
            (34, "TQ1_0"),
            (35, "TQ2_0"),
            (39, "MXFP4"),
        ];
        match (Quant::from_ggml(number), unread.iter().find(|(known, _)| *known == number)) {
            (Some(quant), _) => quant.name().into(),
            (None, Some((_, name))) => (*name).into(),
            (None, None) => format!("ggml type {number}"),
        }
    }

    /// ggml's name, as file names have it.
    pub const fn name(self) -> &'static str {
        match self {
            Quant::F32 => "F32",
            Quant::F16 => "F16",
            Quant::BF16 => "BF16",
            Quant::Q4_0 => "Q4_0",
            Quant::Q4_1 => "Q4_1",
            Quant::Q5_0 => "Q5_0",
            Quant::Q5_1 => "Q5_1",
            Quant::Q8_0 => "Q8_0",
            Quant::Q2K => "Q2_K",
            Quant::Q3K => "Q3_K",
            Quant::Q4K => "Q4_K",
            Quant::Q5K => "Q5_K",
            Quant::Q6K => "Q6_K",
        }
    }

    /// Every format's name, for messages.
    pub fn names() -> String {
        Quant::ALL.map(Quant::name).join(", ")
    }
}

impl fmt::Display for Quant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ggml_numbers_and_names_lead_back() {
        for quant in Quant::ALL {
            assert_eq!(Quant::from_ggml(quant.to_ggml()), Some(quant));
            assert_eq!(Quant::describe_ggml(quant.to_ggml()), quant.name());
        }
        assert_eq!(Quant::describe_ggml(20), "IQ4_NL");
        assert_eq!(Quant::describe_ggml(99), "ggml type 99");
    }

    #[test]
    fn rows_are_whole_blocks() {
        assert_eq!(Quant::Q4_1.row_bytes(576), Some(360));
        assert_eq!(Quant::Q4_1.row_bytes(577), None);
        assert_eq!(Quant::F32.row_bytes(usize::MAX), None);
    }
}
