//! The features of a sparse autoencoder, as a recipe states what is looked at.

use crate::schema::{at_most, limits, within};
use serde::{Deserialize, Serialize};
use tiller_sites::ModelRef;

/// Which features are looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Features {
    /// The SAE; `None`: the one that comes with the page for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sae: Option<SaeRef>,
    /// The feature that is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<u32>,
    /// Features that are kept in sight.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pinned: Vec<u32>,
    /// What the author calls features.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<(u32, String)>,
    /// The text that the prompt is held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
}

/// Which SAE is meant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaeRef {
    /// It comes with the page, under this name.
    Shipped(String),
    OnHub(HubSae),
}

/// An SAE in a repository of the hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HubSae {
    /// Its weights; what else belongs to it lies beside them.
    pub weights: ModelRef,
    #[serde(default, skip_serializing_if = "Unsaid::is_empty")]
    pub unsaid: Unsaid,
}

/// What an SAE's files may leave unsaid, said by whoever opens it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unsaid {
    /// The activation that it reads, under TransformerLens's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The activation that it writes, where it is a transcoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_out: Option<String>,
    /// What activations were multiplied by before they were encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_scale: Option<f32>,
}

/// The most features that are kept in sight.
pub const PINNED_LIMIT: usize = 32;
/// The most features that the author names.
pub const LABELS_LIMIT: usize = 100;
/// Characters of a feature's name.
pub const LABEL_CHARS: usize = 80;

impl Unsaid {
    fn is_empty(&self) -> bool {
        *self == Unsaid::default()
    }
}

impl SaeRef {
    fn check(&self) -> Result<(), String> {
        match self {
            SaeRef::Shipped(name) => at_most("name of an SAE", name.chars().count(), limits::NAME_CHARS),
            SaeRef::OnHub(HubSae { weights, unsaid }) => {
                weights.validate().map_err(|error| error.to_string())?;
                let sites = unsaid.site.iter().chain(&unsaid.site_out);
                let longest = sites.map(|site| site.chars().count()).max().unwrap_or_default();
                at_most("name of an SAE's site", longest, limits::NAME_CHARS)?;
                within("scale of an SAE's activations", unsaid.input_scale.unwrap_or(1.0), 0.0..=f32::MAX)
            }
        }
    }
}

impl Features {
    pub(crate) fn check(&self) -> Result<(), String> {
        self.sae.as_ref().map_or(Ok(()), SaeRef::check)?;
        at_most("pinned features", self.pinned.len(), PINNED_LIMIT)?;
        at_most("names of features", self.labels.len(), LABELS_LIMIT)?;
        let longest = self.labels.iter().map(|(_, label)| label.chars().count()).max().unwrap_or_default();
        at_most("name of a feature", longest, LABEL_CHARS)?;
        let against = self.against.as_ref().map_or(0, |text| text.chars().count());
        at_most("text that the prompt is held against", against, limits::TEXT_CHARS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_left_out_and_too_much_is_refused() {
        let features = Features { feature: Some(7), pinned: vec![3, 9], ..Features::default() };
        let json = serde_json::to_string(&features).unwrap();
        assert_eq!(json, r#"{"feature":7,"pinned":[3,9]}"#);
        assert_eq!(serde_json::from_str::<Features>(&json).unwrap(), features);
        assert!(features.check().is_ok());
        assert!(Features { pinned: vec![0; PINNED_LIMIT + 1], ..features.clone() }.check().is_err());
        assert!(Features { labels: vec![(3, "x".repeat(LABEL_CHARS + 1))], ..features.clone() }.check().is_err());
        assert!(Features { labels: vec![(3, "sea".into()); LABELS_LIMIT + 1], ..features.clone() }.check().is_err());
        assert!(Features { sae: Some(SaeRef::Shipped("x".repeat(999))), ..features }.check().is_err());
    }

    fn on_hub(file: &str, unsaid: Unsaid) -> Features {
        let weights = ModelRef {
            repo: "acme/saes".into(),
            revision: "main".into(),
            file: file.into(),
            bytes: None,
            sha256: None,
        };
        Features { sae: Some(SaeRef::OnHub(HubSae { weights, unsaid })), ..Features::default() }
    }

    #[test]
    fn an_sae_is_named_or_lies_on_the_hub() {
        let shipped: Features = serde_json::from_str(r#"{"sae":{"shipped":"mine"}}"#).unwrap();
        assert_eq!(shipped.sae, Some(SaeRef::Shipped("mine".into())));
        let features = on_hub("layer_3/params.npz", Unsaid { site: Some("blocks.3".into()), ..Unsaid::default() });
        let json = serde_json::to_string(&features).unwrap();
        let weights = r#"{"repo":"acme/saes","revision":"main","file":"layer_3/params.npz"}"#;
        assert_eq!(json, format!(r#"{{"sae":{{"on-hub":{{"weights":{weights},"unsaid":{{"site":"blocks.3"}}}}}}}}"#));
        assert_eq!(serde_json::from_str::<Features>(&json).unwrap(), features);
        assert!(features.check().is_ok());
    }

    #[test]
    fn an_sae_that_lies_elsewhere_is_refused() {
        assert!(on_hub("../params.npz", Unsaid::default()).check().is_err());
        let long = Unsaid { site_out: Some("x".repeat(999)), ..Unsaid::default() };
        assert!(on_hub("params.npz", long).check().is_err());
        let scaled = |scale| on_hub("params.npz", Unsaid { input_scale: Some(scale), ..Unsaid::default() });
        assert!(scaled(f32::NAN).check().is_err() && scaled(-1.0).check().is_err() && scaled(0.5).check().is_ok());
    }
}
