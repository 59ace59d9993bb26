//! safetensors files: sound ones as another program writes them, and ones that are damaged or made to do harm, each of
//! which gets an error, and none a panic or much memory.

mod measured_memory;

use measured_memory::peak_of;
use safetensors::tensor::{Dtype as Written, TensorView};
use std::collections::HashMap;
use tiller_formats::{Dtype, Quant, Safetensors, SafetensorsError};

fn read(bytes: &[u8]) -> Result<Safetensors, SafetensorsError> {
    pollster::block_on(Safetensors::read(&bytes.to_vec()))
}

/// A small file as the format's own crate writes it.
fn sound() -> Vec<u8> {
    let bytes: Vec<u8> = (0..24).collect();
    let tensors = [
        ("weight", TensorView::new(Written::F32, vec![2, 3], &bytes).unwrap()),
        ("gain", TensorView::new(Written::BF16, vec![5], &bytes[..10]).unwrap()),
        ("half", TensorView::new(Written::F16, vec![1, 2], &bytes[..4]).unwrap()),
        ("mask", TensorView::new(Written::BOOL, vec![1, 1, 3, 3], &bytes[..9]).unwrap()),
        ("masked", TensorView::new(Written::F32, vec![], &bytes[..4]).unwrap()),
        ("nothing", TensorView::new(Written::F32, vec![0, 3], &[]).unwrap()),
    ];
    let about = HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize(tensors, Some(about)).unwrap()
}

/// A file of this header, and `data` bytes.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn refusal(header: &str, data: usize) -> String {
    read(&file(header, data)).unwrap_err().to_string()
}

#[test]
fn a_sound_file_is_read_as_it_was_written() {
    let bytes = sound();
    let file = read(&bytes).unwrap();
    assert_eq!(file.metadata["format"], "pt");
    assert_eq!(file.tensors.len(), 6);
    let weight = &file.tensors["weight"];
    assert_eq!((&weight.dtype, &weight.shape[..], weight.bytes), (&Dtype::Float(Quant::F32), &[2, 3][..], 24));
    assert_eq!(bytes[weight.offset as usize..][..24], (0..24).collect::<Vec<u8>>());
    assert_eq!(file.tensors["gain"].quant("gain").unwrap(), Quant::BF16);
    assert_eq!(file.tensors["half"].quant("half").unwrap(), Quant::F16);
    assert_eq!((file.tensors["masked"].shape.len(), file.tensors["nothing"].bytes), (0, 0));
    let error = file.tensors["mask"].quant("mask").unwrap_err().to_string();
    assert!(error.contains("\"mask\" is stored as BOOL"), "{error}");
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = sound();
    for len in 0..bytes.len() {
        match read(&bytes[..len]).unwrap_err() {
            SafetensorsError::Truncated { len: told, promised } => assert!(told == len as u64 && promised > told),
            SafetensorsError::NotSafetensors { .. } => assert!(len < 9),
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
        for _ in 0..=random(4) {
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
    let long = (1u64 << 60).to_le_bytes();
    for bytes in [[&long[..], b"{}"].concat(), [&u64::MAX.to_le_bytes()[..], b"{}"].concat()] {
        let (result, peak) = peak_of(|| read(&bytes));
        assert!(matches!(result, Err(SafetensorsError::Truncated { .. })), "{result:?}");
        assert!(peak < 65_536, "{peak} bytes");
    }
    let nested = format!("{{\"t\":{}", "[".repeat(100_000));
    assert!(refusal(&nested, 0).contains("damaged"));
    let endless = file(&format!("{{}}{}", " ".repeat(16 << 20)), 0);
    assert!(read(&endless).unwrap_err().to_string().contains("more than the 16777216"));
}

#[test]
fn what_is_no_safetensors_is_named() {
    let refused = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert!(refused(b"GGUF\x03\0\0\0\x01\0\0").contains("not a safetensors file (it begins with \"GGUF"));
    assert!(refused(b"<!DOCTYPE html>").contains("begins with \"<!DOCTYPE\""));
    assert!(refused(b"").contains("not a safetensors file"));
}

#[test]
fn tensors_lie_side_by_side_and_are_as_long_as_their_shapes() {
    let tensor = |name: &str, dtype: &str, shape: &str, start: u64, end: u64| {
        format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{start},{end}]}}")
    };
    let one =
        |dtype: &str, shape: &str, start, end| refusal(&format!("{{{}}}", tensor("t", dtype, shape, start, end)), 16);
    assert!(one("F32", "[3]", 0, 16).contains("\"t\" of the shape [3] in F32 has 16 bytes"));
    assert!(one("F32", "[4]", 16, 0).contains("ends before it begins"));
    assert!(one("F32", "[8]", 0, 32).contains("the file ends at byte"));
    assert!(one("F32", "[4]", u64::MAX - 16, u64::MAX).contains("the file ends at byte"));
    assert!(one("F32", "[4294967296,4294967296,4]", 0, 16).contains("impossible shape"));
    assert!(one("F32", "[4,4611686018427387904]", 0, 16).contains("[4, 4611686018427387904]"));
    assert!(one("F32", "[1,1,1,1,1,1,1,1,4]", 0, 16).contains("has 9 dimensions"));
    assert!(one("F32", "[-4]", 0, 16).contains("damaged"));
    assert!(one("F32", "[2]", 8, 16).contains("leaves a gap"));
    assert!(one("F32", "[2]", 0, 8).contains("its tensors end at byte"));
    assert!(one(&"F".repeat(99), "[4]", 0, 16).contains("endless name"));

    let two = |a: String, b: String| refusal(&format!("{{{a},{b}}}"), 16);
    assert!(two(tensor("a", "F32", "[4]", 0, 16), tensor("b", "F32", "[2]", 8, 16)).contains("\"b\" lies upon"));
    assert!(two(tensor("a", "F32", "[2]", 0, 8), tensor("a", "F32", "[2]", 8, 16)).contains("\"a\" appears twice"));
    assert!(two("\"__metadata__\":{}".into(), "\"__metadata__\":{}".into()).contains("appears twice"));
}
