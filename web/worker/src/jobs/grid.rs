//! The search for a layer and a strength.

use super::vector::{known_method, token_pairs};
use super::{estimate, reading, session};
use crate::desk::Bench;
use crate::failure::Stop;
use crate::host;
use crate::live::Live;
use tiller_interp::evidence::CONTROL_SEEDS;
use tiller_interp::steer::{self, GridPlan, grid};
use tiller_protocol::{Event, GridCell, GridChoice, GridReading, GridReport};
use tiller_recipe::{GRID_MOST_COST, Pair};

pub async fn search(
    bench: &mut Bench,
    live: &Live,
    method: &str,
    pairs: &[Pair],
    layers: &[u32],
    strengths: &[f32],
) -> Result<Event, Stop> {
    let method = known_method(method)?;
    let session = session(bench)?;
    let pairs = token_pairs(session, pairs)?;
    let neutral = session.neutral()?;
    let plan = GridPlan {
        method,
        pairs: &pairs,
        layers,
        strengths,
        neutral: &neutral,
        most_cost: GRID_MOST_COST,
        seeds: &CONTROL_SEEDS,
    };
    let send = |cell: steer::GridCell| {
        let steer::GridCell { layer, strength, found } = cell;
        host::send(Event::GridCell { job: live.job, cell: GridCell { layer, strength, found: found.map(shown) } });
    };
    let found = grid(&mut session.engine, &plan, live, reading(live), send).await?;
    let report = GridReport {
        perplexity_plain: found.perplexity_plain,
        choosing: found.choosing as u32,
        chosen: found.chosen.map(chosen),
    };
    Ok(Event::GridSearched { job: live.job, report })
}

fn shown(found: steer::GridReading) -> GridReading {
    let steer::GridReading { effect, perplexity, divergence } = found;
    GridReading { effect, perplexity, divergence }
}

fn chosen(choice: steer::GridChoice) -> GridChoice {
    GridChoice {
        layer: choice.layer,
        strength: choice.strength,
        effect: estimate(choice.effect),
        perplexity: choice.perplexity,
        divergence: choice.divergence,
        random: choice.random.into_iter().map(shown).collect(),
    }
}
