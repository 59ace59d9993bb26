//! A control vector's file; one that is read can be written, and comes back as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pollster::block_on;
use tiller_formats::ControlVector;
use tiller_fuzz::{Bound, bounded, read};

// As for a model's header; a block of 4 bits becomes numbers of 32, here three times: read, written, and read again.
const BOUND: Bound = Bound { per_byte: 128, fixed: 1 << 20 };

fuzz_target!(|file: &[u8]| {
    bounded(file.len(), BOUND, || {
        let Some(vector) = read(block_on(ControlVector::read(&file))) else { return };
        assert!(vector.width() > 0);
        let written = vector.to_bytes().expect("what was read can be written");
        let again = block_on(ControlVector::read(&written)).expect("what was written can be read");
        // Bytes, not values: a note may hold what is no number, which equals nothing.
        assert_eq!(again.to_bytes().expect("as before"), written);
        let _ = read(again.from_one_based());
    });
});
