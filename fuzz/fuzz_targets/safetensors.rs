//! A safetensors file's header, and the ends of every tensor.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pollster::block_on;
use tiller_formats::{ByteSource, Safetensors};
use tiller_fuzz::{Bound, bounded, read};

// The shortest entry has 50 bytes; the longest part of what becomes of one is its list of dimensions, as `0,`.
const BOUND: Bound = Bound { per_byte: 64, fixed: 64 << 10 };

fuzz_target!(|file: &[u8]| {
    bounded(file.len(), BOUND, || {
        let Some(header) = read(block_on(Safetensors::read(&file))) else { return };
        for (name, tensor) in &header.tensors {
            for at in [tensor.offset, tensor.offset + tensor.bytes.saturating_sub(1)] {
                let bytes = tensor.bytes.min(1) as usize;
                block_on(file.read_at(at, bytes)).expect("checked with the header");
            }
            read(tensor.quant(name));
        }
    });
});
