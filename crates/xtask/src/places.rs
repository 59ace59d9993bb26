//! Where things are: the workspace, and the one folder that set-up fills.

use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};

pub struct Places {
    /// The root of the workspace.
    pub root: PathBuf,
    /// `TILLER_CACHE`, or `~/.cache/tiller`: tools and models, shared by all checkouts.
    pub cache: PathBuf,
}

impl Places {
    pub fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("xtask lies in crates/xtask")?;
        let cache = match env::var_os("TILLER_CACHE") {
            Some(folder) => PathBuf::from(folder),
            None => env::home_dir()
                .context("there is no home folder; set TILLER_CACHE to a folder for tools and models")?
                .join(".cache/tiller"),
        };
        Ok(Self { root: root.to_owned(), cache })
    }

    /// The built page.
    pub fn dist(&self) -> PathBuf {
        self.root.join("dist")
    }

    /// Model files, under the names that the hub knows them by.
    pub fn hub(&self) -> PathBuf {
        self.cache.join("hub")
    }

    /// Where `cargo install` puts the build tools; the programs are in its `bin`.
    pub fn tools(&self) -> PathBuf {
        self.cache.join("tools")
    }

    /// A program among the build tools.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.tools().join("bin").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// What the tests leave for people to look at.
    pub fn artefacts(&self) -> PathBuf {
        self.root.join("target/artefacts")
    }
}

/// A program on the `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(&file)).find(|path| path.is_file())
}
