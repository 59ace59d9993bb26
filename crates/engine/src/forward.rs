//! The forward pass, written once.
//!
//! A transformer whose blocks read a residual stream through norms, and add to it what attention and an MLP make of it
//! (Vaswani et al. 2017; Touvron et al. 2023, "LLaMA", for most of what the families share). What differs between
//! families is an option of the configuration. Between the fused steps lie the activation sites. A site that nobody taps
//! or edits costs nothing: its activation need not even exist by itself.

use crate::EngineError;
use crate::backend::{Device, Matrix, Norm, Pass, Vector};
use crate::edit::Condition;
use crate::pass_shape::{Head, PassShape, reads};
use crate::weights::{Block, Weights};
use tiller_kernels::TapRows;
use tiller_model::ModelConfig;
use tiller_sites::Site;

/// Runs (or records) one pass. Returns the tapped sites in the order in which the pass reached them.
pub(crate) fn forward<P: Pass>(
    pass: &mut P,
    config: &ModelConfig,
    weights: &Weights<P::Device>,
    shape: &PassShape,
) -> Result<Vec<Site>, EngineError>
where
    P::Device: Device,
{
    let mut at = Sites { config, shape, tapped: Vec::new() };
    if shape.repetition_penalty != 1.0 {
        pass.remember_tokens()?;
    }
    at.token_gates(pass)?;

    let mut x = pass.embed(&weights.embedding, config.embedding_scale)?;
    x = at.site(pass, Site::Embed, x)?;
    if let Some(table) = &weights.positions {
        x = if shape.touches(Site::PosEmbed) {
            // Positions by themselves: added to nothing.
            let nothing = pass.embed(&weights.embedding, 0.0)?;
            let positions = pass.add_positions(nothing, table)?;
            let positions = at.site(pass, Site::PosEmbed, positions)?;
            pass.add(&positions, x)?
        } else {
            pass.add_positions(x, table)?
        };
    }

    for (n, block) in weights.blocks.iter().enumerate().take(shape.blocks) {
        let layer = n as u32;
        x = at.site(pass, Site::ResidPre(layer), x)?;
        let z = attention(pass, &mut at, block, &x, n)?;
        if config.parallel_residual {
            let hidden = mlp(pass, &mut at, block, &x, layer)?;
            x = at.attention_into_residual(pass, block, &z, layer, x)?;
            x = at.mlp_into_residual(pass, block, &hidden, layer, x)?;
        } else {
            x = at.attention_into_residual(pass, block, &z, layer, x)?;
            x = at.site(pass, Site::ResidMid(layer), x)?;
            let hidden = mlp(pass, &mut at, block, &x, layer)?;
            x = at.mlp_into_residual(pass, block, &hidden, layer, x)?;
        }
        x = at.site(pass, Site::ResidPost(layer), x)?;
    }

    let x = match shape.head {
        Head::Skip => return Ok(at.tapped),
        Head::Picks | Head::Draw { .. } => pass.pick_rows(&x)?,
        Head::Rows => x,
    };
    let mut logits = at.logits(pass, weights, &x)?;
    if let Some(tokens) = &shape.logits_of {
        pass.tap_logits(&logits, tokens)?;
    }
    if let Head::Draw { alternatives } = shape.head {
        if shape.repetition_penalty != 1.0 {
            logits = pass.penalise(logits, shape.repetition_penalty)?;
        }
        pass.draw(&logits, alternatives)?;
    }
    Ok(at.tapped)
}

/// The end of a pass alone: logits of the residual streams `[rows, d_model]` that the step's tokens name. Their tap is
/// the only one.
pub(crate) fn unembed<P: Pass>(
    pass: &mut P,
    config: &ModelConfig,
    weights: &Weights<P::Device>,
    residuals: &Matrix<P>,
) -> Result<(), EngineError>
where
    P::Device: Device,
{
    let shape = PassShape::to_tap(vec![(Site::Logits, TapRows::All)], Vec::new(), 0);
    let mut at = Sites { config, shape: &shape, tapped: Vec::new() };
    let x = pass.embed(residuals, 1.0)?;
    at.logits(pass, weights, &x)?;
    Ok(())
}

