//! numpy's arrays, and archives of them.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use super::error::{SaeFileError, shown};
use super::tensors::{FileTensor, FileTensors};
use super::zip;
use crate::{ByteSource, Quant, dequantise};
use std::collections::BTreeMap;

const MAGIC: &[u8] = b"\x93NUMPY";
const MAX_DIMS: usize = 8;

/// The arrays in an archive that `numpy.savez` or `savez_compressed` wrote.
pub async fn npz_tensors(source: &impl ByteSource) -> Result<FileTensors, SaeFileError> {
    let mut tensors = BTreeMap::new();
    for entry in zip::entries(source).await? {
        let name = entry.name.strip_suffix(".npy").unwrap_or(&entry.name).to_string();
        let tensor = array(&name, &entry.read(source).await?)?;
        if tensors.insert(name.clone(), tensor).is_some() {
            return Err(wrong(&name, "appears twice"));
        }
    }
    Ok(FileTensors(tensors))
}

fn wrong(name: &str, what: &str) -> SaeFileError {
    SaeFileError::Npz { what: format!("\"{}\" {what}", shown(name)) }
}

/// An array: a magic word, a version, the length of a header, the header (a Python dictionary), the numbers.
fn array(name: &str, bytes: &[u8]) -> Result<FileTensor, SaeFileError> {
    let not_numpy = || wrong(name, "is no numpy array");
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(not_numpy)?;
    let (header_bytes, start) = match rest {
        [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([*a, *b])), 4),
        [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 6),
        _ => return Err(not_numpy()),
    };
    let header = rest[start..].get(..header_bytes).and_then(|header| std::str::from_utf8(header).ok());
    let header = header.ok_or_else(not_numpy)?;
    let numbers = &rest[start + header_bytes..];

    let descr = value(header, "descr").and_then(quoted).ok_or_else(not_numpy)?;
    match value(header, "fortran_order") {
        Some(order) if order.starts_with("False") => {}
        _ => return Err(wrong(name, "lies column by column: save it in C order")),
    }
    let shape = value(header, "shape").and_then(tuple).ok_or_else(not_numpy)?;
    let elements = shape.iter().try_fold(1usize, |elements, &dim| elements.checked_mul(dim));
    let width = match descr {
        "<f2" => 2,
        "<f4" => 4,
        "<f8" => 8,
        _ => return Err(SaeFileError::Type { name: shown(name), dtype: shown(descr) }),
    };
    let elements = elements.filter(|elements| elements.checked_mul(width) == Some(numbers.len()));
    let elements = elements.ok_or_else(|| wrong(name, "does not hold as many numbers as its shape says"))?;
    let numbers = match width {
        _ if elements == 0 => Vec::new(),
        2 => dequantise(Quant::F16, numbers, elements),
        4 => dequantise(Quant::F32, numbers, elements),
        _ => numbers.chunks_exact(8).map(|n| f64::from_le_bytes(n.try_into().expect("eight bytes")) as f32).collect(),
    };
    Ok(FileTensor { shape, numbers })
}

/// What follows a key of a dictionary as Python prints it.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let at = header.find(&format!("'{key}'"))?;
    Some(header[at + key.len() + 2..].trim_start().strip_prefix(':')?.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.split_once('\'').map(|(quoted, _)| quoted)
}

fn tuple(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let dims = inside.split(',').map(str::trim).filter(|dim| !dim.is_empty()).take(MAX_DIMS + 1);
    let dims: Vec<usize> = dims.map(|dim| dim.parse().ok()).collect::<Option<_>>()?;
    (dims.len() <= MAX_DIMS).then_some(dims)
}
