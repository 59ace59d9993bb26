//! A unit direction as it travels: half-precision numbers in base64, or a compact code of them.

use crate::Code;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use half::f16;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A direction of unit length, `[d_model]`, each number rounded to half precision.
///
/// Everything that steers uses the *rounded* numbers, so that whoever opens a link computes with exactly the numbers
/// that its sender saw. It serialises as base64 of little-endian halves: 1,536 characters for a width of 576. A compact
/// one ([`Direction::compacted`]) serialises as its code, and says how far it is off.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    values: Vec<f16>,
    compact: Option<Compact>,
}

/// The code that a direction's numbers are decoded from.
#[derive(Clone, Debug, PartialEq)]
struct Compact {
    code: Code,
    bytes: Vec<u8>,
    /// See [`Direction::code`].
    error: f32,
}

/// No model that this program runs is wider; a link cannot ask for more.
const MAX_WIDTH: usize = 65_536;

impl Direction {
    /// The unit direction along `values`. `None` where they have no direction: empty, all zero, or not finite.
    pub fn along(values: &[f32]) -> Option<Direction> {
        let norm = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let usable = !values.is_empty() && values.len() <= MAX_WIDTH && norm.is_finite() && norm > 0.0;
        usable.then(|| Direction {
            values: values.iter().map(|&v| f16::from_f64(f64::from(v) / norm)).collect(),
            compact: None,
        })
    }

    /// The direction that `code` makes of this one, which it is written as from then on.
    pub fn compacted(&self, code: Code) -> Direction {
        if self.code().is_some_and(|(own, _)| own == code) {
            return self.clone();
        }
        let own = self.to_f32();
        let bytes = code.encode(&own);
        let decoded = code.decode(&bytes, own.len()).and_then(|values| Direction::along(&values));
        // A code keeps the largest number of a direction, so that it has one.
        let Some(decoded) = decoded else { return self.clone() };
        let difference =
            own.iter().zip(decoded.to_f32()).map(|(&a, b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>();
        let length = own.iter().map(|&a| f64::from(a).powi(2)).sum::<f64>();
        let before = self.code().map_or(0.0, |(_, error)| error);
        let error = before + (difference / length).sqrt() as f32;
        Direction { compact: Some(Compact { code, bytes, error }), ..decoded }
    }

    /// The same numbers as they are, no code's.
    pub fn exact(&self) -> Direction {
        Direction { compact: None, ..self.clone() }
    }

    /// Of a compact direction its code, and its distance from the direction that it stands for, as a share of that one's
    /// length (at most, where it was coded twice). Both have unit length, so that their cosine is `1 - error^2 / 2`. In a
    /// link it is the sender's word: what the numbers were before is not in it.
    pub fn code(&self) -> Option<(Code, f32)> {
        self.compact.as_ref().map(|compact| (compact.code, compact.error))
    }

    pub fn width(&self) -> usize {
        self.values.len()
    }

    /// The cosine with another direction; `None` where they are of different widths, and so of different models.
    pub fn cosine(&self, other: &Direction) -> Option<f64> {
        let (a, b) = (self.to_f32(), other.to_f32());
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        let same_width = a.len() == b.len();
        // What was rounded has not quite unit length.
        same_width.then(|| dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()).filter(|cosine| cosine.is_finite())
    }

    /// The numbers as every backend uses them.
    pub fn to_f32(&self) -> Vec<f32> {
        self.values.iter().map(|v| v.to_f32()).collect()
    }
}

/// A direction as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    /// Base64 of little-endian halves.
    Whole(String),
    /// `data`: base64 of what the code makes of `width` numbers.
    Compact { code: Code, width: usize, error: f32, data: String },
}

impl Serialize for Direction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match &self.compact {
            Some(Compact { code, bytes, error }) => {
                let data = STANDARD_NO_PAD.encode(bytes);
                Written::Compact { code: *code, width: self.width(), error: *error, data }
            }
            None => {
                let bytes: Vec<u8> = self.values.iter().flat_map(|v| v.to_le_bytes()).collect();
                Written::Whole(STANDARD_NO_PAD.encode(bytes))
            }
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Direction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Direction, D::Error> {
        let decoded =
            |text: String| STANDARD_NO_PAD.decode(text).map_err(|_| D::Error::custom("a direction is not base64"));
        match Written::deserialize(deserializer)? {
            Written::Whole(text) => {
                let bytes = decoded(text)?;
                if bytes.is_empty() || bytes.len() % 2 != 0 || bytes.len() > 2 * MAX_WIDTH {
                    return Err(D::Error::custom("a direction has an impossible length"));
                }
                let values: Vec<f16> = bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]])).collect();
                if values.iter().any(|v| !v.is_finite()) {
                    return Err(D::Error::custom("a direction holds numbers that are not finite"));
                }
                Ok(Direction { values, compact: None })
            }
            Written::Compact { code, width, error, data } => {
                if !(1..=MAX_WIDTH).contains(&width) || !(0.0..=f32::MAX).contains(&error) {
                    return Err(D::Error::custom("a compact direction has an impossible width or error"));
                }
                let bytes = decoded(data)?;
                let values = code.decode(&bytes, width).and_then(|values| Direction::along(&values));
                let whole = values.ok_or_else(|| D::Error::custom("a compact direction cannot be decoded"))?;
                Ok(Direction { compact: Some(Compact { code, bytes, error }), ..whole })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_comes_back_bit_for_bit() {
        let values: Vec<f32> = (0..577).map(|i| ((i * i) as f32).sin()).collect();
        let direction = Direction::along(&values).unwrap();
        let text = serde_json::to_string(&direction).unwrap();
        assert_eq!(serde_json::from_str::<Direction>(&text).unwrap(), direction);
        let norm = direction.to_f32().iter().map(|v| v * v).sum::<f32>().sqrt();
        assert!((norm - 1.0).abs() < 1e-3, "unit length, up to the rounding of halves: {norm}");
    }

    #[test]
    fn what_has_no_direction_is_refused() {
        assert!(Direction::along(&[]).is_none());
        assert!(Direction::along(&[0.0, 0.0]).is_none());
        assert!(Direction::along(&[f32::NAN, 1.0]).is_none());
        assert!(Direction::along(&[f32::INFINITY]).is_none());
        for bad in ["\"\"", "\"A\"", "\"!!!!\"", "\"AHw\"", "7"] {
            assert!(serde_json::from_str::<Direction>(bad).is_err(), "{bad}");
        }
    }
}
