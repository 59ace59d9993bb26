//! Links that scenarios open, made by the same crate that the page makes them with.

use anyhow::{Context, Result};
use std::path::PathBuf;
use tiller_engine::{Sampling, Site};
use tiller_recipe::{
    Direction, Edit, Lens, Pair, Prompt, Recipe, Source, VERSION, Vector, View, from_fragment, to_fragment,
};
use tiller_sites::{ModelRef, catalogue};

/// The model that the page offers first.
pub fn smollm2() -> ModelRef {
    catalogue().swap_remove(0).model
}

/// Where a hub rooted at `root` keeps this model's file.
pub fn place_of(model: &ModelRef, root: &std::path::Path) -> PathBuf {
    root.join(&model.repo).join(&model.revision).join(&model.file)
}

/// A short greedy continuation, without pairs, vectors or edits.
pub fn plain(model: ModelRef) -> Recipe {
    Recipe {
        tiller: VERSION,
        model,
        view: View::Steer,
        prompt: Prompt::Text("The weather in the mountains was".into()),
        sampling: Sampling::GREEDY,
        max_tokens: 5,
        pairs: Vec::new(),
        vectors: Vec::new(),
        edits: Vec::new(),
        feature_edits: Vec::new(),
        lens: Lens::default(),
        shelf: Vec::new(),
        patch: tiller_recipe::Patching::default(),
        probe: None,
        features: Default::default(),
        backend: None,
    }
}

/// The same with one edit: a made-up direction of the given width, strong enough to change every word.
pub fn steered(model: ModelRef, width: usize) -> Result<Recipe> {
    let values: Vec<f32> = (0..width).map(|i| (i as f32 * 0.7).sin()).collect();
    let direction = Direction::along(&values).expect("sines have a direction");
    Ok(Recipe {
        pairs: vec![Pair { positive: "I love this.".into(), negative: "I hate this.".into() }],
        vectors: vec![Vector {
            name: "Made up".into(),
            method: "mean-diff".into(),
            layer: 15,
            direction,
            norm: 5.0,
            typical_norm: 50.0,
        }],
        edits: vec![Edit::add(Source::Vector(0), Site::ResidPost(15), 1.5)],
        ..plain(model)
    })
}

/// The fragment that opens a recipe, with its `#`.
pub fn link(recipe: &Recipe) -> Result<String> {
    Ok(to_fragment(recipe)?)
}

/// The recipe in an address.
pub fn of_link(address: &str) -> Result<Recipe> {
    let fragment = address.find('#').map(|at| &address[at..]).context("the address has a fragment")?;
    from_fragment(fragment)?.context("the fragment is a recipe")
}
