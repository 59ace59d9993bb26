//! A link's fragment; one that is read and short enough to be written comes back as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiller_fuzz::{Bound, bounded, read};
use tiller_recipe::{RecipeError, from_fragment, to_fragment};

// A fragment may unpack to a document of a megabyte, whatever its own length.
const BOUND: Bound = Bound { per_byte: 64, fixed: 64 << 20 };

fuzz_target!(|fragment: &str| {
    bounded(fragment.len(), BOUND, || {
        let Some(Some(recipe)) = read(from_fragment(fragment)) else { return };
        match to_fragment(&recipe) {
            Ok(link) => assert_eq!(from_fragment(&link), Ok(Some(recipe))),
            Err(error) => assert!(matches!(error, RecipeError::TooLarge(_)), "{error}"),
        }
    });
});
