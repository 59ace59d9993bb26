//! Direct logit attribution.

use crate::InterpError;
use crate::toward::Toward;
use serde::Serialize;
use tiller_engine::{Controls, Engine, Harvest, Site, TapRows};

/// A logit difference, taken apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attribution {
    /// Logit of the answer less logit of the wrong answer, as the model gives them.
    pub logit_difference: f64,
    /// What each part adds to it, in the order of the pass: together the whole difference.
    pub shares: Vec<ComponentShare>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ComponentShare {
    #[serde(flatten)]
    pub component: Component,
    pub value: f64,
}

/// A part of the model that adds to the residual stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "component", rename_all = "kebab-case")]
pub enum Component {
    /// What enters the first block: the token's embedding, and its position's where that is learned.
    Embedding,
    /// What one head adds.
    Head { layer: u32, head: u32 },
    /// The bias of a block's attention output, which belongs to no head.
    AttentionBias { layer: u32 },
    /// All of a block's attention, where the model norms the sum of its heads before it is added: then it is no sum of
    /// what they add.
    Attention { layer: u32 },
    /// A block's MLP, its bias included.
    Mlp { layer: u32 },
    /// The final norm's bias.
    FinalNormBias,
}

/// What each part of the model adds directly to the logit difference of two tokens after the prompt, by its path through
/// the final norm and the unembedding alone (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits";
/// Wang et al. 2022).
///
/// The residual stream at the last token is the sum of what the parts added. The final norm divides it by its scale,
/// taken as it is in this run, centred before by a LayerNorm; what is left is linear. `progress` is told the tokens done
/// and in all. Errors when the prompt is empty or too long, a token is not the model's, the model caps its logits, an
/// activation is not finite, or the work was cancelled.
pub async fn direct_logit_attribution(
    engine: &mut Engine,
    prompt: &[u32],
    answer: u32,
    wrong: u32,
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Attribution, InterpError> {
    if engine.config().logit_soft_cap.is_some() {
        return Err(InterpError::CappedLogits);
    }
    let readouts = engine.readouts(&[answer, wrong], controls).await?;
    let toward = Toward::new(&readouts[0], &readouts[1], engine.config().norm.kind);

    let (layers, heads) = (engine.config().layers, engine.config().heads as usize);
    let by_head = !engine.config().post_norms;
    let mut sites = vec![Site::ResidPre(0)];
    for layer in 0..layers {
        sites.extend(by_head.then_some(Site::Result(layer)));
        sites.extend([Site::AttnOut(layer), Site::MlpOut(layer)]);
    }
    sites.extend([Site::FinalScale, Site::Logits]);
    let prompts = [prompt.to_vec()];
    let harvest = Harvest { prompts: &prompts, sites: &sites, rows: TapRows::Picks, edits: &[] };
    let mut shares = Vec::new();
    let (mut scale, mut logit_difference) = (f64::NAN, f64::NAN);
    // Attention's output comes before the heads' parts of it where it is cheaper to compute so.
    let mut of_heads = vec![0.0; layers as usize];
    let mut of_attention = vec![0.0; layers as usize];
    let mut not_finite = None;
    engine
        .harvest(&harvest, controls, progress, |reading| {
            let values = reading.values;
            if !values.iter().all(|value| value.is_finite()) {
                not_finite.get_or_insert(reading.site);
            }
            let mut share = |component: Component, values: &[f32]| {
                let value = toward.product(values);
                shares.push(ComponentShare { component, value });
                value
            };
            match reading.site {
                Site::ResidPre(_) => {
                    share(Component::Embedding, values);
                }
                Site::Result(layer) => {
                    for (head, values) in values.chunks_exact(values.len() / heads).enumerate() {
                        of_heads[layer as usize] += share(Component::Head { layer, head: head as u32 }, values);
                    }
                }
                Site::AttnOut(layer) if by_head => of_attention[layer as usize] = toward.product(values),
                Site::AttnOut(layer) => {
                    share(Component::Attention { layer }, values);
                }
                Site::MlpOut(layer) => {
                    share(Component::Mlp { layer }, values);
                }
                Site::FinalScale => scale = f64::from(values[0]),
                _ => logit_difference = f64::from(values[answer as usize]) - f64::from(values[wrong as usize]),
            }
        })
        .await?;
    if let Some(site) = not_finite {
        return Err(InterpError::NotFinite { site });
    }
    for share in &mut shares {
        share.value /= scale;
    }
    if by_head && engine.attention_adds_bias() {
        let biases = (0..layers).map(|layer| ComponentShare {
            component: Component::AttentionBias { layer },
            value: (of_attention[layer as usize] - of_heads[layer as usize]) / scale,
        });
        shares.extend(biases);
    }
    if toward.constant != 0.0 {
        shares.push(ComponentShare { component: Component::FinalNormBias, value: toward.constant });
    }
    shares.sort_by_key(|share| share.component.place());
    Ok(Attribution { logit_difference, shares })
}

impl Component {
    /// Place in the order of the pass.
    fn place(self) -> (u32, u32, u32) {
        match self {
            Component::Embedding => (0, 0, 0),
            Component::Head { layer, head } => (1 + layer, 0, head),
            Component::Attention { layer } => (1 + layer, 0, 0),
            Component::AttentionBias { layer } => (1 + layer, 1, 0),
            Component::Mlp { layer } => (1 + layer, 2, 0),
            Component::FinalNormBias => (u32::MAX, 0, 0),
        }
    }
}
