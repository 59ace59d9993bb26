//! The logit lens, or a tuned one, over a prompt.

use super::{reading, session};
use crate::desk::Bench;
use crate::failure::Stop;
use crate::host::{self, Throttle};
use crate::live::Live;
use tiller_engine::Site;
use tiller_experiment::{PromptError, Session, lens_texts};
use tiller_interp::lens::{LensReading, RankedToken, TuneOptions, Tuned, TunedLens, logit_lens, tune_lens};
use tiller_model::Tokenizer;
use tiller_protocol::{
    Alternative, Event, Followed, LensCell, LensLayer, LensText, LensTuning, Progress, PromptToken, Ranked, RunSpec,
    Stage, TunedPlace,
};

/// Tokens that are shown: as many columns as a person looks at.
const COLUMNS: usize = 64;

/// The most probable tokens that are named at each place.
const TOP: usize = 8;

pub async fn read(bench: &mut Bench, live: &Live, run: RunSpec, follow: &[String], tuned: bool) -> Result<Event, Stop> {
    if tuned && bench.lens.is_none() {
        bench.lens = Some(train(session(bench)?, live).await?);
    }
    // Apart from the bench, of which the session is borrowed.
    let lens = bench.lens.take();
    let read = read_through(session(bench)?, live, run, follow, lens.as_ref().filter(|_| tuned)).await;
    bench.lens = lens;
    read
}

/// Trains a lens for the model that is loaded, on texts and with options that are the same for everyone.
async fn train(session: &mut Session, live: &Live) -> Result<TunedLens, Stop> {
    let texts = lens_texts(session);
    let (job, throttle) = (live.job, Throttle::new());
    let tell = |done, total| {
        if throttle.open() || done == total {
            let progress = Progress { stage: Stage::Tuning, done, total: Some(total), rate: None };
            host::send(Event::Progress { job, progress });
        }
    };
    let Tuned { lens, layers, trained_on, held_out } =
        tune_lens(&mut session.engine, &texts, &TuneOptions::default(), live, tell).await?;
    let places = layers.iter().map(|layer| TunedPlace {
        block: block(layer.site),
        plain: layer.plain as f32,
        tuned: layer.tuned as f32,
        permuted: (layer.permuted.iter().sum::<f64>() / layer.permuted.len().max(1) as f64) as f32,
    });
    let (trained_on, held_out) = (trained_on as u32, held_out as u32);
    host::send(Event::LensTuned { job, tuning: LensTuning { trained_on, held_out, places: places.collect() } });
    Ok(lens)
}

async fn read_through(
    session: &mut Session,
    live: &Live,
    run: RunSpec,
    follow: &[String],
    tuned: Option<&TunedLens>,
) -> Result<Event, Stop> {
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
    let what = LensReading {
        tokens: &prompt,
        positions: first..prompt.len(),
        watched: &found,
        top: TOP,
        edits: &edits,
        tuned,
    };
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
    LensLayer { block: block(layer.site), cells: layer.cells.into_iter().map(cell).collect() }
}

/// The block after which a place is; `None` before the first.
fn block(site: Site) -> Option<u32> {
    match site {
        Site::ResidPost(block) => Some(block),
        _ => None,
    }
}
