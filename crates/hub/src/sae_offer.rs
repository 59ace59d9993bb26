//! Which of a repository's files are sparse autoencoders.

use crate::repository::Repository;
use std::collections::BTreeSet;
use tiller_sites::{ModelRef, SAE_WEIGHTS};

/// What has to lie beside the weights of SAELens and Sparsify, whose names begin so.
const BESIDE: (&str, &str) = ("sae", "cfg.json");

/// The weights of the SAEs in a repository, in the order of their paths as people count: layer 2 before layer 10.
pub fn saes(repository: &Repository) -> Vec<ModelRef> {
    let paths: BTreeSet<&str> = repository.files.iter().map(|file| file.path.as_str()).collect();
    let is_sae = |path: &str| {
        let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (&path[..=folder.len()], name));
        let (begins, beside) = BESIDE;
        SAE_WEIGHTS.contains(&name) && (!name.starts_with(begins) || paths.contains(&*format!("{folder}{beside}")))
    };
    let mut found: Vec<_> = repository.files.iter().filter(|file| is_sae(&file.path)).collect();
    found.sort_by_cached_key(|file| counted(&file.path));
    found.into_iter().map(|file| repository.reference(file)).collect()
}

/// A path whose numbers compare as numbers.
fn counted(path: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let word = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let digits = rest[word..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| word + end);
        parts.push((rest[..word].to_string(), rest[word..digits].parse().unwrap_or(0)));
        rest = &rest[digits..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::RepositoryFile;

    fn found(paths: &[&str]) -> Vec<String> {
        let file = |path: &&str| RepositoryFile { path: path.to_string(), bytes: 9, sha256: None };
        let repository = Repository {
            repo: "acme/saes".into(),
            commit: "c0ffee".into(),
            gated: false,
            licence: None,
            architecture: None,
            files: paths.iter().map(file).collect(),
        };
        saes(&repository).into_iter().map(|weights| weights.file).collect()
    }

    #[test]
    fn saes_are_told_by_their_files_and_layers_are_counted() {
        let paths = [
            "blocks.10.hook_resid_pre/cfg.json",
            "blocks.10.hook_resid_pre/sae_weights.safetensors",
            "blocks.2.hook_resid_pre/cfg.json",
            "blocks.2.hook_resid_pre/sae_weights.safetensors",
            "blocks.3.hook_resid_pre/sae_weights.safetensors",
            "README.md",
        ];
        let expected =
            ["blocks.2.hook_resid_pre/sae_weights.safetensors", "blocks.10.hook_resid_pre/sae_weights.safetensors"];
        assert_eq!(found(&paths), expected, "block 3 has no configuration");
        let scope = ["layer_12/width_16k/average_l0_82/params.npz", "layer_12/width_16k/average_l0_8/params.npz"];
        assert_eq!(found(&scope), [scope[1], scope[0]]);
        assert_eq!(found(&["cfg.json", "sae_weights.safetensors", "model.safetensors"]), ["sae_weights.safetensors"]);
        assert_eq!(found(&["params.safetensors"]), ["params.safetensors"]);
        assert_eq!(found(&["layers.9/sae.safetensors", "layers.9/cfg.json"]), ["layers.9/sae.safetensors"]);
        assert_eq!(found(&["a/cfg.json", "sae_weights.safetensors"]), [""; 0]);
    }

    #[test]
    fn numbers_of_any_length_are_counted() {
        let long = format!("{}/params.npz", "9".repeat(60));
        assert_eq!(found(&[&long]), [long]);
    }
}
