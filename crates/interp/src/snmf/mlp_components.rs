//! The components of a block's MLP on some texts, and where each is active.

use super::factorise::{Factors, SnmfOptions, factorise};
use crate::InterpError;
use crate::tally::Tally;
use serde::Serialize;
use tiller_engine::{Controls, Engine, EngineError, Harvest, Site, TapRows};

/// Numbers that are held at once.
const MOST_NUMBERS: usize = 64 << 20;

/// What the neurons of a block do, in a few combinations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MlpComponents {
    pub layer: u32,
    pub texts: usize,
    /// All but each text's first.
    pub tokens: usize,
    pub neurons: usize,
    /// `|A - F G|^2 / |A|^2`.
    pub unexplained: f64,
    pub iterations: usize,
    /// Those that write most first.
    pub components: Vec<Component>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Component {
    /// Its neurons, with their weights at length 1, the largest first.
    pub neurons: Vec<(u32, f32)>,
    /// Its squared length over all tokens, as a share of that of the activations.
    pub share: f64,
    /// Tokens at which it is at least a tenth of its largest.
    pub active: usize,
    /// Where it is strongest, once in a text.
    pub contexts: Vec<ComponentContext>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ComponentContext {
    /// The number of the text among those that were given.
    pub text: usize,
    pub position: u32,
    /// How far the component moves the neurons there: the length of what it writes in their activations.
    pub activity: f32,
}

/// Reads what the block's neurons are at (`blocks.N.mlp.hook_post`) over the texts, and factorises it.
///
/// `contexts`: of each component, so many. `progress` is told the work done and in all. Errors when the block is missing,
/// there are fewer tokens than components or too many, an activation is not finite, or the work was cancelled.
pub async fn mlp_components(
    engine: &mut Engine,
    layer: u32,
    texts: &[Vec<u32>],
    options: &SnmfOptions,
    contexts: usize,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<MlpComponents, InterpError> {
    let site = Site::MlpPost(layer);
    engine.config().check_site(site).map_err(EngineError::from)?;
    let width = engine.config().site_width(site, 1) as usize;
    let tokens: usize = texts.iter().map(Vec::len).sum();
    if tokens.saturating_mul(width) > MOST_NUMBERS {
        return Err(InterpError::TooManyActivations { texts: texts.len(), sites: 1, width });
    }
    // An iteration is about as much work as reading a twentieth of the tokens.
    let iterations = u64::from(options.starts.max(1)) * options.iterations as u64;
    let each = (tokens as u64 / 20).max(1);
    let mut tally = Tally::new(tokens as u64 + iterations * each, &mut progress);
    let (mut rows, mut places, mut not_finite) = (Vec::new(), Vec::new(), false);
    let harvest = Harvest { prompts: texts, sites: &[site], rows: TapRows::All, edits: &[] };
    let sink = |reading: tiller_engine::Reading<'_>| {
        if reading.position > 0 {
            not_finite |= !reading.values.iter().all(|x| x.is_finite());
            rows.extend_from_slice(reading.values);
            places.push((reading.prompt, reading.position));
        }
    };
    engine.harvest(&harvest, controls, |done, _| tally.within(done), sink).await?;
    if not_finite {
        return Err(InterpError::NotFinite { site });
    }
    tally.add(tokens as u64);
    let found = factorise(&rows, width, options, controls, |done, _| tally.within(done * each)).await?;
    tally.finish();
    let square: f64 = rows.iter().map(|&x| f64::from(x).powi(2)).sum();
    let mut components: Vec<Component> =
        (0..found.features.len()).map(|n| component(&found, n, &places, square, contexts)).collect();
    components.sort_by(|a, b| b.share.total_cmp(&a.share));
    Ok(MlpComponents {
        layer,
        texts: texts.len(),
        tokens: places.len(),
        neurons: width,
        unexplained: found.unexplained,
        iterations: found.iterations,
        components,
    })
}

fn component(found: &Factors, n: usize, places: &[(usize, u32)], square: f64, contexts: usize) -> Component {
    let k = found.features.len();
    let weights = &found.features[n];
    let length = weights.iter().map(|&(_, w)| f64::from(w).powi(2)).sum::<f64>().sqrt();
    let unit = |&(neuron, w): &(u32, f32)| (neuron, if length > 0.0 { (f64::from(w) / length) as f32 } else { 0.0 });
    let mut neurons: Vec<(u32, f32)> = weights.iter().map(unit).collect();
    neurons.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
    let activity: Vec<f32> =
        found.activity.iter().skip(n).step_by(k).map(|&g| (f64::from(g) * length) as f32).collect();
    let most = activity.iter().copied().fold(0.0, f32::max);
    let mut order: Vec<usize> = (0..activity.len()).filter(|&row| activity[row] > 0.0).collect();
    order.sort_by(|&a, &b| activity[b].total_cmp(&activity[a]).then(a.cmp(&b)));
    let mut strongest: Vec<ComponentContext> = Vec::new();
    for row in order {
        if strongest.len() == contexts {
            break;
        }
        let (text, position) = places[row];
        if strongest.iter().all(|context| context.text != text) {
            strongest.push(ComponentContext { text, position, activity: activity[row] });
        }
    }
    let of_component: f64 = activity.iter().map(|&a| f64::from(a).powi(2)).sum();
    Component {
        neurons,
        share: if square > 0.0 { of_component / square } else { 0.0 },
        active: activity.iter().filter(|a| most > 0.0 && **a >= 0.1 * most).count(),
        contexts: strongest,
    }
}
