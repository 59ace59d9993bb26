//! The other engines, and the model in the formats that they read: installed and made once, outside the project.

use super::engines::{Engine, Weights};
use crate::command::{answer, command, run, run_quietly};
use crate::places::{Places, on_path};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tiller_localhub::{Packaged, SMOLLM2_135M};

/// The folder of all of it.
pub struct Peers {
    folder: PathBuf,
    /// Pages, and the scripts that convert the model.
    sources: PathBuf,
    model: PathBuf,
}

impl Peers {
    pub fn of(places: &Places) -> Self {
        Self {
            folder: places.cache.join("bench"),
            sources: places.root.join("bench/peers"),
            model: SMOLLM2_135M.path_in(&places.hub()),
        }
    }

    pub fn sources(&self) -> &Path {
        &self.sources
    }

    pub fn packages(&self) -> PathBuf {
        self.folder.join("node_modules")
    }

    /// One folder a model.
    pub fn models(&self) -> PathBuf {
        self.folder.join("models")
    }

    pub fn profile(&self) -> PathBuf {
        self.folder.join("profile")
    }

    /// The name of the model's folder.
    pub fn model_name(model: &Packaged) -> String {
        model.file.trim_end_matches(".gguf").replace('.', "-")
    }

    /// The versions that are pinned, by package.
    pub fn versions(&self) -> Result<BTreeMap<String, String>> {
        let wanted = read_json(&self.sources.join("package.json"))?;
        serde_json::from_value(wanted["dependencies"].clone()).context("bench/peers/package.json names its packages")
    }

    /// Whatever `engines` need and is missing; says so before each step.
    pub fn install(&self, engines: &[Engine]) -> Result<()> {
        if engines.iter().any(|engine| engine.package.is_some()) {
            fs::create_dir_all(&self.folder)?;
            self.install_packages()?;
        }
        let wants = |kind: fn(Weights) -> bool| engines.iter().any(|engine| kind(engine.weights));
        let folder = self.models().join(Self::model_name(&SMOLLM2_135M));
        // Flare reads its tokenizer from the same files as transformers.js.
        if wants(|weights| weights != Weights::Q4_1) {
            self.convert(
                "export_onnx.py",
                &folder,
                &["q4", "q8", "fp32"],
                "ONNX in three types (1.1 GB), about a minute",
            )?;
        }
        if wants(|weights| weights == Weights::Q8_0) {
            self.convert("export_q8_0.py", &folder.join("Q8_0.gguf"), &[], "Q8_0 (145 MB), some seconds")?;
        }
        Ok(())
    }

    fn install_packages(&self) -> Result<()> {
        let is_there = |(package, version): (&String, &String)| {
            let about = read_json(&self.packages().join(package).join("package.json"));
            about.is_ok_and(|about| about["version"].as_str() == Some(version))
        };
        if self.versions()?.iter().all(is_there) {
            return Ok(());
        }
        let Some(npm) = on_path("npm") else {
            bail!("npm is missing, by which the other engines are installed: install Node 20 or newer");
        };
        say("the other engines: installing them by npm (480 MB, most of it native parts that are not used), once");
        fs::copy(self.sources.join("package.json"), self.folder.join("package.json"))?;
        // No script of a package runs on this machine.
        let mut npm = command(npm);
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]);
        run_quietly(npm.current_dir(&self.folder)).context("the other engines could not be installed")
    }

    /// Runs a script on the model's file, unless what it has made is there and of the same script and file.
    fn convert(&self, script: &str, target: &Path, flags: &[&str], what: &str) -> Result<()> {
        let made = self.models().join(format!(".{script}.made"));
        let mut origin = format!("{}\n{}\n{flags:?}\n", SMOLLM2_135M.sha256, target.display());
        for source in [script, "weights.py", "requirements.txt"] {
            origin += &fs::read_to_string(self.sources.join(source))?;
        }
        if fs::read_to_string(&made).is_ok_and(|before| before == origin) {
            return Ok(());
        }
        let python = self.python()?;
        say(&format!("the model as {what}, once"));
        fs::create_dir_all(target.parent().context("a model lies in a folder")?)?;
        let mut convert = command(python);
        convert.arg("-B").arg(self.sources.join(script)).arg(&self.model).arg(target).args(flags);
        run(&mut convert).context("the model could not be converted")?;
        Ok(fs::write(made, origin)?)
    }

    /// Python with the libraries that the scripts need.
    fn python(&self) -> Result<PathBuf> {
        let venv = self.folder.join("venv");
        let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
        let (wanted, installed) = (self.sources.join("requirements.txt"), venv.join("requirements.txt"));
        if fs::read(&installed).is_ok_and(|before| fs::read(&wanted).is_ok_and(|now| now == before)) {
            return Ok(python);
        }
        let ours = ["python3", "python"].into_iter().find(|name| answer(command(name).arg("--version")).is_some());
        let Some(ours) = ours else { bail!("Python 3 is missing, by which the model is converted: install it") };
        say("Python's libraries for GGUF and ONNX: installing them (190 MB), once");
        run_quietly(command(ours).args(["-m", "venv"]).arg(&venv))
            .context("Python cannot make an environment; on Debian, install `python3-venv`")?;
        let mut pip = command(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&wanted);
        run_quietly(&mut pip).context("Python's libraries could not be installed")?;
        ensure!(python.is_file(), "{} is missing after its installation", python.display());
        fs::copy(wanted, installed)?;
        Ok(python)
    }
}

fn read_json(path: &Path) -> Result<serde_json::Value> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", path.display()))
}

fn say(what: &str) {
    println!("bench: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::engines::ENGINES;

    #[test]
    fn every_engine_has_its_page_and_its_pinned_version() {
        let peers = Peers::of(&Places::find().unwrap());
        let versions = peers.versions().unwrap();
        for engine in ENGINES {
            assert!(peers.sources().join(format!("pages/{}.html", engine.page)).is_file(), "{}", engine.name);
            if let Some(package) = engine.package {
                let version = &versions[package];
                assert!(
                    version.bytes().all(|b| b.is_ascii_digit() || b == b'.'),
                    "{package} {version} is not one version"
                );
            }
        }
    }
}
