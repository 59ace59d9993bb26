//! Everything without a mouse.

use crate::page::{Seen, WRITTEN};
use crate::recipes::{self, smollm2};
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use fantoccini::key::Key;

fn key(key: Key) -> String {
    char::from(key).to_string()
}

#[tokio::test]
async fn the_keyboard_reaches_and_does_everything() -> Result<()> {
    const TOKENS: usize = 400;
    let stage = Stage::set("keyboard").await?;
    let profile = stage.profile()?;
    let link = recipes::link(&recipes::steered(smollm2(), 576)?)?;
    stage
        .play(&profile, async |page| {
            page.open(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            page.until_ready().await?;
            page.until_written().await?;

            let mut reached = Vec::new();
            for _ in 0..80 {
                page.press(&key(Key::Tab)).await?;
                let Some(id) = page.focused().await? else { continue };
                let script = "
                    const style = getComputedStyle(document.activeElement);
                    return style.outlineStyle !== 'none' || style.boxShadow !== 'none';";
                let marked = page.browser.client.execute(script, vec![]).await?;
                ensure!(marked == true, "{id} has the focus and does not show it");
                reached.push(id);
            }
            for wanted in ["nav-steer", "nav-models", "prompt", "write", "strength", "copy-link", "build-vector"] {
                ensure!(reached.iter().any(|id| id == wanted), "Tab does not reach {wanted}: {reached:?}");
            }

            page.find("strength").await?.send_keys(&key(Key::Right)).await?;
            let up = page.seen().await?.strength.context("there is a slider")?;
            page.find("strength").await?.send_keys(&key(Key::Left).repeat(2)).await?;
            let down = page.seen().await?.strength.context("there is a slider")?;
            ensure!(up > 1.5 && down < 1.5, "arrow keys move the slider from 1.5 to {up} and {down}");

            page.set("max-tokens", &TOKENS.to_string()).await?;
            let control_enter = key(Key::Control) + &key(Key::Enter);
            page.find("prompt").await?.send_keys(&control_enter).await?;
            let begun = |seen: &Seen| seen.plain.is("writing") && !seen.plain.tokens.is_empty();
            page.until("a token is written", WRITTEN, begun).await?;
            page.press(&key(Key::Escape)).await?;
            let seen = page.until_written().await?;
            ensure!(seen.plain.tokens.len() < TOKENS, "Escape stops");
            ensure!(seen.prompt.as_deref() == Some("The weather in the mountains was"), "and no key was typed");
            Ok(())
        })
        .await
}
