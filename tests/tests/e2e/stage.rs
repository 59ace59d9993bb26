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
    /// What is served, where that is not what lies on this machine.
    folders: Vec<Scratch>,
    /// Words of the defects that the scenario itself brings about.
    ordered: &'static [&'static str],
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// Waits for its turn, then starts a hub and a driver.
    pub async fn set(name: &'static str) -> Result<Stage> {
        Stage::of(name, Config::new(tiller_tests::hub_cache()).with_page(folders::dist()?), Vec::new()).await
    }

    /// The same from a host that does not isolate the page.
    pub async fn set_without_isolation(name: &'static str) -> Result<Stage> {
        let config = Config::new(tiller_tests::hub_cache()).with_page(folders::dist()?).without_isolation();
        Stage::of(name, config, Vec::new()).await
    }

    /// With a hub of its own, which has small models only ([`crate::small_models`]), and a worker that takes orders
    /// ([`crate::orders`]).
    pub async fn set_small(name: &'static str) -> Result<Stage> {
        let (hub, dist) = (Scratch::new("hub")?, Scratch::new("dist")?);
        crate::small_models::fill(hub.path())?;
        crate::orders::copy_page(&folders::dist()?, dist.path())?;
        let config = Config::new(hub.path()).with_page(dist.path());
        Stage::of(name, config, vec![hub, dist]).await
    }

    async fn of(name: &'static str, config: Config, folders: Vec<Scratch>) -> Result<Stage> {
        let turn = TURN.lock().await;
        tiller_tests::model_file();
        let hub = tiller_localhub::serve(config)?;
        Ok(Stage { name, hub, driver: Chromedriver::start().await?, folders, ordered: &[], _turn: turn })
    }

    /// The folder that this hub serves, where it is one of its own.
    pub fn hub_root(&self) -> &Path {
        self.folders[0].path()
    }

    /// The page that is served, where it is one that takes orders.
    pub fn dist(&self) -> &Path {
        self.folders[1].path()
    }

    /// Errors with these words are what the scenario is about.
    pub fn expecting(self, ordered: &'static [&'static str]) -> Stage {
        Stage { ordered, ..self }
    }

    /// A browser's profile that knows nothing of earlier visits, to be used for as many visits as the scenario has.
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
        let value = match part(Page { browser: &browser }).await {
            Ok(value) => value,
            Err(error) => {
                if let Err(lost) = self.keep_traces(browser).await {
                    eprintln!("e2e: no more can be said of \"{}\": {lost:#}", self.name);
                }
                return Err(error);
            }
        };
        let console = browser.console().await?;
        browser.close().await?;
        without_defects(&console, self.ordered)?;
        Ok(value)
    }

    async fn keep_traces(&self, browser: Browser) -> Result<()> {
        for asked in self.hub.log().entries() {
            eprintln!("e2e: the hub of \"{}\" was asked: {asked:?}", self.name);
        }
        eprintln!("e2e: the console of \"{}\": {:#?}", self.name, browser.console().await?);
        browser.screenshot(&format!("failed-{}", self.name), Width::Wide).await?;
        browser.close().await
    }

    /// Prints how long a step took: on one machine, runs can be compared.
    pub fn took(&self, step: &str, since: Instant) {
        println!("e2e: {}: {step}: {:.1} s", self.name, since.elapsed().as_secs_f64());
    }
}
