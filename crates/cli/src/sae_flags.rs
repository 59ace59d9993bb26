//! The flags that name a sparse autoencoder, and reading it.

use crate::loaded::Loaded;
use anyhow::{Context, bail};
use clap::Args;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tiller_engine::{Edit, Site};
use tiller_experiment::{SaePlace, resolve_feature_edits};
use tiller_formats::{DiskFolder, FileSource, Folder, ReadOptions, SaeFile};
use tiller_recipe::Recipe;
use tiller_sae::Sae;

#[derive(Args, Clone, Debug)]
pub struct SaeFlags {
    /// A folder as SAELens or Gemma Scope writes it, or a file of one.
    #[arg(long, value_name = "FOLDER|FILE")]
    sae: PathBuf,
    /// The activation that the SAE reads [default: what its files say].
    #[arg(long, value_name = "SITE")]
    site: Option<Site>,
    /// The activation that a transcoder writes [default: what its files say].
    #[arg(long, value_name = "SITE")]
    site_out: Option<Site>,
    /// What activations were multiplied by before they were encoded, where the SAE's files leave it open.
    #[arg(long, value_name = "NUMBER")]
    input_scale: Option<f32>,
}

/// An SAE at its place in the loaded model.
pub struct OpenSae {
    pub sae: Sae,
    pub place: SaePlace,
}

/// A folder, or one archive by itself, whatever it is called.
enum SaeFolder {
    Folder(DiskFolder),
    Archive(PathBuf),
}

impl Folder for SaeFolder {
    type File = FileSource;

    async fn open(&self, name: &str) -> io::Result<Option<FileSource>> {
        match self {
            SaeFolder::Folder(folder) => folder.open(name).await,
            SaeFolder::Archive(path) if name.ends_with(".npz") => FileSource::open(path).map(Some),
            SaeFolder::Archive(_) => Ok(None),
        }
    }
}

impl SaeFlags {
    /// A folder whose files say all that is needed.
    pub fn of(folder: PathBuf) -> SaeFlags {
        SaeFlags { sae: folder, site: None, site_out: None, input_scale: None }
    }

    /// A file that lies beside the SAE's own.
    pub fn beside(&self, name: &str) -> PathBuf {
        match self.sae.is_dir() {
            true => self.sae.join(name),
            false => self.sae.with_file_name(name),
        }
    }

    /// Reads the SAE, and finds its place in the model. What its files leave unsaid goes to stderr.
    pub async fn open(&self, loaded: &Loaded) -> anyhow::Result<OpenSae> {
        let path = self.sae.display();
        let folder = match self.sae.metadata() {
            Err(error) => bail!("{path} could not be opened ({error}): give the SAE's folder"),
            Ok(found) if found.is_dir() => SaeFolder::Folder(DiskFolder::new(&self.sae)),
            Ok(_) if self.sae.extension().is_some_and(|ending| ending == "npz") => SaeFolder::Archive(self.sae.clone()),
            Ok(_) => SaeFolder::Folder(DiskFolder::new(self.sae.parent().unwrap_or(Path::new(".")))),
        };
        let named = |site: &Option<Site>| site.map(|site| site.to_string());
        let options =
            ReadOptions { site: named(&self.site), site_out: named(&self.site_out), input_scale: self.input_scale };
        let SaeFile { sae, trained_on } =
            SaeFile::read(&folder, &options).await.with_context(|| format!("{path} could not be read"))?;
        let session = &loaded.session;
        let (config, with_bos) = (session.engine.config(), session.tokenizer.begins_with_bos());
        let place = SaePlace::find(&sae, &trained_on, config, &session.facts.name, with_bos)?;
        for note in &place.notes {
            eprintln!("{note}");
        }
        Ok(OpenSae { sae, place })
    }
}

/// The engine's edits for all of a recipe's; `folder` is the SAE's whose features it changes.
pub async fn resolve_edits(loaded: &mut Loaded, recipe: &Recipe, folder: Option<PathBuf>) -> anyhow::Result<Vec<Edit>> {
    let mut edits = loaded.session.resolve_edits(&recipe.vectors, &recipe.edits, &()).await?;
    if recipe.feature_edits.is_empty() {
        return Ok(edits);
    }
    let Some(folder) = folder else {
        bail!("this experiment changes features of a sparse autoencoder: name its folder with --sae")
    };
    let OpenSae { sae, place } = SaeFlags::of(folder).open(loaded).await?;
    let dictionary = place.dictionary(Arc::new(sae));
    edits.extend(resolve_feature_edits(&dictionary, &recipe.feature_edits));
    Ok(edits)
}
