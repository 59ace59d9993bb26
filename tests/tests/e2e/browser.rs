//! One Chromium with one profile: windows, themes, screenshots, the console.

use crate::chromedriver::Chromedriver;
use crate::folders;
use anyhow::{Context, Result, ensure};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;
use url::{ParseError, Url};

/// The part of the screen that a page has, in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 1280 x 900
    Wide,
    /// 390 x 844
    Phone,
}

impl Width {
    /// Columns and rows.
    pub fn pixels(self) -> (u32, u32) {
        match self {
            Width::Wide => (1280, 900),
            Width::Phone => (390, 844),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Light,
    Dark,
}

pub struct Browser {
    pub client: Client,
}

impl Browser {
    /// `profile`: the folder in which the browser keeps what it stores; a fresh one knows nothing of earlier visits.
    pub async fn open(driver: &Chromedriver, profile: &Path) -> Result<Browser> {
        let binary = folders::program("TILLER_CHROMIUM", "/usr/bin/chromium")?;
        let profile = format!("--user-data-dir={}", profile.display());
        let capabilities = json!({
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "binary": binary,
                "args": [
                    "--headless=new",
                    "--no-sandbox",
                    "--enable-unsafe-webgpu",
                    "--use-webgpu-adapter=swiftshader",
                    "--disable-quic",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--hide-scrollbars",
                    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
                    "--window-size=1280,900",
                    profile,
                ],
            },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is written as an object above") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&driver.address())
            .await
            .context("Chromium does not start")?;
        let browser = Browser { client };
        browser.show(Width::Wide, Theme::Light).await?;
        Ok(browser)
    }

    pub async fn show(&self, width: Width, theme: Theme) -> Result<()> {
        self.resize(width, width.pixels().1).await?;
        let scheme = match theme {
            Theme::Light => "light",
            Theme::Dark => "dark",
        };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await?;
        Ok(())
    }

    /// The page as tall as its content, saved as `{name}.png` among the artefacts.
    pub async fn screenshot(&self, name: &str, width: Width) -> Result<()> {
        const TALLEST: u64 = 6000;
        let script = "return document.documentElement.scrollHeight";
        let tall = self.client.execute(script, vec![]).await?.as_u64().context("a page has a height")?;
        self.resize(width, width.pixels().1.max(tall.min(TALLEST) as u32)).await?;
        let image = self.client.screenshot().await?;
        let file = folders::artefacts()?.join(format!("{name}.png"));
        fs::write(&file, image).with_context(|| format!("cannot write {}", file.display()))
    }

    /// What was written to the console since the last call, by the page and by its worker.
    pub async fn console(&self) -> Result<Vec<Logged>> {
        let logged = self.client.issue_cmd(ReadConsole).await?;
        Ok(serde_json::from_value(logged)?)
    }

    pub async fn close(self) -> Result<()> {
        Ok(self.client.close().await?)
    }

    async fn resize(&self, width: Width, rows: u32) -> Result<()> {
        let (columns, _) = width.pixels();
        let mobile = width == Width::Phone;
        let metrics = json!({ "width": columns, "height": rows, "deviceScaleFactor": 1, "mobile": mobile });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await?;
        Ok(())
    }

    pub async fn devtools(&self, method: &'static str, parameters: Value) -> Result<Value> {
        Ok(self.client.issue_cmd(DevTools { method, parameters }).await?)
    }
}

/// One line of the browser's console.
#[derive(Debug, Deserialize)]
pub struct Logged {
    level: String,
    message: String,
    source: String,
}

impl Logged {
    /// An error that nobody caught, a panic, or a request to another machine (no name but this machine's resolves):
    /// never right, whatever the test. That the hub refuses something is also logged as an error, and is what some
    /// tests order.
    pub fn is_a_defect(&self) -> bool {
        let wrong = ["Uncaught", "panicked at", "ERR_NAME_NOT_RESOLVED"];
        wrong.iter().any(|words| self.message.contains(words))
            || (self.level == "SEVERE" && self.source == "javascript")
    }
}

/// `ordered`: words of the defects that the test itself has brought about.
pub fn without_defects(logged: &[Logged], ordered: &[&str]) -> Result<()> {
    let unforeseen = |line: &&Logged| line.is_a_defect() && !ordered.iter().any(|words| line.message.contains(words));
    let defects: Vec<_> = logged.iter().filter(unforeseen).collect();
    ensure!(defects.is_empty(), "the browser's console holds errors that nobody caught: {defects:#?}");
    Ok(())
}

/// Chromedriver's way to a command of the browser's own debugging protocol.
#[derive(Debug)]
struct DevTools {
    method: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "cmd": self.method, "params": self.parameters }).to_string()))
    }
}

/// Chromedriver's log of the console; reading empties it.
#[derive(Debug)]
struct ReadConsole;

impl WebDriverCompatibleCommand for ReadConsole {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

/// How long a page may take to be drawn, at the most: this machine may be compiling meanwhile.
pub const DRAWN: Duration = Duration::from_secs(20);
