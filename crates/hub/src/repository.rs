//! What a repository of the hub holds.

use crate::answer::Ask;
use crate::retry::Retries;
use crate::{Cancel, Hub, HubError, listing};
use serde::Deserialize;
use tiller_sites::ModelRef;

#[cfg(not(target_arch = "wasm32"))]
use crate::native::http as transport;
#[cfg(target_arch = "wasm32")]
use crate::web::fetch as transport;

/// A repository at one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    pub repo: String,
    /// The commit that the revision named when it was asked for.
    pub commit: String,
    /// Files are given only to those who accepted the repository's terms.
    pub gated: bool,
    /// As the hub has it: mostly an SPDX identifier in lower case.
    pub licence: Option<String>,
    /// What the hub has read of the GGUF files: `llama`, `gemma3` ...
    pub architecture: Option<String>,
    pub files: Vec<RepositoryFile>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryFile {
    pub path: String,
    pub bytes: u64,
    /// For files that the hub keeps outside git: all models.
    pub sha256: Option<String>,
}

/// Pages of a listing that are read; the hub puts a thousand files on one.
const PAGES: usize = 5;
/// Of a word that the hub says about a repository, and that is shown.
const LONGEST_WORD: usize = 60;

#[derive(Deserialize)]
struct About {
    sha: Option<String>,
    #[serde(default)]
    gated: serde_json::Value,
    #[serde(default, rename = "cardData")]
    card: serde_json::Value,
    #[serde(default)]
    gguf: serde_json::Value,
}

impl Repository {
    /// Asks the hub what `repo` holds at `revision`.
    pub async fn look_up(hub: &Hub, repo: &str, revision: &str, cancel: &Cancel) -> Result<Repository, HubError> {
        let asked = ModelRef {
            repo: repo.into(),
            revision: revision.into(),
            // The reference is checked whole; which file is not the question yet.
            file: "config.json".into(),
            bytes: None,
            sha256: None,
        };
        asked.validate()?;
        let (about, _) = get(hub, &hub.about_address(repo, revision), &asked, cancel).await?;
        let about: About = serde_json::from_slice(&about).map_err(|_| HubError::NoListing)?;
        let commit = about.sha.unwrap_or_else(|| revision.into());
        let asked = ModelRef { revision: commit.clone(), ..asked };
        asked.validate()?;

        let mut files = Vec::new();
        let mut next = Some(hub.tree_address(repo, &commit) + "?recursive=true");
        for _ in 0..PAGES {
            let Some(address) = next.take() else { break };
            let (page, further) = get(hub, &address, &asked, cancel).await?;
            let rows = listing::files(&page).ok_or(HubError::NoListing)?;
            files.extend(rows.into_iter().filter_map(|(path, listed)| {
                // A name that could not be asked for is not offered either.
                let file = ModelRef { file: path.clone(), ..asked.clone() };
                file.validate().ok()?;
                Some(RepositoryFile { path, bytes: listed.bytes?, sha256: listed.sha256 })
            }));
            next = further.map(|address| hub.page_address(&address)).transpose()?;
        }
        let word = |value: &serde_json::Value| {
            let word: String = value.as_str()?.chars().take(LONGEST_WORD).collect();
            (!word.is_empty()).then_some(word)
        };
        Ok(Repository {
            repo: repo.into(),
            commit,
            gated: !matches!(about.gated, serde_json::Value::Bool(false) | serde_json::Value::Null),
            licence: word(&about.card["license"]),
            architecture: word(&about.gguf["architecture"]),
            files,
        })
    }

    /// The reference to one of its files.
    pub fn reference(&self, file: &RepositoryFile) -> ModelRef {
        ModelRef {
            repo: self.repo.clone(),
            revision: self.commit.clone(),
            file: file.path.clone(),
            bytes: Some(file.bytes),
            sha256: file.sha256.clone(),
        }
    }
}

/// A small answer whole, and where it goes on.
async fn get(
    hub: &Hub,
    address: &str,
    asked: &ModelRef,
    cancel: &Cancel,
) -> Result<(Vec<u8>, Option<String>), HubError> {
    let mut retries = Retries::default();
    loop {
        let once = async {
            let answer = transport::get(&Ask::whole(address, hub.token())).await?;
            if answer.heading.status != 200 {
                return Err(HubError::refusal(&answer.heading, asked, hub.token().is_some()));
            }
            let next = answer.heading.next_page.clone();
            Ok((listing::read(answer).await?, next))
        };
        let error = match cancel.or(once).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        // Somebody waits for this with nothing to look at: a hub that is not there is said to be so at once.
        let passes = matches!(error, HubError::TooManyRequests { .. } | HubError::Status { .. });
        match retries.pause_s(&error, 0, transport::chance()).filter(|&pause| passes && pause < LONGEST_PAUSE_S) {
            Some(pause) => cancel.or(async { Ok(transport::sleep(pause).await) }).await?,
            None => return Err(error),
        }
    }
}

const LONGEST_PAUSE_S: f64 = 6.0;
