//! Files that are damaged, or made to do harm: each gets an error, and none a panic or much memory.

mod measured_memory;

use measured_memory::peak_of;
use std::cell::Cell;
use std::io;
use tiller_formats::{ByteSource, Gguf, GgufError, GgufWriter, Quant, Value};

fn read(bytes: &[u8]) -> Result<Gguf, GgufError> {
    pollster::block_on(Gguf::read(&bytes.to_vec()))
}

/// A small file with every kind of value and two tensors.
fn sound() -> Vec<u8> {
    let values = [
        Value::U8(1),
        Value::I8(-1),
        Value::U16(2),
        Value::I16(-2),
        Value::U32(3),
        Value::I32(-3),
        Value::F32(0.5),
        Value::Bool(true),
        Value::from("text"),
        Value::from(vec!["a", "b", ""]),
        Value::U64(4),
        Value::I64(-4),
        Value::F64(0.25),
        Value::Array(vec![Value::from(vec![1.0f32, 2.0]), Value::Array(vec![])]),
    ];
    let mut file = GgufWriter::new("test");
    for (n, value) in values.into_iter().enumerate() {
        file = file.with(&format!("test.{n}"), value);
    }
    file.tensor("weights", Quant::Q4_0, &[3, 32], &[0.5; 96]).unwrap();
    file.tensor("gain", Quant::F32, &[5], &[1.0; 5]).unwrap();
    file.to_bytes().unwrap()
}

