//! The files in a zip archive, by its central directory.
//!
//! Programs that read archives want the whole of one, or a file that can be sought in; here it may lie in a browser's
//! private file system, read piece by piece. What is read of the format (APPNOTE.TXT 6.3.10, 4.3) is what numpy writes:
//! files that are stored or deflated, not encrypted, not divided, with 64-bit sizes where they are needed.

use super::error::{SaeFileError, shown};
use crate::ByteSource;

const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const END_64_LOCATOR: [u8; 4] = *b"PK\x06\x07";
const LOCAL_BYTES: usize = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: usize = 22;
const END_64_BYTES: usize = 56;
const LOCATOR_BYTES: usize = 20;
/// An archive's comment, at its end, has at most this many bytes.
const LONGEST_COMMENT: u64 = 0xffff;
/// An SAE's archive has five files.
const LONGEST_DIRECTORY: u64 = 1 << 16;

/// A file in an archive.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    is_deflated: bool,
    packed: u64,
    pub bytes: u64,
    local: u64,
}

fn wrong(what: impl Into<String>) -> SaeFileError {
    SaeFileError::Npz { what: what.into() }
}

/// The number at `at`, of as many bytes as the array has; `None` beyond the end.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let mut number = [0; 8];
    number[..N].copy_from_slice(bytes.get(at..at + N)?);
    Some(u64::from_le_bytes(number))
}

/// The files of an archive. No two share bytes, and together they are no longer than weights can have been packed.
pub async fn entries(source: &impl ByteSource) -> Result<Vec<Entry>, SaeFileError> {
    let len = source.len();
    let tail_bytes = len.min(END_BYTES as u64 + LONGEST_COMMENT);
    let tail_start = len - tail_bytes;
    let tail = source.read_at(tail_start, tail_bytes as usize).await?;
    let end = (0..tail.len().saturating_sub(END_BYTES - 1)).rev().find(|&at| tail[at..].starts_with(&END));
    let end = end.ok_or_else(|| wrong("it is no zip archive, or is cut off"))?;
    let record = &tail[end..];
    let number = |n: Option<u64>| n.ok_or_else(|| wrong("its directory is cut off"));
    let (mut count, mut size, mut start) =
        (number(field::<2>(record, 10))?, number(field::<4>(record, 12))?, number(field::<4>(record, 16))?);
    if count == 0xffff || size == 0xffff_ffff || start == 0xffff_ffff {
        let locator = (tail_start + end as u64).checked_sub(LOCATOR_BYTES as u64);
        let locator = source.read_at(locator.ok_or_else(|| wrong("it has no directory"))?, LOCATOR_BYTES).await?;
        if !locator.starts_with(&END_64_LOCATOR) {
            return Err(wrong("it has no directory"));
        }
        let record = source.read_at(number(field::<8>(&locator, 8))?, END_64_BYTES).await?;
        if !record.starts_with(&END_64) {
            return Err(wrong("it has no directory"));
        }
        count = number(field::<8>(&record, 32))?;
        size = number(field::<8>(&record, 40))?;
        start = number(field::<8>(&record, 48))?;
    }
    if size > LONGEST_DIRECTORY || count > size / CENTRAL_BYTES as u64 {
        return Err(wrong("it has more files than an SAE"));
    }
    let directory = source.read_at(start, size as usize).await?;
    let mut rest = directory.as_slice();
    let mut entries = Vec::new();
    for _ in 0..count {
        let entry;
        (entry, rest) = central(rest)?;
        entries.push(entry);
    }
    let unpacked = entries.iter().fold(0u64, |sum, entry| sum.saturating_add(entry.bytes));
    if unpacked > longest(len) || entries.iter().any(|entry| entry.packed > len) {
        return Err(wrong("its files are said to be longer than they can be"));
    }
    // Each has bytes of its own: else many would come of few.
    let mut by_place: Vec<&Entry> = entries.iter().collect();
    by_place.sort_by_key(|entry| entry.local);
    let ends = by_place.iter().map(|entry| entry.local.saturating_add(LOCAL_BYTES as u64 + entry.packed));
    let next = by_place.iter().skip(1).map(|entry| entry.local).chain([start]);
    if ends.zip(next).any(|(end, next)| end > next) {
        return Err(wrong("its files lie upon each other"));
    }
    Ok(entries)
}

