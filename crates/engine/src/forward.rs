//! The forward pass, written once.
//!
//! A pre-norm transformer with rotary positions, grouped-query attention and a gated MLP (Touvron et al. 2023, "LLaMA").
//! Between the fused steps lie the activation sites. A site that nobody taps or edits costs nothing: its activation need
//! not even exist by itself.

use crate::EngineError;
use crate::backend::{Device, Matrix, Pass, Vector};
use crate::pass_shape::{Head, PassShape};
use crate::weights::Weights;
use tiller_sites::Site;

/// Runs (or records) one pass. Returns the tapped sites in the order in which the pass reached them.
pub(crate) fn forward<P: Pass>(
    pass: &mut P,
    weights: &Weights<P::Device>,
    shape: &PassShape,
) -> Result<Vec<Site>, EngineError>
where
    P::Device: Device,
{
    let mut at = Sites { shape, tapped: Vec::new() };

    let mut x = pass.embed(&weights.embedding)?;
    x = at.site(pass, Site::Embed, x)?;

    for (n, block) in weights.blocks.iter().enumerate() {
        let layer = n as u32;
        x = at.site(pass, Site::ResidPre(layer), x)?;

        let qkv = pass.linear(&x, Some(&block.attention_norm), &block.qkv, block.qkv_bias.as_ref())?;
        let qkv = pass.rotate_and_append(qkv, n)?;
        let z = pass.attention(&qkv, n)?;
        x = at.into_residual(pass, Site::AttnOut(layer), &z, &block.out, block.out_bias.as_ref(), x)?;
        x = at.site(pass, Site::ResidMid(layer), x)?;

        let gate_up = pass.linear(&x, Some(&block.mlp_norm), &block.gate_up, None)?;
        let hidden = pass.swiglu(&gate_up)?;
        x = at.into_residual(pass, Site::MlpOut(layer), &hidden, &block.down, None, x)?;
        x = at.site(pass, Site::ResidPost(layer), x)?;
    }

    let x = match shape.head {
        Head::Skip => return Ok(at.tapped),
        Head::Picks | Head::Draw { .. } => pass.pick_rows(&x)?,
        Head::Rows => x,
    };
    let unembedding = std::slice::from_ref(weights.unembedding.as_ref().unwrap_or(&weights.embedding));
    let logits = if shape.touches(Site::FinalNorm) {
        // The site lies between the norm's division and its gain.
        let normalized = pass.norm(&x, &weights.final_norm_without_gain)?;
        let normalized = at.site(pass, Site::FinalNorm, normalized)?;
        let gained = pass.scale_columns(normalized, &weights.final_norm.gain)?;
        pass.linear(&gained, None, unembedding, None)?
    } else {
        pass.linear(&x, Some(&weights.final_norm), unembedding, None)?
    };
    let logits = at.site(pass, Site::Logits, logits)?;
    if let Head::Draw { alternatives } = shape.head {
        pass.draw(&logits, alternatives)?;
    }
    Ok(at.tapped)
}

/// Edits and taps at the sites as the pass comes by.
struct Sites<'a> {
    shape: &'a PassShape,
    tapped: Vec<Site>,
}

impl Sites<'_> {
    /// The edits at `site`, in their order; then the taps, which so see what the rest of the pass sees.
    fn site<P: Pass>(&mut self, pass: &mut P, site: Site, mut x: P::Act) -> Result<P::Act, EngineError> {
        for (slot, _) in self.shape.edits.iter().enumerate().filter(|(_, (s, _))| *s == site) {
            x = pass.add_vector(x, slot)?;
        }
        for &(_, rows) in self.shape.taps.iter().filter(|(s, _)| *s == site) {
            pass.tap(&x, rows)?;
            self.tapped.push(site);
        }
        Ok(x)
    }

    /// Adds `W x` to the residual stream; as a step of its own only where somebody looks at what is added.
    fn into_residual<P: Pass>(
        &mut self,
        pass: &mut P,
        site: Site,
        x: &P::Act,
        w: &Matrix<P>,
        bias: Option<&Vector<P>>,
        residual: P::Act,
    ) -> Result<P::Act, EngineError> {
        if !self.shape.touches(site) {
            return pass.linear_add(x, w, bias, residual);
        }
        let added = pass.linear(x, None, std::slice::from_ref(w), bias)?;
        let added = self.site(pass, site, added)?;
        pass.add(&added, residual)
    }
}