/// A header of its own making, version 3.
fn header(tensors: u64, keys: u64, rest: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(tensors.to_le_bytes());
    bytes.extend(keys.to_le_bytes());
    bytes.extend(rest.concat());
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// A tensor's entry; `dims` in ggml's order, innermost first.
fn tensor(name: &str, dims: &[u64], ggml_type: u32, offset: u64) -> Vec<u8> {
    let mut bytes = text(name);
    bytes.extend((dims.len() as u32).to_le_bytes());
    bytes.extend(dims.iter().flat_map(|dim| dim.to_le_bytes()));
    bytes.extend(ggml_type.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes
}

/// The error for a file of these tensors, with 4096 bytes of data.
fn tensors_error(tensors: &[Vec<u8>]) -> String {
    let parts: Vec<&[u8]> = tensors.iter().map(Vec::as_slice).collect();
    let mut bytes = header(tensors.len() as u64, 0, &parts);
    bytes.resize(bytes.len().next_multiple_of(32) + 4096, 0);
    read(&bytes).unwrap_err().to_string()
}

#[test]
fn a_sound_file_comes_back_as_it_was_written() {
    let gguf = read(&sound()).unwrap();
    assert_eq!((gguf.version, gguf.metadata.0.len(), gguf.tensors.len()), (3, 15, 2));
    assert_eq!(gguf.metadata.get_u32("test.10").unwrap(), 4);
    assert_eq!(gguf.metadata.strings("test.9").unwrap(), ["a", "b", ""]);
    assert_eq!(gguf.metadata.get_str("test.8").unwrap(), "text");
    assert_eq!(gguf.metadata.get_f32("test.6").unwrap(), 0.5);
    let weights = gguf.tensor("weights").unwrap();
    assert_eq!((weights.quant, &weights.shape[..], weights.bytes), (Quant::Q4_0, &[3, 32][..], 54));
    let gain = gguf.tensor("gain").unwrap();
    assert_eq!(gain.offset, weights.offset + 64);
}

/// Bytes that remember how many of them were read.
struct Counted {
    bytes: Vec<u8>,
    read: Cell<usize>,
}

impl ByteSource for Counted {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.read.set(self.read.get() + len);
        self.bytes.read_at(offset, len).await
    }
}

#[test]
fn a_long_header_is_fetched_in_parts_and_the_tensors_never() {
    let mut file = GgufWriter::new("test").with("test.long", "x".repeat(5 << 20));
    file.tensor("weights", Quant::F32, &[4 << 20], &vec![0.0; 4 << 20]).unwrap();
    let source = Counted { bytes: file.to_bytes().unwrap(), read: Cell::new(0) };
    let gguf = pollster::block_on(Gguf::read(&source)).unwrap();
    assert_eq!(gguf.metadata.get_str("test.long").unwrap().len(), 5 << 20);
    assert_eq!(source.read.get(), 8 << 20, "no byte is fetched twice, and none far beyond the header");
}

#[test]
fn a_value_of_another_kind_is_refused_with_its_key() {
    let gguf = read(&sound()).unwrap();
    for error in [
        gguf.metadata.get_u32("test.5").unwrap_err(),
        gguf.metadata.get_u32("test.8").unwrap_err(),
        gguf.metadata.get_f32("test.4").unwrap_err(),
        gguf.metadata.strings("test.13").unwrap_err(),
        gguf.metadata.get_str("missing.key").unwrap_err(),
    ] {
        let told = error.to_string();
        assert!(told.contains("\"test.") || told.contains("\"missing.key\""), "{told}");
    }
    assert_eq!(gguf.metadata.find_str("missing.key").unwrap(), None);
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = sound();
    // The data of the last tensor may lack its padding.
    let end = read(&bytes).unwrap().tensors.values().map(|tensor| tensor.offset + tensor.bytes).max().unwrap();
    assert!(read(&bytes[..end as usize]).is_ok());
    for len in 0..end as usize {
        match read(&bytes[..len]).unwrap_err() {
            GgufError::Truncated { len: told, promised } => assert!(told == len as u64 && promised > told),
            GgufError::NotGguf { .. } => assert!(len < 4),
            other => panic!("{len}: {other}"),
        }
    }
}

#[test]
fn flipped_bytes_neither_panic_nor_take_much_memory() {
    let bytes = sound();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut refused = 0;
    for _ in 0..10_000 {
        let mut flipped = bytes.clone();
        for _ in 0..=random(8) {
            let at = random(flipped.len());
            flipped[at] = random(256) as u8;
        }
        let (result, peak) = peak_of(|| read(&flipped).map(drop));
        refused += usize::from(result.is_err());
        assert!(peak < 64 * bytes.len() + 65_536, "{peak} bytes for a file of {}", bytes.len());
    }
    assert!((1_000..10_000).contains(&refused), "{refused} of 10000 files are refused");
}

#[test]
fn absurd_promises_are_refused_without_memory() {
    let huge = 1u64 << 60;
    let key = |rest: &[&[u8]]| [text("k"), rest.concat()].concat();
    let string = 8u32.to_le_bytes();
    let list = 9u32.to_le_bytes();
    let promises = [
        header(huge, 0, &[]),
        header(0, huge, &[]),
        header(u64::MAX, u64::MAX, &[]),
        header(1 << 16, 1 << 16, &[]),
        header(0, 1, &[&huge.to_le_bytes()]),
        header(0, 1, &[&u64::MAX.to_le_bytes()]),
        header(0, 1, &[&key(&[&string, &huge.to_le_bytes()])]),
        header(0, 1, &[&key(&[&list, &string, &huge.to_le_bytes()])]),
        header(0, 1, &[&key(&[&list, &string, &u64::MAX.to_le_bytes()])]),
        header(0, 1, &[&key(&[&list, &[0; 4], &(1u64 << 22).to_le_bytes()])]),
    ];
    for bytes in promises {
        let (result, peak) = peak_of(|| read(&bytes));
        assert!(matches!(result, Err(GgufError::Truncated { .. } | GgufError::TooLarge { .. })), "{result:?}");
        assert!(peak < 65_536, "{peak} bytes for {result:?}");
    }
}

#[test]
fn lists_are_not_followed_to_any_depth() {
    let level = [9u32.to_le_bytes().as_slice(), &1u64.to_le_bytes()].concat();
    let nested = [text("k"), 9u32.to_le_bytes().to_vec(), level.repeat(100_000)].concat();
    let error = read(&header(0, 1, &[&nested])).unwrap_err().to_string();
    assert!(error.contains("nested"), "{error}");
}

#[test]
fn what_is_no_gguf_is_named() {
    let refused = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert!(refused(b"<!DOCTYPE html>").contains("not a GGUF file (it begins with \"<!DO\")"));
    assert!(refused(b"").contains("not a GGUF file"));
    assert!(refused(b"GGUF\x01\0\0\0").contains("version 1,"));
    assert!(refused(b"GGUF\x63\0\0\0").contains("version 99,"));
    assert!(refused(b"GGUF\0\0\0\x03").contains("big-endian"));
}

#[test]
fn keys_appear_once_and_are_text() {
    let key = [text("k"), 7u32.to_le_bytes().to_vec(), vec![1]].concat();
    assert!(read(&header(0, 2, &[&key, &key])).unwrap_err().to_string().contains("\"k\" appears twice"));
    let binary = [1u64.to_le_bytes().to_vec(), vec![0xff], 7u32.to_le_bytes().to_vec(), vec![1]].concat();
    assert!(read(&header(0, 1, &[&binary])).unwrap_err().to_string().contains("not UTF-8"));
    let truth = [text("k"), 7u32.to_le_bytes().to_vec(), vec![2]].concat();
    assert!(read(&header(0, 1, &[&truth])).unwrap_err().to_string().contains("truth value"));
    let kind = [text("k"), 13u32.to_le_bytes().to_vec()].concat();
    assert!(read(&header(0, 1, &[&kind])).unwrap_err().to_string().contains("kind of value 13"));
}

#[test]
fn alignment_is_a_power_of_two() {
    for alignment in [0u32, 24] {
        let key = [text("general.alignment"), 4u32.to_le_bytes().to_vec(), alignment.to_le_bytes().to_vec()].concat();
        assert!(read(&header(0, 1, &[&key])).unwrap_err().to_string().contains("power of two"));
    }
}

#[test]
fn tensors_lie_where_they_can() {
    let [f32, q4_0] = [0, 2];
    assert!(tensors_error(&[tensor("t", &[8], f32, 4)]).contains("not aligned"));
    assert!(tensors_error(&[tensor("t", &[8], f32, 4096)]).contains("the file ends at byte"));
    assert!(tensors_error(&[tensor("t", &[1025], f32, 0)]).contains("the file ends at byte"));
    assert!(tensors_error(&[tensor("t", &[8], f32, !31)]).contains("the file ends at byte"));
    let overlapping = [tensor("a", &[16], f32, 0), tensor("b", &[8], f32, 32)];
    assert!(tensors_error(&overlapping).contains("\"a\" and \"b\" overlap"));
    assert!(tensors_error(&[tensor("t", &[8], f32, 0), tensor("t", &[8], f32, 32)]).contains("\"t\" appears twice"));
    assert!(tensors_error(&[tensor("t", &[8, 0], f32, 0)]).contains("cannot have the dimensions [8, 0]"));
    assert!(tensors_error(&[tensor("t", &[33], q4_0, 0)]).contains("cannot have the dimensions [33] as Q4_0"));
    assert!(tensors_error(&[tensor("t", &[1 << 32, 1 << 32], f32, 0)]).contains("cannot have the dimensions"));
    assert!(tensors_error(&[tensor("t", &[u64::MAX], f32, 0)]).contains("cannot have the dimensions"));
    assert!(tensors_error(&[tensor("t", &[], f32, 0)]).contains("has 0 dimensions"));
    assert!(tensors_error(&[tensor("t", &[1; 5], f32, 0)]).contains("has 5 dimensions"));
    let unread = tensors_error(&[tensor("t", &[32], 20, 0)]);
    assert!(unread.contains("\"t\" is stored as IQ4_NL") && unread.contains("Q4_K"), "{unread}");
    assert!(tensors_error(&[tensor("t", &[32], 4_000_000_000, 0)]).contains("ggml type 4000000000"));
}

#[test]
fn a_name_of_any_length_makes_no_long_message() {
    let long = "n".repeat(60_000);
    let key = [text(&long), vec![7, 0, 0, 0, 1]].concat();
    let twice = read(&header(0, 2, &[&key, &key])).unwrap_err().to_string();
    let mut errors = vec![twice];
    for declared in [
        vec![tensor(&long, &[1; 5], 0, 0)],
        vec![tensor(&long, &[8], 0, 4)],
        vec![tensor(&long, &[8], 4_000_000_000, 0)],
        vec![tensor(&long, &[8], 0, 0), tensor(&long, &[8], 0, 32)],
        vec![tensor(&long, &[16], 0, 0), tensor("t", &[8], 0, 32)],
    ] {
        errors.push(tensors_error(&declared));
    }
    for error in errors {
        assert!(error.contains("nnn") && error.len() < 500, "{} bytes", error.len());
    }
}
