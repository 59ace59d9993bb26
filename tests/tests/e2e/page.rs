//! The page as its user meets it: what it shows, and what can be done to it.

use crate::browser::{Browser, DRAWN};
use anyhow::{Context, Result, bail, ensure};
use fantoccini::Locator;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// To fetch a model from the local hub and to put it on a software GPU.
pub const LOADED: Duration = Duration::from_secs(150);
/// To run the example pairs through the model on a software GPU.
pub const VECTOR_BUILT: Duration = Duration::from_secs(300);
/// To write a dozen tokens, twice, on a software GPU.
pub const WRITTEN: Duration = Duration::from_secs(240);

pub struct Page<'a> {
    pub browser: &'a Browser,
}

/// What the page shows at one moment. What is not there, or hidden, is `None`.
#[derive(Clone, Debug, Deserialize)]
pub struct Seen {
    /// `idle`, `asking`, `loading`, `ready` or `failed`.
    pub model: Option<String>,
    /// `gpu` or `cpu`.
    pub backend: Option<String>,
    /// Threads that compute on the CPU.
    pub threads: Option<usize>,
    pub progress: Option<String>,
    pub prompt: Option<String>,
    pub pairs: Vec<(String, String)>,
    pub strength: Option<f32>,
    /// `none`, `building`, `stale` or `ready`.
    pub vector: Option<String>,
    pub plain: Run,
    pub steered: Run,
    pub link: Option<String>,
    pub notices: Vec<String>,
    pub note: Option<String>,
    pub model_note: Option<String>,
    /// The question whether to download a model.
    pub asked: Option<String>,
    /// What a repository offers.
    pub listing: Option<String>,
    pub evidence: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Run {
    /// `idle`, `writing` or `done`.
    pub state: Option<String>,
    pub tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Token {
    pub id: u32,
    pub text: String,
    pub strength: Option<f32>,
}

impl Run {
    pub fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|token| token.id).collect()
    }

    pub fn is(&self, state: &str) -> bool {
        self.state.as_deref() == Some(state)
    }
}

impl Seen {
    pub fn model_is(&self, state: &str) -> bool {
        self.model.as_deref() == Some(state)
    }

    /// All notices, in lower case, to look for words in.
    pub fn complaint(&self) -> String {
        self.notices.join("\n").to_lowercase()
    }
}

