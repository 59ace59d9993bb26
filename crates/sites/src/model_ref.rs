//! Which file a model is.

use serde::{Deserialize, Serialize};

/// The public hub, where nothing else is said.
pub const PUBLIC_HUB: &str = "https://huggingface.co";

/// In place of a repository: what was made in this browser, and lies among what it keeps of the hub.
pub const KEPT_HERE: &str = "in-this-browser/trained";

/// What the weights of a sparse autoencoder are called, by those who publish them: SAELens, Sparsify, Gemma Scope, Gemma
/// Scope 2.
pub const SAE_WEIGHTS: [&str; 4] = ["sae_weights.safetensors", "sae.safetensors", "params.npz", "params.safetensors"];

/// One file of a model on the hub, at one revision. It is part of a link, so it is checked before anything is fetched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelRef {
    /// `owner/name`.
    pub repo: String,
    /// A commit, a tag or a branch.
    pub revision: String,
    /// The file's path within the repository.
    pub file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// In lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What is wrong with a [`ModelRef`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidModelRef {
    #[error("\"{0}\" is no repository name: write it as owner/name")]
    Repo(String),
    #[error("\"{0}\" is no revision: write a branch, a tag or a commit")]
    Revision(String),
    #[error("\"{0}\" is no file of a repository: write its path, as in model.gguf")]
    File(String),
    #[error("\"{0}\" is no sha256: it has 64 hexadecimal digits")]
    Sha256(String),
}

impl ModelRef {
    /// Whether it is of this browser's own making, and on no hub.
    pub fn is_kept_here(&self) -> bool {
        self.repo == KEPT_HERE
    }

    /// Whether it is the weights of a sparse autoencoder, by its name.
    pub fn is_sae(&self) -> bool {
        self.file.rsplit('/').next().is_some_and(|name| SAE_WEIGHTS.contains(&name))
    }

    /// Checks that the names can be put into a path or an address as they are: plain characters, no `.` or `..` as a
    /// part, no part empty, none absurdly long.
    pub fn validate(&self) -> Result<(), InvalidModelRef> {
        let shown = |text: &str| text.chars().take(100).collect::<String>();
        if !(self.repo.split('/').count() == 2 && is_plain_path(&self.repo)) {
            return Err(InvalidModelRef::Repo(shown(&self.repo)));
        }
        if !is_plain_path(&self.revision) {
            return Err(InvalidModelRef::Revision(shown(&self.revision)));
        }
        if !is_plain_path(&self.file) {
            return Err(InvalidModelRef::File(shown(&self.file)));
        }
        match &self.sha256 {
            Some(hash) if !(hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))) => {
                Err(InvalidModelRef::Sha256(shown(hash)))
            }
            _ => Ok(()),
        }
    }
}

fn is_plain_path(path: &str) -> bool {
    const LONGEST: usize = 255;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    path.len() <= LONGEST
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && part.chars().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(repo: &str, revision: &str, file: &str) -> ModelRef {
        ModelRef { repo: repo.into(), revision: revision.into(), file: file.into(), bytes: None, sha256: None }
    }

    #[test]
    fn plain_names_are_accepted() {
        assert_eq!(model("QuantFactory/SmolLM2-135M", "main", "SmolLM2.Q4_1.gguf").validate(), Ok(()));
        assert_eq!(model("a/b", "refs/pr/1", "sub/folder/model-00001.gguf").validate(), Ok(()));
    }

    #[test]
    fn names_that_would_lead_elsewhere_are_refused() {
        for repo in ["a", "a/b/c", "../b", "a/..", "a//b", "/b", "a/b?x", "a/b c", "a\\b/c", "a/b\n", "a/%2e%2e", ""] {
            assert!(matches!(model(repo, "main", "f").validate(), Err(InvalidModelRef::Repo(_))), "{repo:?}");
        }
        for path in ["", "..", "../x", "x/../y", "/x", "x/", "http://x", "x#y", &"x".repeat(256)] {
            assert!(matches!(model("a/b", path, "f").validate(), Err(InvalidModelRef::Revision(_))), "{path:?}");
            assert!(matches!(model("a/b", "main", path).validate(), Err(InvalidModelRef::File(_))), "{path:?}");
        }
    }

    #[test]
    fn a_hash_is_64_lower_case_digits() {
        let with = |hash: String| ModelRef { sha256: Some(hash), ..model("a/b", "main", "f") }.validate();
        assert_eq!(with("0af".repeat(21) + "0"), Ok(()));
        assert!(with("0af".repeat(21)).is_err());
        assert!(with("0AF".repeat(21) + "0").is_err());
    }
}
