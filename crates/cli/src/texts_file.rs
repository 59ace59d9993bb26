//! `--texts`: many texts, one on each line.

use anyhow::{anyhow, bail};
use serde::Deserialize;
use std::path::Path;
use tiller_experiment::Session;
use tiller_recipe::{Prompt, Turn};

/// A text, or a conversation.
#[derive(Deserialize)]
struct Line {
    text: Option<String>,
    turns: Option<Vec<Turn>>,
    source: Option<String>,
}

/// A text of the file.
pub struct GivenText {
    pub prompt: Prompt,
    /// Where it is from, as the file says.
    pub source: Option<String>,
}

/// The texts of a file that has one on each line.
pub fn read(path: &Path) -> anyhow::Result<Vec<GivenText>> {
    const LINE: &str =
        r#"write a text on each line, as in {"text": ".."} or {"turns": [{"role": "user", "content": ".."}]}"#;
    let name = path.display();
    let file = std::fs::read_to_string(path).map_err(|error| anyhow!("{name} could not be read ({error}): {LINE}"))?;
    let given = |(number, line): (u32, &str)| {
        let wrong = |what: String| anyhow!("line {number} of {name} is no text ({what}): {LINE}");
        let Line { text, turns, source } = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        let prompt = match (text, turns) {
            (Some(text), None) => Prompt::Text(text),
            (None, Some(turns)) => Prompt::Chat(turns),
            _ => return Err(wrong("it has to have either text or turns".into())),
        };
        Ok(GivenText { prompt, source })
    };
    let lines = (1..).zip(file.lines()).filter(|(_, line)| !line.trim().is_empty());
    let texts = lines.map(given).collect::<anyhow::Result<Vec<GivenText>>>()?;
    if texts.is_empty() {
        bail!("{name} holds no texts: {LINE}");
    }
    Ok(texts)
}

/// The first texts' tokens, up to about `most` in all, each text cut after `longest`.
pub fn tokens(texts: &[GivenText], session: &Session, most: usize, longest: usize) -> anyhow::Result<Vec<Vec<u32>>> {
    let mut found: Vec<Vec<u32>> = Vec::new();
    let mut tokens = 0;
    for (text, number) in texts.iter().zip(1..) {
        if tokens >= most {
            break;
        }
        let mut of_text = session.tokens(&text.prompt).map_err(|error| anyhow!("text {number}: {error}"))?;
        of_text.truncate(longest.max(1));
        tokens += of_text.len();
        found.push(of_text);
    }
    Ok(found)
}