/// The most that is made of so many packed bytes. Weights hardly shrink, and biases are short: what shrinks to less than
/// a sixteenth is made to do harm (deflating can reach a thousandth).
fn longest(packed: u64) -> u64 {
    packed.saturating_mul(16).saturating_add(1 << 20)
}

/// The first entry of a directory, and what follows it.
fn central(bytes: &[u8]) -> Result<(Entry, &[u8]), SaeFileError> {
    let cut_off = || wrong("its directory is cut off");
    if !bytes.starts_with(&CENTRAL) {
        return Err(cut_off());
    }
    let number = |n: Option<u64>| n.ok_or_else(cut_off);
    let flags = number(field::<2>(bytes, 8))?;
    let method = number(field::<2>(bytes, 10))?;
    let mut packed = number(field::<4>(bytes, 20))?;
    let mut unpacked = number(field::<4>(bytes, 24))?;
    let lengths = [28, 30, 32].map(|at| field::<2>(bytes, at).map(|length| length as usize));
    let [Some(name), Some(extra), Some(comment)] = lengths else { return Err(cut_off()) };
    let mut local = number(field::<4>(bytes, 42))?;
    let rest = bytes.get(CENTRAL_BYTES + name + extra + comment..).ok_or_else(cut_off)?;
    let name_bytes = &bytes[CENTRAL_BYTES..CENTRAL_BYTES + name];
    let name_text = String::from_utf8_lossy(name_bytes).into_owned();
    let mut fields = &bytes[CENTRAL_BYTES + name..CENTRAL_BYTES + name + extra];
    while let (Some(id), Some(size)) = (field::<2>(fields, 0), field::<2>(fields, 2)) {
        let Some(field_bytes) = fields.get(4..4 + size as usize) else { break };
        if id == 1 {
            // In this order, and only those that do not fit above.
            let mut at = 0;
            for value in [&mut unpacked, &mut packed, &mut local] {
                if *value == 0xffff_ffff {
                    *value = number(field::<8>(field_bytes, at))?;
                    at += 8;
                }
            }
        }
        fields = &fields[4 + size as usize..];
    }
    let is_deflated = match method {
        0 if packed == unpacked => false,
        8 => true,
        _ => return Err(wrong(format!("\"{}\" is packed in a way that is not known here", shown(&name_text)))),
    };
    if flags & 1 != 0 {
        return Err(wrong("it is encrypted"));
    }
    Ok((Entry { name: name_text, is_deflated, packed, bytes: unpacked, local }, rest))
}

impl Entry {
    /// The file's bytes: as many as it is said to have.
    pub async fn read(&self, source: &impl ByteSource) -> Result<Vec<u8>, SaeFileError> {
        let header = source.read_at(self.local, LOCAL_BYTES).await?;
        let (Some(name), Some(extra), true) =
            (field::<2>(&header, 26), field::<2>(&header, 28), header.starts_with(&LOCAL))
        else {
            return Err(wrong(format!("\"{}\" is not where its directory says", shown(&self.name))));
        };
        let packed = source.read_at(self.local + LOCAL_BYTES as u64 + name + extra, self.packed as usize).await?;
        if !self.is_deflated {
            return Ok(packed);
        }
        let unpacked = miniz_oxide::inflate::decompress_to_vec_with_limit(&packed, self.bytes as usize);
        match unpacked {
            Ok(unpacked) if unpacked.len() as u64 == self.bytes => Ok(unpacked),
            _ => Err(wrong(format!("\"{}\" is damaged", shown(&self.name)))),
        }
    }
}
