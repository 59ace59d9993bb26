//! Which activations a model has, and where they lie in what the pass computes.

use crate::ModelConfig;
use std::ops::Range;
use tiller_sites::{Site, UnknownSite};

impl ModelConfig {
    /// Every site of this model, in the order of the pass.
    pub fn sites(&self) -> Vec<Site> {
        Site::all(self.layers).into_iter().filter(|&site| self.check_site(site).is_ok()).collect()
    }

    /// Checks that this model has the site; the error says why not.
    pub fn check_site(&self, site: Site) -> Result<(), UnknownSite> {
        site.check(self.layers)?;
        let lacking = match site {
            Site::Ln1PostScale(_) | Site::Ln1PostNormalized(_) | Site::Ln2PostScale(_) | Site::Ln2PostNormalized(_)
                if !self.post_norms =>
            {
                "this model has no norms after attention and MLP"
            }
            Site::ResidMid(_) if self.parallel_residual => {
                "in this model attention and MLP read the same residual stream, so there is none between them"
            }
            Site::PosEmbed if !self.learned_positions => "this model has no learned positions",
            Site::RotQ(n) | Site::RotK(n) if self.attention.layers[n as usize].rope.is_none() => {
                "this model does not rotate queries and keys"
            }
            Site::MlpPreLinear(_) if !self.mlp.gated => "this model's MLP has no gate",
            _ => return Ok(()),
        };
        Err(UnknownSite { name: site.to_string(), hint: lacking.into() })
    }

    /// The columns that a site takes of the activation that holds it: queries, keys and values lie side by side, and so
    /// do an MLP's gate and what it multiplies. `keys` is the number of keys that scores and patterns have room for:
    /// they are `[heads, keys]` for each token.
    pub fn site_columns(&self, site: Site, keys: u32) -> Range<u32> {
        let [queries, kv] = [self.query_width(), self.kv_width()];
        match site {
            Site::Q(_) | Site::RotQ(_) => 0..queries,
            Site::K(_) | Site::RotK(_) => queries..queries + kv,
            Site::V(_) => queries + kv..queries + 2 * kv,
            Site::AttnScores(_) | Site::Pattern(_) => 0..self.heads * keys,
            Site::Z(_) => 0..queries,
            Site::Result(_) => 0..self.heads * self.width,
            Site::Ln1Scale(_)
            | Site::Ln1PostScale(_)
            | Site::Ln2Scale(_)
            | Site::Ln2PostScale(_)
            | Site::FinalScale => 0..1,
            Site::MlpPre(_) | Site::MlpPost(_) => 0..self.ffn,
            Site::MlpPreLinear(_) => self.ffn..2 * self.ffn,
            Site::Logits => 0..self.vocab,
            Site::Embed
            | Site::PosEmbed
            | Site::ResidPre(_)
            | Site::Ln1Normalized(_)
            | Site::Ln1PostNormalized(_)
            | Site::AttnOut(_)
            | Site::ResidMid(_)
            | Site::Ln2Normalized(_)
            | Site::Ln2PostNormalized(_)
            | Site::MlpOut(_)
            | Site::ResidPost(_)
            | Site::FinalNorm => 0..self.width,
        }
    }

    /// Numbers that a site has for each token.
    pub fn site_width(&self, site: Site, keys: u32) -> u32 {
        self.site_columns(site, keys).len() as u32
    }

    /// Heads that a site's columns divide into, if they do. Keys and values have a head for each group of queries.
    pub fn site_heads(&self, site: Site) -> Option<u32> {
        match site {
            Site::Q(_) | Site::RotQ(_) | Site::Z(_) | Site::AttnScores(_) | Site::Pattern(_) | Site::Result(_) => {
                Some(self.heads)
            }
            Site::K(_) | Site::RotK(_) | Site::V(_) => Some(self.kv_heads),
            _ => None,
        }
    }
}

/// Whether a site has `[heads, keys]` numbers for each token.
pub fn is_over_keys(site: Site) -> bool {
    matches!(site, Site::AttnScores(_) | Site::Pattern(_))
}
