//! The values of a GGUF file's metadata.

use super::GgufError;
use std::collections::BTreeMap;

/// A metadata value. An array holds values of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(String),
    Array(Vec<Value>),
    U64(u64),
    I64(i64),
    F64(f64),
}

impl Value {
    /// The number under which the format knows this kind of value.
    pub const fn kind(&self) -> u32 {
        match self {
            Value::U8(_) => 0,
            Value::I8(_) => 1,
            Value::U16(_) => 2,
            Value::I16(_) => 3,
            Value::U32(_) => 4,
            Value::I32(_) => 5,
            Value::F32(_) => 6,
            Value::Bool(_) => 7,
            Value::String(_) => 8,
            Value::Array(_) => 9,
            Value::U64(_) => 10,
            Value::I64(_) => 11,
            Value::F64(_) => 12,
        }
    }

    /// The integer, whatever its stored width.
    pub fn as_i128(&self) -> Option<i128> {
        Some(match *self {
            Value::U8(v) => v.into(),
            Value::I8(v) => v.into(),
            Value::U16(v) => v.into(),
            Value::I16(v) => v.into(),
            Value::U32(v) => v.into(),
            Value::I32(v) => v.into(),
            Value::U64(v) => v.into(),
            Value::I64(v) => v.into(),
            _ => return None,
        })
    }

    pub fn as_u32(&self) -> Option<u32> {
        self.as_i128()?.try_into().ok()
    }

    pub fn as_f32(&self) -> Option<f32> {
        match *self {
            Value::F32(v) => Some(v),
            Value::F64(v) => Some(v as f32),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Value::Bool(v) => Some(v),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(v) => Some(v),
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(v) => Some(v),
            _ => None,
        }
    }

    fn kind_name(&self) -> &'static str {
        match self {
            Value::F32(_) | Value::F64(_) => "a fraction",
            Value::Bool(_) => "a truth value",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            _ => "an integer",
        }
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Value {
        Value::U32(value)
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Value {
        Value::F32(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::String(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::String(value)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Value {
        Value::Array(values.into_iter().map(Into::into).collect())
    }
}

/// A file's metadata, by key. `get_*` demands a value, `find_*` accepts that it is absent; both refuse one of another
/// kind, and name the key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(pub BTreeMap<String, Value>);

impl Metadata {
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    pub fn find_u32(&self, key: &str) -> Result<Option<u32>, GgufError> {
        self.find(key, "an integer from 0 to 4294967295", Value::as_u32)
    }

    pub fn get_u32(&self, key: &str) -> Result<u32, GgufError> {
        required(key, self.find_u32(key)?)
    }

    pub fn find_f32(&self, key: &str) -> Result<Option<f32>, GgufError> {
        self.find(key, "a fraction", Value::as_f32)
    }

    pub fn get_f32(&self, key: &str) -> Result<f32, GgufError> {
        required(key, self.find_f32(key)?)
    }

    pub fn find_bool(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.find(key, "a truth value", Value::as_bool)
    }

    pub fn find_str(&self, key: &str) -> Result<Option<&str>, GgufError> {
        self.find(key, "a text", Value::as_str)
    }

    pub fn get_str(&self, key: &str) -> Result<&str, GgufError> {
        required(key, self.find_str(key)?)
    }

    pub fn find_strings(&self, key: &str) -> Result<Option<Vec<&str>>, GgufError> {
        self.find(key, "a list of texts", |value| value.as_array()?.iter().map(Value::as_str).collect())
    }

    pub fn strings(&self, key: &str) -> Result<Vec<&str>, GgufError> {
        required(key, self.find_strings(key)?)
    }

    pub fn find_u32s(&self, key: &str) -> Result<Option<Vec<u32>>, GgufError> {
        self.find(key, "a list of integers", |value| value.as_array()?.iter().map(Value::as_u32).collect())
    }

    pub fn find_f32s(&self, key: &str) -> Result<Option<Vec<f32>>, GgufError> {
        self.find(key, "a list of fractions", |value| value.as_array()?.iter().map(Value::as_f32).collect())
    }

    fn find<'a, T>(
        &'a self,
        key: &str,
        wanted: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        let wrong = || GgufError::WrongKind { key: key.into(), wanted, found: value.kind_name() };
        read(value).map(Some).ok_or_else(wrong)
    }
}

fn required<T>(key: &str, value: Option<T>) -> Result<T, GgufError> {
    value.ok_or_else(|| GgufError::MissingKey { key: key.into() })
}
