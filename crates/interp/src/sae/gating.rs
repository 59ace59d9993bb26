//! Features changed at every token, only where they fire, or from where they fired in the prompt on.

use super::PlacedSae;
use crate::InterpError;
use crate::evidence::{Evidence, Measurement, measure};
use serde::Serialize;
use std::sync::Arc;
use tiller_engine::{Condition, Controls, Dictionary, Edit, Engine, FeatureChange, Operation, Positions, Site, Test};
use tiller_sae::Sae;

/// An SAE at its place in a model, as the pass runs it.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedDictionary {
    pub site: Site,
    pub dictionary: Dictionary,
}

/// At which tokens a feature is changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gating {
    /// At every token.
    Constant,
    /// Where its own value is above this.
    Token { above: f32 },
    /// From the first token of the prompt on where its value is above this.
    Sequence { above: f32 },
}

/// A change of one feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeatureSteering {
    pub feature: u32,
    pub change: FeatureChange,
    /// How much of the change is made: 1 is all.
    pub strength: f32,
}

impl PlacedDictionary {
    /// Of an autoencoder, whose encoder is multiplied in f32. Whoever edits again and again passes the same `sae`.
    pub fn new(sae: Arc<Sae>, site: Site, centred: bool) -> PlacedDictionary {
        PlacedDictionary { site, dictionary: Dictionary::new(sae, centred) }
    }

    /// The same, for methods that run it on the host.
    pub fn on_host(&self) -> PlacedSae<'_> {
        PlacedSae { sae: &self.dictionary.sae, site: self.site, site_out: None, centred: self.dictionary.centred }
    }

    /// The engine's edit for a change of a feature.
    pub fn edit(&self, what: &FeatureSteering, gating: Gating) -> Edit {
        let FeatureSteering { feature, change, strength } = *what;
        let changes = [(feature, change)].into();
        let sae = self.dictionary.clone();
        let edit = Edit::new(self.site, Operation::Features { sae, changes, directions: None, coefficient: strength });
        let (above, positions, latched) = match gating {
            Gating::Constant => return edit,
            Gating::Token { above } => (above, Positions::All, false),
            Gating::Sequence { above } => (above, Positions::Prompt, true),
        };
        edit.when(Condition::Activation {
            site: self.site,
            test: Test::Feature { sae: self.dictionary.clone(), feature },
            above: true,
            threshold: above,
            positions,
            latched,
        })
    }
}

/// What is asked of the three ways of gating.
#[derive(Clone, Copy, Debug)]
pub struct GatingQuestion<'a> {
    pub steering: FeatureSteering,
    /// The feature fires above this value.
    pub above: f32,
    /// The text after which the next token is looked at.
    pub prompt: &'a [u32],
    /// The text whose perplexity says what the change costs.
    pub neutral: &'a [u32],
    /// One control for each.
    pub seeds: &'a [u32],
}

/// One way of gating, and what the change does and costs under it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GatingEvidence {
    pub gating: Gating,
    #[serde(flatten)]
    pub evidence: Evidence,
}

/// The shift of the next token and the perplexity of the neutral text, for the change at every token, where the feature
/// fires, and from where it fired in the prompt on. Beside each, controls: at the same tokens, as long a step along the
/// direction of another feature of the same SAE, drawn by a seed.
///
/// `progress` is told the tokens done and in all. Errors as [`measure`].
pub async fn gatings(
    engine: &mut Engine,
    at: &PlacedDictionary,
    what: &GatingQuestion<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<Vec<GatingEvidence>, InterpError> {
    let &GatingQuestion { steering, above, prompt, neutral, seeds } = what;
    let ways = [Gating::Constant, Gating::Token { above }, Gating::Sequence { above }];
    let mut found = Vec::with_capacity(ways.len());
    for (n, gating) in ways.into_iter().enumerate() {
        let edits = [at.edit(&steering, gating)];
        let measured = Measurement { edits: &edits, prompt, neutral, seeds };
        let report = |done, total| progress(n as u64 * total + done, ways.len() as u64 * total);
        found.push(GatingEvidence { gating, evidence: measure(engine, &measured, controls, report).await? });
    }
    Ok(found)
}
