//! Speed and memory, in one table: the native program, the page's worker in a browser, and other engines in the same
//! browser with the same weights.

mod browser;
mod engines;
mod native;
mod peers;
mod processes;
mod requests;
mod row;
mod stage;
mod table;
mod text;

use crate::command::{answer, command};
use crate::page;
use crate::places::Places;
use crate::setup::{self, Purpose};
use anyhow::{Context, Result, ensure};
use browser::Browser;
use engines::{Engine, Threads, Weights};
use native::Native;
use peers::Peers;
use row::Run;
use serde_json::{Value, json};
use stage::Stage;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};
use table::{Row, Setting};
use text::Text;
use tiller_localhub::{Config, SMOLLM2_135M, Server, serve};

#[derive(clap::Args)]
pub struct Options {
    /// Also the other engines that run language models in a browser; installs them first.
    #[arg(long)]
    peers: bool,
    /// Measure everything so often, in turns.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Only rows of which the name contains this, such as `wllama` or `tiller, cpu`; may be given again.
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
    /// Times that each run reads the prompt and continues it, after once to warm up.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    readings: u32,
    /// Tokens that are written each time.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(2..))]
    written: u32,
    /// Seconds that an engine may take for a run.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    limit: u64,
    /// Wait so long, at the most, for the rest of the machine to fall quiet before each run.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    quiet: u64,
    /// The browser's flags that choose its GPU; none (`--gpu-flags=`) for the machine's own.
    #[arg(long, value_name = "FLAGS", default_value = "--use-webgpu-adapter=swiftshader", value_delimiter = ' ')]
    gpu_flags: Vec<String>,
    /// Measure the page that lies in `dist`, without building it.
    #[arg(long)]
    as_built: bool,
    /// Any other flags, such as `--backend cpu`, go to `tiller bench`, which is then all that runs.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    flags: Vec<String>,
}

pub fn run(places: &Places, options: &Options) -> Result<ExitCode> {
    if !options.flags.is_empty() {
        setup::model(places)?;
        return native::run(places, &options.flags);
    }
    setup::run(places, Purpose::Test)?;
    let engines = engines::chosen(options.peers, &options.only);
    let bench = Bench::open(places, options, &engines)?;
    let mut native_runs: Vec<(&str, Vec<(Native, Option<f64>)>)> = native::BACKENDS
        .iter()
        .filter(|backend| options.wants_native(backend))
        .map(|backend| (*backend, Vec::new()))
        .collect();
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); engines.len()];
    ensure!(
        !engines.is_empty() || !native_runs.is_empty(),
        "no row has one of the words {:?} in its name",
        options.only
    );

    for turn in 1..=options.repeat {
        for (backend, seen) in &mut native_runs {
            println!("bench: {turn} of {}: Tiller, native, {backend}", options.repeat);
            row::wait_for_quiet(Duration::from_secs(options.quiet));
            seen.push(bench.native(backend)?);
        }
        for (engine, seen) in engines.iter().zip(&mut runs) {
            println!("bench: {turn} of {}: {}", options.repeat, engine.name);
            row::wait_for_quiet(Duration::from_secs(options.quiet));
            let run = bench.measure(engine).unwrap_or_else(|error| Run::impossible(format!("{error:#}")));
            if let Some(error) = &run.error {
                println!("bench: {}: {error}", engine.name);
            }
            seen.push(run);
        }
    }

    let version = |engine: &Engine| engine.package.and_then(|package| bench.versions.get(package).cloned());
    let in_a_tab =
        engines.iter().zip(&runs).map(|(engine, runs)| Row::of_engine(engine, version(engine), runs, &bench.text));
    let rows: Vec<Row> = native_runs.iter().filter_map(|(_, runs)| Row::of_native(runs)).chain(in_a_tab).collect();
    bench.publish(&rows)?;
    let well = runs
        .iter()
        .zip(&engines)
        .all(|(runs, engine)| engine.package.is_some() || runs.iter().all(|run| run.error.is_none()));
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Options {
    fn wants_native(&self, backend: &str) -> bool {
        let name = format!("tiller, native, {backend}");
        self.only.is_empty() || self.only.iter().any(|word| name.contains(&word.to_lowercase()))
    }
}

