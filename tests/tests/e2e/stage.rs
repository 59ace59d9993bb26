//! What every scenario stands on: a hub, a driver, its turn at the machine; and what is kept when it fails.

use crate::browser::{Browser, Width, without_defects};
use crate::chromedriver::Chromedriver;
use crate::folders::{self, Scratch};
use crate::page::Page;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Instant;
use tiller_localhub::{Config, Server};
use tokio::sync::{Mutex, MutexGuard};

static TURN: Mutex<()> = Mutex::const_new(());

pub struct Stage {
    name: &'static str,
    /// Serves the page, and the real model.
    pub hub: Server,
    driver: Chromedriver,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    pub async fn set(name: &'static str) -> Result<Stage> {
        tiller_tests::model_file();
        Stage::with_hub(name, Config::new(tiller_tests::hub_cache())).await
    }

    /// With files of one's own on the hub.
    pub async fn with_hub(name: &'static str, hub: Config) -> Result<Stage> {
        let turn = TURN.lock().await;
        let hub = tiller_localhub::serve(hub.with_page(folders::dist()?))?;
        Ok(Stage { name, hub, driver: Chromedriver::start().await?, _turn: turn })
    }

    pub fn profile(&self) -> Result<Scratch> {
        Scratch::new("profile")
    }

    /// An address on the page: `/?backend=gpu`, perhaps with a link's fragment.
    pub fn address(&self, rest: &str) -> String {
        format!("{}{rest}", self.hub.origin())
    }

    /// Plays a part of the scenario in a browser. Errors that nobody caught, in the page or in its worker, fail it. Of
    /// a part that fails, a screenshot is kept, and the console and the hub's log are printed.
    pub async fn play<T>(&self, profile: &Scratch, part: impl AsyncFnOnce(Page<'_>) -> Result<T>) -> Result<T> {
        self.play_in(profile.path(), part).await.with_context(|| format!("in the scenario \"{}\"", self.name))
    }

    async fn play_in<T>(&self, profile: &Path, part: impl AsyncFnOnce(Page<'_>) -> Result<T>) -> Result<T> {
        let browser = Browser::open(&self.driver, profile).await?;
        let outcome = part(Page { browser: &browser }).await;
        let console = browser.console().await?;
        if outcome.is_err() {
            browser.screenshot(&format!("failed-{}", self.name), Width::Wide).await?;
            eprintln!("e2e: the console of \"{}\": {console:#?}", self.name);
            for asked in self.hub.log().entries() {
                eprintln!("e2e: its hub was asked: {asked:?}");
            }
        }
        browser.close().await?;
        let value = outcome?;
        without_defects(&console)?;
        Ok(value)
    }

    /// Prints how long a step took: on one machine, runs can be compared.
    pub fn took(&self, step: &str, since: Instant) {
        println!("e2e: {}: {step}: {:.1} s", self.name, since.elapsed().as_secs_f64());
    }
}