/// The values that each head of block `n` mixes for each row: `[rows, heads * head_dim]`.
fn attention<P: Pass>(
    pass: &mut P,
    at: &mut Sites,
    block: &Block<P::Device>,
    x: &P::Act,
    n: usize,
) -> Result<P::Act, EngineError> {
    let layer = n as u32;
    let sites = [Site::Ln1Scale(layer), Site::Ln1Normalized(layer)];
    let mut qkv = at.normed_linear(pass, sites, x, &block.attention_norm, &block.qkv, block.qkv_bias.as_ref())?;
    for site in [Site::Q(layer), Site::K(layer), Site::V(layer)] {
        qkv = at.site(pass, site, qkv)?;
    }
    let rotated = [Site::RotQ(layer), Site::RotK(layer)];
    let qkv = if at.shape.touches_any(&rotated) {
        let mut qkv = pass.rotate(qkv, block.head_norms.as_ref(), n)?;
        for site in rotated {
            qkv = at.site(pass, site, qkv)?;
        }
        pass.append(qkv, n)?
    } else {
        pass.rotate_and_append(qkv, block.head_norms.as_ref(), n)?
    };
    // A matrix of [queries, keys] exists only where somebody looks at it.
    let z = if at.shape.touches_any(&[Site::AttnScores(layer), Site::Pattern(layer)]) {
        let keys = at.shape.keys;
        let scores = pass.attention_scores(&qkv, n, keys)?;
        let scores = at.site(pass, Site::AttnScores(layer), scores)?;
        let pattern = pass.attention_softmax(scores, n, keys)?;
        let pattern = at.site(pass, Site::Pattern(layer), pattern)?;
        pass.attention_mix(&pattern, n, keys)?
    } else {
        pass.attention(&qkv, n)?
    };
    at.site(pass, Site::Z(layer), z)
}

/// The MLP's neurons: what its last projection gets, `[rows, d_mlp]`.
fn mlp<P: Pass>(
    pass: &mut P,
    at: &mut Sites,
    block: &Block<P::Device>,
    x: &P::Act,
    layer: u32,
) -> Result<P::Act, EngineError> {
    let sites = [Site::Ln2Scale(layer), Site::Ln2Normalized(layer)];
    let mut pre = at.normed_linear(pass, sites, x, &block.mlp_norm, &block.mlp_in, block.mlp_in_bias.as_ref())?;
    pre = at.site(pass, Site::MlpPre(layer), pre)?;
    let mlp = at.config.mlp;
    let hidden = if mlp.gated {
        pre = at.site(pass, Site::MlpPreLinear(layer), pre)?;
        pass.gated(&pre, mlp.activation)?
    } else {
        pass.activate(&pre, mlp.activation)?
    };
    at.site(pass, Site::MlpPost(layer), hidden)
}

/// Edits and taps at the sites as the pass comes by.
struct Sites<'a> {
    config: &'a ModelConfig,
    shape: &'a PassShape,
    tapped: Vec<Site>,
}