/// All that the runs share.
struct Bench<'a> {
    places: &'a Places,
    options: &'a Options,
    peers: Peers,
    versions: std::collections::BTreeMap<String, String>,
    text: Text,
    chromium: PathBuf,
    stage: Stage,
    /// Where Tiller's worker finds the model, by the hub's own paths.
    hub: Server,
}

impl<'a> Bench<'a> {
    fn open(places: &'a Places, options: &'a Options, engines: &[Engine]) -> Result<Self> {
        if engines.iter().any(|engine| engine.package.is_none()) && !options.as_built {
            page::build(places)?;
        }
        let peers = Peers::of(places);
        peers.install(engines)?;
        let folders = vec![
            ("tiller", places.dist()),
            ("hub", places.hub()),
            ("models", peers.models()),
            ("node_modules", peers.packages()),
            ("", peers.sources().join("pages")),
        ];
        Ok(Self {
            places,
            options,
            versions: peers.versions()?,
            text: Text::read(&peers.sources().join("text.json"))?,
            chromium: setup::chromium().context("Chromium is missing; run `cargo xtask setup`")?,
            stage: Stage::open(folders)?,
            hub: serve(Config::new(places.hub()))?,
            peers,
        })
    }

    fn measure(&self, engine: &Engine) -> Result<Run> {
        self.stage.set(self.job(engine)?, engine.threads == Threads::All);
        let address = self.stage.address(&format!("{}.html", engine.page));
        let browser = Browser::open(&self.chromium, self.peers.profile(), &self.gpu_flags(), &address)?;
        Ok(row::watch(&self.stage, browser, Duration::from_secs(self.options.limit)))
    }

    fn job(&self, engine: &Engine) -> Result<Value> {
        let folder = Peers::model_name(&SMOLLM2_135M);
        let (model, dtype) = match engine.weights {
            Weights::Q4_1 => {
                (format!("/hub/{}/{}/{}", SMOLLM2_135M.repo, SMOLLM2_135M.revision, SMOLLM2_135M.file), "")
            }
            Weights::Q8_0 => (format!("/models/{folder}/Q8_0.gguf"), ""),
            Weights::Onnx(dtype) => (String::new(), dtype),
        };
        let requests = match engine.package {
            Some(_) => Value::Null,
            None => requests::requests(&SMOLLM2_135M, &self.text, self.options.written, self.hub.origin(), engine.gpu)?,
        };
        Ok(json!({
            "prompt": self.text.prompt,
            "tokens": self.options.written,
            "readings": self.options.readings,
            // The page knows how many cores there are.
            "threads": match engine.threads { Threads::One => 1, Threads::All => 0 },
            "gpu": engine.gpu,
            "model": model,
            "folder": folder,
            "dtype": dtype,
            "requests": requests,
        }))
    }

    /// With the cores that were busy with something else.
    fn native(&self, backend: &str) -> Result<(Native, Option<f64>)> {
        let own = || processes::machine_cpu_seconds().map(|machine| machine - processes::own_cpu_seconds());
        let (begun, before) = (Instant::now(), own());
        let measured = native::measure(self.places, backend)?;
        // The native program is a child that has ended by now, and so part of this process's own time.
        let others =
            before.zip(own()).map(|(before, after)| ((after - before) / begun.elapsed().as_secs_f64()).max(0.0));
        Ok((measured, others))
    }

    fn gpu_flags(&self) -> Vec<String> {
        self.options.gpu_flags.iter().filter(|flag| !flag.is_empty()).cloned().collect()
    }

    /// Prints the table, and leaves it among the artefacts with all that was seen.
    fn publish(&self, rows: &[Row]) -> Result<()> {
        let setting = Setting {
            processor: processes::processor().unwrap_or_else(|| std::env::consts::ARCH.into()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            browser: answer(command(&self.chromium).arg("--version")).unwrap_or_default(),
            gpu_flags: self.gpu_flags(),
            model: SMOLLM2_135M.file.into(),
            repeat: self.options.repeat,
            tokens: self.options.written,
            readings: self.options.readings,
        };
        let page = table::markdown(&setting, rows, &self.text);
        let folder = self.places.artefacts();
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("bench.md"), &page)?;
        let whole = json!({ "setting": setting, "rows": rows });
        fs::write(folder.join("bench.json"), serde_json::to_vec_pretty(&whole)?)?;
        println!(
            "\n{page}\nThis table is in {}, and all that was measured beside it in bench.json.",
            folder.join("bench.md").display()
        );
        Ok(())
    }
}
