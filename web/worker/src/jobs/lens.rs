//! The logit lens over a prompt.

use super::{reading, session};
use crate::desk::Bench;
use crate::failure::Stop;
use crate::host;
use crate::live::Live;
use tiller_engine::Site;
use tiller_experiment::PromptError;
use tiller_interp::lens::{LensReading, RankedToken, logit_lens};
use tiller_model::Tokenizer;
use tiller_protocol::{Alternative, Event, Followed, LensCell, LensLayer, LensText, PromptToken, Ranked, RunSpec};

/// Tokens that are shown: as many columns as a person looks at.
const COLUMNS: usize = 64;

/// The most probable tokens that are named at each place.
const TOP: usize = 8;

pub async fn read(bench: &mut Bench, live: &Live, run: RunSpec, follow: &[String]) -> Result<Event, Stop> {
    let session = session(bench)?;
    let prompt = session.tokens(&run.prompt)?;
    let edits = session.resolve_edits(&run.vectors, &run.edits, live).await?;
    let tokenizer = &session.tokenizer;
    let first = prompt.len().saturating_sub(COLUMNS);

    let mut watched = Vec::new();
    let mut followed = Vec::new();
    for text in follow {
        let tokens = tokenizer.encode(text, false, true).map_err(PromptError::from)?;
        followed
            .push(Followed { text: text.clone(), tokens: tokens.iter().map(|&t| tokenizer.token_text(t)).collect() });
        watched.push(if let [token] = tokens[..] { Some(token) } else { None });
    }
    let tokens = prompt.iter().map(|&id| PromptToken { id, text: tokenizer.token_text(id) }).collect();
    let blocks = session.engine.config().layers;
    let text = LensText { tokens, first: first as u32, blocks, followed };
    host::send(Event::LensText { job: live.job, text });

    let found: Vec<u32> = watched.iter().flatten().copied().collect();
    let what =
        LensReading { tokens: &prompt, positions: first..prompt.len(), watched: &found, top: TOP, edits: &edits };
    let send = |layer| host::send(Event::LensLayer { job: live.job, layer: shown(tokenizer, layer, &watched) });
    logit_lens(&mut session.engine, &what, live, reading(live), send).await?;
    Ok(Event::LensRead { job: live.job })
}

/// The layer with its tokens spelt out.
fn shown(tokenizer: &Tokenizer, layer: tiller_interp::lens::LensLayer, watched: &[Option<u32>]) -> LensLayer {
    let ranked = |found: RankedToken| Ranked {
        text: tokenizer.token_text(found.token),
        log_prob: found.log_prob as f32,
        rank: found.rank,
    };
    let cell = |cell: tiller_interp::lens::LensCell| {
        let top = cell
            .top
            .iter()
            .map(|found| Alternative { text: tokenizer.token_text(found.token), log_prob: found.log_prob as f32 });
        let mut found = cell.watched.into_iter();
        LensCell {
            top: top.collect(),
            entropy: cell.entropy as f32,
            output: ranked(cell.output),
            next: cell.next.map(ranked),
            followed: watched.iter().map(|token| token.and_then(|_| found.next()).map(ranked)).collect(),
        }
    };
    let block = match layer.site {
        Site::ResidPost(block) => Some(block),
        _ => None,
    };
    LensLayer { block, cells: layer.cells.into_iter().map(cell).collect() }
}
