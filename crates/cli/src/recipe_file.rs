//! A shared experiment, from a file or a link.

use anyhow::{Context, anyhow, bail};
use std::path::Path;
use tiller_recipe::{Recipe, from_fragment};

/// The longest file that is taken for a recipe, in bytes.
const LONGEST: u64 = 1 << 20;

/// Reads a recipe: `given` is the path of a JSON file, a link, or a link's part from `#` on.
pub fn read(given: &str) -> anyhow::Result<Recipe> {
    if let Some((_, fragment)) = given.split_once('#')
        && !Path::new(given).exists()
    {
        return match from_fragment(fragment)? {
            Some(recipe) => Ok(recipe),
            None => bail!("this link holds no experiment: copy it whole, with everything after the #"),
        };
    }
    let unreadable =
        |error: std::io::Error| anyhow!("no recipe could be read from {given} ({error}): give a file or a link");
    let length = std::fs::metadata(given).map_err(unreadable)?.len();
    if length > LONGEST {
        bail!("{given} has {length} bytes, which is too long for a recipe: give a file of at most {LONGEST}");
    }
    let json = std::fs::read_to_string(given).map_err(unreadable)?;
    Recipe::from_json(&json).with_context(|| format!("{given} could not be used"))
}
