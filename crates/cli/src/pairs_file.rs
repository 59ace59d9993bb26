//! `--pairs`: contrasting texts, a pair on each line.

use anyhow::{anyhow, bail};
use std::path::Path;
use tiller_experiment::Session;
use tiller_interp::steer::TokenPair;
use tiller_recipe::{Pair, Prompt};

/// The pairs of a file that has one on each line.
pub fn read(path: &Path) -> anyhow::Result<Vec<Pair>> {
    const LINE: &str = r#"write a pair on each line, as in {"positive": "..", "negative": ".."}"#;
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| anyhow!("{name} could not be read ({error}): {LINE}"))?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let pair = |(number, line): (u32, &str)| {
        serde_json::from_str(line).map_err(|error| anyhow!("line {number} of {name} is no pair ({error}): {LINE}"))
    };
    let pairs = lines.map(pair).collect::<anyhow::Result<Vec<Pair>>>()?;
    if pairs.is_empty() {
        bail!("{name} holds no pairs: {LINE}");
    }
    Ok(pairs)
}

/// As methods read them: raw texts, begun as the model's own tokenizer begins them.
pub fn tokens(pairs: &[Pair], session: &Session) -> anyhow::Result<Vec<TokenPair>> {
    let tokens = |text: &str| session.tokens(&Prompt::Text(text.into()));
    let pair = |pair: &Pair| Ok(TokenPair { positive: tokens(&pair.positive)?, negative: tokens(&pair.negative)? });
    pairs.iter().map(pair).collect()
}
