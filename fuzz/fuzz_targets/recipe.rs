//! A recipe's document; one that is read can be written, and comes back as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiller_fuzz::{Bound, bounded, read};
use tiller_recipe::Recipe;

// The least that becomes an edit is thirty times shorter than the edit, and a list takes three times its room to grow.
const BOUND: Bound = Bound { per_byte: 64, fixed: 64 << 10 };

fuzz_target!(|json: &str| {
    bounded(json.len(), BOUND, || {
        let Some(recipe) = read(Recipe::from_json(json)) else { return };
        let written = recipe.to_json().expect("what was read is valid");
        assert_eq!(Recipe::from_json(&written).as_ref(), Ok(&recipe));
    });
});
