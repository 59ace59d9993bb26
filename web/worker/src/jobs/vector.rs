//! Directions at every layer from contrasting pairs.

use super::{reading, session};
use crate::desk::Bench;
use crate::failure::Stop;
use crate::live::Live;
use tiller_experiment::Session;
use tiller_interp::steer::{Extraction, TokenPair, VectorMethod, extract};
use tiller_protocol::{Directions, Event, LayerDirection, Separability};
use tiller_recipe::{Direction, Pair};

pub async fn build(bench: &mut Bench, live: &Live, method: &str, pairs: &[Pair]) -> Result<Event, Stop> {
    let method = known_method(method)?;
    let session = session(bench)?;
    let pairs = token_pairs(session, pairs)?;
    let layers: Vec<u32> = (0..session.engine.config().layers).collect();
    let found = extract(&mut session.engine, method, &pairs, &layers, live, reading(live)).await?;
    Ok(Event::Directions { job: live.job, directions: directions(found)? })
}

pub(super) fn known_method(name: &str) -> Result<VectorMethod, Stop> {
    name.parse::<VectorMethod>().map_err(|unknown| Stop::failed("The vector cannot be built", unknown.to_string()))
}

pub(super) fn token_pairs(session: &Session, pairs: &[Pair]) -> Result<Vec<TokenPair>, Stop> {
    pairs.iter().map(|pair| token_pair(session, pair)).collect()
}

/// The texts as the method reads them: raw, as the model's own tokenizer begins a text.
fn token_pair(session: &Session, pair: &Pair) -> Result<TokenPair, Stop> {
    let tokens = |text: &str| -> Result<Vec<u32>, Stop> {
        let tokens = session.tokenizer.encode(text, true, false).map_err(tiller_experiment::PromptError::from)?;
        match tokens.is_empty() {
            true => {
                Err(Stop::failed("A pair is incomplete", "one of its texts is empty: fill it in, or remove the pair"))
            }
            false => Ok(tokens),
        }
    };
    Ok(TokenPair { positive: tokens(&pair.positive)?, negative: tokens(&pair.negative)? })
}

fn directions(found: Extraction) -> Result<Directions, Stop> {
    let no_direction = || {
        Stop::failed(
            "The pairs hold no direction",
            "at some layer both sides read alike, or all pairs differ in the same way: write other pairs, or choose another method",
        )
    };
    let layer = |layer: tiller_interp::steer::LayerDirection| {
        Ok(LayerDirection {
            layer: layer.layer,
            direction: Direction::along(&layer.direction).ok_or_else(no_direction)?,
            norm: layer.norm,
            typical_norm: layer.typical_norm,
            separability: layer.separability.map(|s| Separability { d_prime: s.d_prime, accuracy: s.accuracy }),
        })
    };
    Ok(Directions {
        method: found.method.name().into(),
        suggested: found.suggested,
        pairs: found.pairs as u32,
        layers: found.layers.into_iter().map(layer).collect::<Result<_, Stop>>()?,
    })
}
