//! Reading the header: bounded by the file's length at every step, whatever the file promises.

use super::{Gguf, GgufError, MAX_HEADER_BYTES, Metadata, TensorInfo, Value, shown};
use crate::{ByteSource, Quant};
use std::collections::{BTreeMap, btree_map::Entry};

/// Values in all of the metadata's lists together. Each takes more room in memory than in the file; the largest
/// vocabularies hold about 1.3 million.
const MAX_VALUES: u64 = 1 << 22;
/// Lists within lists. No key in use has any.
const MAX_DEPTH: usize = 4;
const MAX_DIMS: u32 = 4;
const MAX_TENSORS: u64 = 1 << 16;
const MAX_KEYS: u64 = 1 << 16;
/// `general.alignment` where the file does not say.
const DEFAULT_ALIGNMENT: u64 = 32;
/// How much of the file is fetched at first; enough for most headers, so that they are parsed once.
const FIRST_FETCH: u64 = 4 << 20;

/// The header's length is known only once it is parsed: parse what is there, and where that is too short, fetch as
/// much again and start over. That parses less than twice the header in all.
pub(super) async fn read(source: &impl ByteSource) -> Result<Gguf, GgufError> {
    let len = source.len();
    let mut bytes = Vec::new();
    let mut end = FIRST_FETCH.min(len);
    loop {
        let more = source.read_at(bytes.len() as u64, (end - bytes.len() as u64) as usize).await?;
        bytes.extend_from_slice(&more);
        let mut cursor = Cursor { bytes: &bytes, at: 0, len, values: 0 };
        match cursor.header() {
            Ok(gguf) => return Ok(gguf),
            Err(Stop::Wrong(error)) => return Err(error),
            Err(Stop::Short { needed }) => end = needed.max(2 * end).min(len).min(MAX_HEADER_BYTES),
        }
    }
}

/// Why parsing stopped.
enum Stop {
    /// What is fetched of the file ends before the header does; `needed` bytes of the file are wanted at least.
    Short {
        needed: u64,
    },
    Wrong(GgufError),
}

fn damaged(what: impl Into<String>) -> Stop {
    Stop::Wrong(GgufError::Damaged { what: what.into() })
}

fn too_large(what: String, limit: u64) -> Stop {
    Stop::Wrong(GgufError::TooLarge { what, limit })
}

/// A tensor as the header declares it, before its place is checked.
struct Declared {
    name: String,
    ggml_type: u32,
    /// In ggml's order, innermost first.
    dims: Vec<u64>,
    /// From the beginning of the data.
    offset: u64,
}

struct Cursor<'a> {
    /// The file, from its beginning, as far as it is fetched.
    bytes: &'a [u8],
    at: u64,
    /// The length of the whole file.
    len: u64,
    /// Values met within lists so far.
    values: u64,
}