impl Page<'_> {
    /// Opens an address as if typed into an empty tab. (From the page itself, another fragment would load nothing.)
    pub async fn open(&self, address: &str) -> Result<()> {
        self.browser.client.goto("about:blank").await?;
        self.browser.client.goto(address).await?;
        self.until("the page is drawn", DRAWN, |seen| seen.model.is_some()).await?;
        Ok(())
    }

    /// The same, and then the Steer view: a first visit begins with the gallery.
    pub async fn open_to_steer(&self, address: &str) -> Result<()> {
        self.open(address).await?;
        self.click("nav-steer").await
    }

    pub async fn seen(&self) -> Result<Seen> {
        self.read(include_str!("seen.js")).await
    }

    /// Waits for `holds`; the error says what is shown instead.
    pub async fn until(&self, what: &str, limit: Duration, holds: impl Fn(&Seen) -> bool) -> Result<Seen> {
        let begun = Instant::now();
        loop {
            let seen = self.seen().await?;
            if holds(&seen) {
                return Ok(seen);
            }
            if begun.elapsed() > limit {
                bail!("waited {} s in vain until {what}; the page shows {seen:#?}", limit.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What `script` reads off the page.
    pub async fn read<T: DeserializeOwned>(&self, script: &str) -> Result<T> {
        let found = self.browser.client.execute(script, vec![]).await?;
        serde_json::from_value(found.clone()).with_context(|| format!("the page shows something unexpected: {found}"))
    }

    /// Waits until what `script` reads off the page is as `holds` wants it; a notice ends the wait at once.
    pub async fn until_read<T: DeserializeOwned + Debug>(
        &self,
        script: &str,
        what: &str,
        limit: Duration,
        holds: impl Fn(&T) -> bool,
    ) -> Result<T> {
        let begun = Instant::now();
        loop {
            let now = self.read(script).await?;
            if holds(&now) {
                return Ok(now);
            }
            let complaint = self.seen().await?.notices;
            let waits = complaint.is_empty() && begun.elapsed() < limit;
            ensure!(waits, "waited in vain until {what}: {now:#?} {complaint:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Opens an address whose model someone else has named, and lets it be downloaded.
    pub async fn open_and_agree(&self, address: &str) -> Result<()> {
        self.open(address).await?;
        self.until("the page asks", DRAWN, |seen| seen.asked.is_some()).await?;
        self.click("consent-load").await
    }

    /// Waits until a model is loaded. A failure to load ends the wait at once.
    pub async fn until_ready(&self) -> Result<Seen> {
        let seen =
            self.until("the model is loaded", LOADED, |seen| seen.model_is("ready") || seen.model_is("failed")).await?;
        ensure!(seen.model_is("ready"), "the model is not loaded: {:?}", seen.notices);
        Ok(seen)
    }

    /// Waits for the vector of the pairs that the page shows; it builds one by itself when it has none.
    pub async fn until_vector_built(&self) -> Result<Seen> {
        let built = |seen: &Seen| seen.vector.as_deref() == Some("ready") || !seen.notices.is_empty();
        let seen = self.until("the vector is built", VECTOR_BUILT, built).await?;
        ensure!(seen.notices.is_empty(), "the vector is not built: {:?}", seen.notices);
        Ok(seen)
    }

    /// Writes, and waits for the end of both runs.
    pub async fn write(&self) -> Result<Seen> {
        self.click("write").await?;
        self.until_written().await
    }

    /// Waits for the end of both runs. What a link asks for is written by itself, once the model is there.
    pub async fn until_written(&self) -> Result<Seen> {
        let done = |seen: &Seen| {
            let runs = [&seen.plain, &seen.steered];
            !seen.notices.is_empty() || runs.iter().all(|run| run.is("done") && !run.tokens.is_empty())
        };
        let seen = self.until("both runs are written", WRITTEN, done).await?;
        ensure!(seen.notices.is_empty(), "nothing is written: {:?}", seen.notices);
        Ok(seen)
    }

    pub async fn find(&self, id: &str) -> Result<Element> {
        let selector = format!("[data-testid=\"{id}\"]");
        let wait = self.browser.client.wait().at_most(DRAWN);
        wait.for_element(Locator::Css(&selector)).await.with_context(|| format!("the page has no {id}"))
    }

    pub async fn click(&self, id: &str) -> Result<()> {
        self.find(id).await?.click().await.with_context(|| format!("{id} cannot be clicked"))
    }

    /// Gives an input, a text area or a slider a value, as typing or dragging does.
    pub async fn set(&self, id: &str, value: &str) -> Result<()> {
        let script = "
            const [input, value] = arguments;
            input.value = value;
            for (const kind of ['input', 'change']) input.dispatchEvent(new Event(kind, { bubbles: true }));
            return input.value;";
        let input = self.find(id).await?;
        let now = self.browser.client.execute(script, vec![serde_json::to_value(&input)?, json!(value)]).await?;
        ensure!(now == json!(value), "{id} took {now} where {value:?} was entered");
        Ok(())
    }

    /// The `data-testid` of what has the keyboard's focus.
    pub async fn focused(&self) -> Result<Option<String>> {
        let script = "return document.activeElement?.closest('[data-testid]')?.dataset.testid ?? null";
        Ok(serde_json::from_value(self.browser.client.execute(script, vec![]).await?)?)
    }

    /// Keys, one after the other, to whatever has the focus when each is pressed: what had it before may be gone.
    pub async fn press(&self, keys: &str) -> Result<()> {
        let press = |keyboard: KeyActions, key: char| {
            keyboard.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key })
        };
        let keyboard = keys.chars().fold(KeyActions::new("keyboard".into()), press);
        Ok(self.browser.client.perform_actions(keyboard).await?)
    }
}
