//! What a shared experiment's changes of features do to the words of a feature's label.

use crate::described_features::DescribedFeatures;
use crate::loaded::Loaded;
use crate::sae_flags::SaeFlags;
use std::path::Path;
use tiller_engine::Edit;
use tiller_experiment::finding;
use tiller_interp::evidence::{CONTROL_SEEDS, WordSeeds, halves, neutral_cost, word_effect};
use tiller_recipe::{Finding, Recipe};

/// The effect of `edits`, the recipe's, on the words of the first changed feature whose label names some, after the
/// beginnings of sentences that report. `None` where it changes no feature, or none has such a label; why goes to stderr.
pub async fn found(
    loaded: &mut Loaded,
    recipe: &Recipe,
    edits: &[Edit],
    sae: Option<&Path>,
) -> anyhow::Result<Option<Finding>> {
    let Some(sae) = sae.filter(|_| !recipe.feature_edits.is_empty()) else { return Ok(None) };
    let session = &mut loaded.session;
    let described = match DescribedFeatures::read(&SaeFlags::of(sae.into()).beside("features.json")) {
        Ok(described) => described,
        Err(error) => {
            eprintln!("tiller: what the changes do to the features' words is not measured: {error:#}");
            return Ok(None);
        }
    };
    let mut why = String::new();
    for edit in &recipe.feature_edits {
        match described.words(edit.feature, session) {
            Ok((_, label, words)) => {
                let [_, prompts] = halves(&session.openings()?);
                let neutral = session.neutral()?;
                let seeds = WordSeeds { others: &CONTROL_SEEDS, random: &CONTROL_SEEDS };
                let engine = &mut session.engine;
                let effect = word_effect(engine, edits, &words, &prompts, seeds, &(), |_, _| {}).await?;
                let cost = neutral_cost(engine, &neutral, edits, &()).await?;
                return Ok(Some(finding::of_feature_edits(&label.text, &effect, &cost)));
            }
            Err(reason) => why = reason,
        }
    }
    eprintln!("tiller: what the changes do to the features' words is not measured: of the last, {why}");
    Ok(None)
}