impl Cursor<'_> {
    fn header(&mut self) -> Result<Gguf, Stop> {
        let magic = self.take(4.min(self.len))?;
        if magic != b"GGUF" {
            return Err(Stop::Wrong(GgufError::NotGguf { found: magic.escape_ascii().to_string() }));
        }
        let version = self.u32()?;
        match version {
            2 | 3 => {}
            _ if version & 0xffff == 0 && version != 0 => return Err(Stop::Wrong(GgufError::BigEndian)),
            _ => return Err(Stop::Wrong(GgufError::Version { version })),
        }
        let tensors = self.u64()?;
        let keys = self.u64()?;
        if tensors > MAX_TENSORS {
            return Err(too_large(format!("{tensors} tensors"), MAX_TENSORS));
        }
        if keys > MAX_KEYS {
            return Err(too_large(format!("{keys} metadata keys"), MAX_KEYS));
        }

        let mut metadata = BTreeMap::new();
        for _ in 0..keys {
            let key = self.name("key")?;
            let kind = self.u32()?;
            let value = self.value(kind, 0)?;
            match metadata.entry(key) {
                Entry::Vacant(entry) => entry.insert(value),
                Entry::Occupied(entry) => {
                    return Err(damaged(format!("the key \"{}\" appears twice", shown(entry.key()))));
                }
            };
        }
        let metadata = Metadata(metadata);

        let mut declared = Vec::new();
        for _ in 0..tensors {
            declared.push(self.tensor()?);
        }

        let alignment = match metadata.find_u32("general.alignment").map_err(Stop::Wrong)? {
            None => DEFAULT_ALIGNMENT,
            Some(alignment) if alignment.is_power_of_two() => alignment.into(),
            Some(alignment) => return Err(damaged(format!("an alignment of {alignment} bytes is no power of two"))),
        };
        let data_start = self.at.next_multiple_of(alignment);
        let tensors = place(declared, data_start, alignment, self.len).map_err(Stop::Wrong)?;
        Ok(Gguf { version, metadata, tensors })
    }

    fn tensor(&mut self) -> Result<Declared, Stop> {
        let name = self.name("tensor name")?;
        let count = self.u32()?;
        if count == 0 || count > MAX_DIMS {
            return Err(damaged(format!("tensor \"{}\" has {count} dimensions", shown(&name))));
        }
        let dims = (0..count).map(|_| self.u64()).collect::<Result<Vec<u64>, Stop>>()?;
        Ok(Declared { name, dims, ggml_type: self.u32()?, offset: self.u64()? })
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value, Stop> {
        Ok(match kind {
            0 => Value::U8(u8::from_le_bytes(self.array()?)),
            1 => Value::I8(i8::from_le_bytes(self.array()?)),
            2 => Value::U16(u16::from_le_bytes(self.array()?)),
            3 => Value::I16(i16::from_le_bytes(self.array()?)),
            4 => Value::U32(self.u32()?),
            5 => Value::I32(i32::from_le_bytes(self.array()?)),
            6 => Value::F32(f32::from_le_bytes(self.array()?)),
            7 => match self.array::<1>()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [other] => return Err(damaged(format!("a truth value is {other}"))),
            },
            8 => {
                let len = self.u64()?;
                Value::String(String::from_utf8_lossy(self.take(len)?).into_owned())
            }
            9 => self.list(depth)?,
            10 => Value::U64(self.u64()?),
            11 => Value::I64(i64::from_le_bytes(self.array()?)),
            12 => Value::F64(f64::from_le_bytes(self.array()?)),
            _ => return Err(damaged(format!("there is no kind of value {kind}"))),
        })
    }

    fn list(&mut self, depth: usize) -> Result<Value, Stop> {
        if depth == MAX_DEPTH {
            return Err(damaged(format!("lists are nested more than {MAX_DEPTH} deep")));
        }
        let kind = self.u32()?;
        let count = self.u64()?;
        self.values = self.values.saturating_add(count);
        if self.values > MAX_VALUES {
            return Err(too_large(format!("lists of {} values", self.values), MAX_VALUES));
        }
        // Grown as values are read: `count` is only a promise.
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(kind, depth + 1)?);
        }
        Ok(Value::Array(values))
    }

    /// A key or a tensor's name. Unlike other texts these are looked up, so they must be what they seem.
    fn name(&mut self, what: &str) -> Result<String, Stop> {
        let len = self.u64()?;
        if len > u64::from(u16::MAX) {
            return Err(too_large(format!("a {what} of {len} bytes"), u16::MAX.into()));
        }
        String::from_utf8(self.take(len)?.to_vec()).map_err(|_| damaged(format!("a {what} is not UTF-8")))
    }

    fn u32(&mut self) -> Result<u32, Stop> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Stop> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    fn take(&mut self, count: u64) -> Result<&[u8], Stop> {
        let promised = self.at.saturating_add(count);
        if promised > self.len {
            return Err(Stop::Wrong(GgufError::Truncated { len: self.len, promised }));
        }
        if promised > MAX_HEADER_BYTES {
            return Err(too_large(format!("a header of at least {promised} bytes"), MAX_HEADER_BYTES));
        }
        let taken = self.bytes.get(self.at as usize..promised as usize).ok_or(Stop::Short { needed: promised })?;
        self.at = promised;
        Ok(taken)
    }
}

/// Checks where the tensors lie: aligned, within the file, none upon another.
fn place(
    declared: Vec<Declared>,
    data_start: u64,
    alignment: u64,
    len: u64,
) -> Result<BTreeMap<String, TensorInfo>, GgufError> {
    let mut tensors = BTreeMap::new();
    for Declared { name, ggml_type, dims, offset } in declared {
        let damaged = |what: String| GgufError::Damaged { what: format!("tensor \"{}\" {what}", shown(&name)) };
        let unsupported =
            || GgufError::UnsupportedType { tensor: shown(&name), ggml_type: Quant::describe_ggml(ggml_type) };
        let quant = Quant::from_ggml(ggml_type).ok_or_else(unsupported)?;
        if offset % alignment != 0 {
            return Err(damaged(format!("is not aligned to {alignment} bytes")));
        }
        let shape = dims.iter().rev().map(|&dim| usize::try_from(dim).ok().filter(|&dim| dim > 0));
        let shape = shape.collect::<Option<Vec<usize>>>();
        let bytes = shape.as_deref().and_then(|shape| tensor_bytes(quant, shape));
        let (Some(shape), Some(bytes)) = (shape, bytes) else {
            return Err(damaged(format!("cannot have the dimensions {dims:?} as {quant}")));
        };
        let end = data_start.saturating_add(offset).saturating_add(bytes);
        if end > len {
            return Err(GgufError::Truncated { len, promised: end });
        }
        match tensors.entry(name) {
            Entry::Vacant(entry) => entry.insert(TensorInfo { quant, shape, offset: data_start + offset, bytes }),
            Entry::Occupied(entry) => {
                return Err(GgufError::Damaged {
                    what: format!("the tensor \"{}\" appears twice", shown(entry.key())),
                });
            }
        };
    }

    let mut by_place: Vec<(&String, &TensorInfo)> = tensors.iter().collect();
    by_place.sort_by_key(|(_, tensor)| tensor.offset);
    for pair in by_place.windows(2) {
        let [(before, first), (after, second)] = [pair[0], pair[1]];
        if first.offset + first.bytes > second.offset {
            return Err(GgufError::Damaged {
                what: format!("tensors \"{}\" and \"{}\" overlap", shown(before), shown(after)),
            });
        }
    }
    Ok(tensors)
}

/// Bytes of a tensor; `None` where a row is not a whole number of blocks or a size overflows.
fn tensor_bytes(quant: Quant, shape: &[usize]) -> Option<u64> {
    let (&cols, outer) = shape.split_last()?;
    let rows = outer.iter().try_fold(1usize, |rows, &dim| rows.checked_mul(dim))?;
    rows.checked_mul(cols)?;
    (rows as u64).checked_mul(quant.row_bytes(cols)? as u64)
}