impl Sites<'_> {
    /// Conditions that read no activation.
    fn token_gates<P: Pass>(&self, pass: &mut P) -> Result<(), EngineError> {
        for (slot, edit) in self.shape.edits.iter().enumerate() {
            if edit.gate.as_ref().is_some_and(|gate| matches!(gate.condition, Condition::Token(_))) {
                pass.open_gate_on_tokens(slot)?;
            }
        }
        Ok(())
    }

    /// The conditions that read `site`; then its edits, in their order; then the taps, which so see what the rest of the
    /// pass sees.
    fn site<P: Pass>(&mut self, pass: &mut P, site: Site, mut x: P::Act) -> Result<P::Act, EngineError> {
        let edits = || self.shape.edits.iter().enumerate();
        for (slot, _) in edits().filter(|(_, edit)| reads(edit, site)) {
            pass.open_gate(&x, slot)?;
        }
        for (slot, _) in edits().filter(|(_, edit)| edit.site == site) {
            x = pass.edit(x, slot)?;
        }
        for &(_, rows) in self.shape.taps.iter().filter(|(s, _)| *s == site) {
            pass.tap(&x, site, self.config.site_columns(site, self.shape.keys), rows)?;
            self.tapped.push(site);
        }
        if let Some(reading) = self.shape.features.as_ref().filter(|reading| reading.site == site) {
            pass.strongest_features(&x, self.config.site_columns(site, self.shape.keys), reading)?;
        }
        Ok(x)
    }

    /// The logits of the residual stream after the last block.
    fn logits<P: Pass>(
        &mut self,
        pass: &mut P,
        weights: &Weights<P::Device>,
        x: &P::Act,
    ) -> Result<P::Act, EngineError> {
        let unembedding = std::slice::from_ref(weights.unembedding.as_ref().unwrap_or(&weights.embedding));
        let sites = [Site::FinalScale, Site::FinalNorm];
        let mut logits = self.normed_linear(pass, sites, x, &weights.final_norm, unembedding, None)?;
        if let Some(cap) = self.config.logit_soft_cap {
            logits = pass.soft_cap(logits, cap)?;
        }
        self.site(pass, Site::Logits, logits)
    }

    /// `W norm(x) + bias`, the norm taken apart only where somebody looks at its scale or at what it divides.
    fn normed_linear<P: Pass>(
        &mut self,
        pass: &mut P,
        sites: [Site; 2],
        x: &P::Act,
        norm: &Norm<Vector<P>>,
        w: &[Matrix<P>],
        bias: Option<&Vector<P>>,
    ) -> Result<P::Act, EngineError> {
        if !self.shape.touches_any(&sites) {
            return pass.linear(x, Some(norm), w, bias);
        }
        let normed = self.norm(pass, sites, x, norm)?;
        pass.linear(&normed, None, w, bias)
    }

    /// `norm(x)`, with the sites between its division and its gain.
    fn norm<P: Pass>(
        &mut self,
        pass: &mut P,
        sites: [Site; 2],
        x: &P::Act,
        norm: &Norm<Vector<P>>,
    ) -> Result<P::Act, EngineError> {
        if !self.shape.touches_any(&sites) {
            return pass.norm(x, norm);
        }
        let [scale_site, normalized_site] = sites;
        let scale = pass.norm_scale(x, norm)?;
        let scale = self.site(pass, scale_site, scale)?;
        let normalized = pass.divide_by_scale(x, &scale, norm)?;
        let normalized = self.site(pass, normalized_site, normalized)?;
        pass.gain(normalized, norm)
    }

    fn attention_into_residual<P: Pass>(
        &mut self,
        pass: &mut P,
        block: &Block<P::Device>,
        z: &P::Act,
        layer: u32,
        residual: P::Act,
    ) -> Result<P::Act, EngineError> {
        let (out, bias) = (&block.out, block.out_bias.as_ref());
        let sites = [Site::Ln1PostScale(layer), Site::Ln1PostNormalized(layer), Site::AttnOut(layer)];
        if !self.shape.touches(Site::Result(layer)) {
            return self.into_residual(pass, sites, z, out, bias, block.post_attention_norm.as_ref(), residual);
        }
        let results = pass.head_results(z, out)?;
        let results = self.site(pass, Site::Result(layer), results)?;
        let added = pass.sum_heads(&results, bias)?;
        self.add_to_residual(pass, sites, added, block.post_attention_norm.as_ref(), residual)
    }

    fn mlp_into_residual<P: Pass>(
        &mut self,
        pass: &mut P,
        block: &Block<P::Device>,
        hidden: &P::Act,
        layer: u32,
        residual: P::Act,
    ) -> Result<P::Act, EngineError> {
        let sites = [Site::Ln2PostScale(layer), Site::Ln2PostNormalized(layer), Site::MlpOut(layer)];
        let bias = block.down_bias.as_ref();
        self.into_residual(pass, sites, hidden, &block.down, bias, block.post_mlp_norm.as_ref(), residual)
    }

    /// Adds `W x + bias` (normed, where the model does) to the residual stream; as a step of its own only where somebody
    /// looks at what is added.
    #[allow(clippy::too_many_arguments)]
    fn into_residual<P: Pass>(
        &mut self,
        pass: &mut P,
        sites: [Site; 3],
        x: &P::Act,
        w: &Matrix<P>,
        bias: Option<&Vector<P>>,
        post_norm: Option<&Norm<Vector<P>>>,
        residual: P::Act,
    ) -> Result<P::Act, EngineError> {
        if post_norm.is_none() && !self.shape.touches_any(&sites) {
            return pass.linear_add(x, w, bias, residual);
        }
        let added = pass.linear(x, None, std::slice::from_ref(w), bias)?;
        self.add_to_residual(pass, sites, added, post_norm, residual)
    }

    fn add_to_residual<P: Pass>(
        &mut self,
        pass: &mut P,
        sites: [Site; 3],
        added: P::Act,
        post_norm: Option<&Norm<Vector<P>>>,
        residual: P::Act,
    ) -> Result<P::Act, EngineError> {
        let [scale, normalized, out] = sites;
        let added = match post_norm {
            Some(norm) if !self.shape.touches_any(&sites) => return pass.add_normed(&added, norm, residual),
            Some(norm) => self.norm(pass, [scale, normalized], &added, norm)?,
            None => added,
        };
        let added = self.site(pass, out, added)?;
        pass.add(&added, residual)
    }
}
