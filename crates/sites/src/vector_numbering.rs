//! What the numbers in a file of steering vectors mean.

use crate::choice::{UnknownChoice, named};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Which block a file's `direction.N` belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VectorNumbering {
    /// The output of block N, from 0: as repeng writes, and as llama.cpp adds what it loads.
    BlockOutput,
    /// The output of block N - 1: as llama.cpp's generator of control vectors writes.
    OneBased,
}

impl VectorNumbering {
    pub const ALL: [VectorNumbering; 2] = [VectorNumbering::BlockOutput, VectorNumbering::OneBased];

    pub fn name(self) -> &'static str {
        match self {
            VectorNumbering::BlockOutput => "block-output",
            VectorNumbering::OneBased => "one-based",
        }
    }
}

impl FromStr for VectorNumbering {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<VectorNumbering, UnknownChoice> {
        named(name, &VectorNumbering::ALL, VectorNumbering::name)
    }
}
