//! The features of a sparse autoencoder, as a recipe states what is looked at.

use crate::schema::{at_most, limits};
use serde::{Deserialize, Serialize};

/// Which features are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Features {
    /// The SAE, by the name under which it comes with the page; `None`: the one that comes for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sae: Option<String>,
    /// The feature that is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<u32>,
    /// Features that are kept in sight.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pinned: Vec<u32>,
}

/// The most features that are kept in sight.
pub const PINNED_LIMIT: usize = 32;

impl Features {
    pub(crate) fn check(&self) -> Result<(), String> {
        let name = self.sae.as_deref().unwrap_or_default();
        at_most("name of an SAE", name.chars().count(), limits::NAME_CHARS)?;
        at_most("pinned features", self.pinned.len(), PINNED_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_left_out_and_too_much_is_refused() {
        let features = Features { sae: None, feature: Some(7), pinned: vec![3, 9] };
        let json = serde_json::to_string(&features).unwrap();
        assert_eq!(json, r#"{"feature":7,"pinned":[3,9]}"#);
        assert_eq!(serde_json::from_str::<Features>(&json).unwrap(), features);
        assert!(features.check().is_ok());
        assert!(Features { pinned: vec![0; PINNED_LIMIT + 1], ..features.clone() }.check().is_err());
        assert!(Features { sae: Some("x".repeat(999)), ..features }.check().is_err());
    }
}
