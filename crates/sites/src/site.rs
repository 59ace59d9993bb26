//! Activation sites, under TransformerLens's names.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A named activation of the forward pass. A site is `[tokens, width]`; most are `[tokens, d_model]`. Layers count from
/// 0. Which of them a model has, and how wide they are, is the model's to say (`ModelConfig::site_width`).
///
/// Sites print and parse under the names that TransformerLens uses (`blocks.12.hook_resid_post`), because that is what
/// people type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// `hook_embed`: the token embedding, scaled where the model scales it.
    Embed,
    /// `hook_pos_embed`: the learned embedding of positions, where the model has one.
    PosEmbed,
    /// `blocks.N.hook_resid_pre`: the residual stream that enters block N.
    ResidPre(u32),
    /// `blocks.N.ln1.hook_scale`: what the norm before attention divides by. `[tokens, 1]`.
    Ln1Scale(u32),
    /// `blocks.N.ln1.hook_normalized`: the stream divided (and centred, by a LayerNorm), before the norm's gain.
    Ln1Normalized(u32),
    /// `blocks.N.attn.hook_q`: queries, before their norm and rotation. `[tokens, heads * head_dim]`.
    Q(u32),
    /// `blocks.N.attn.hook_k`: keys, likewise. `[tokens, kv_heads * head_dim]`.
    K(u32),
    /// `blocks.N.attn.hook_v`: values. `[tokens, kv_heads * head_dim]`.
    V(u32),
    /// `blocks.N.attn.hook_rot_q`: queries as scores are made of them: normed and rotated. Where the block rotates.
    RotQ(u32),
    /// `blocks.N.attn.hook_rot_k`: keys, likewise.
    RotK(u32),
    /// `blocks.N.attn.hook_attn_scores`: scaled (and capped) products of queries and keys. `[tokens, heads * keys]`.
    AttnScores(u32),
    /// `blocks.N.attn.hook_pattern`: the scores' softmax. `[tokens, heads * keys]`.
    Pattern(u32),
    /// `blocks.N.attn.hook_z`: the values that each head has mixed. `[tokens, heads * head_dim]`.
    Z(u32),
    /// `blocks.N.attn.hook_result`: what each head adds to the stream, before the bias. `[tokens, heads * d_model]`.
    Result(u32),
    /// `blocks.N.ln1_post.hook_scale` and `hook_normalized`: of the norm after attention, where there is one.
    Ln1PostScale(u32),
    Ln1PostNormalized(u32),
    /// `blocks.N.hook_attn_out`: what attention adds to the residual stream.
    AttnOut(u32),
    /// `blocks.N.hook_resid_mid`: the residual stream between attention and MLP.
    ResidMid(u32),
    /// `blocks.N.ln2.hook_scale` and `hook_normalized`: of the norm before the MLP.
    Ln2Scale(u32),
    Ln2Normalized(u32),
    /// `blocks.N.mlp.hook_pre`: what the MLP's activation function gets. `[tokens, d_mlp]`.
    MlpPre(u32),
    /// `blocks.N.mlp.hook_pre_linear`: what a gated MLP multiplies the activated gate by. `[tokens, d_mlp]`.
    MlpPreLinear(u32),
    /// `blocks.N.mlp.hook_post`: what the MLP's last projection gets: its neurons. `[tokens, d_mlp]`.
    MlpPost(u32),
    /// `blocks.N.ln2_post.hook_scale` and `hook_normalized`: of the norm after the MLP, where there is one.
    Ln2PostScale(u32),
    Ln2PostNormalized(u32),
    /// `blocks.N.hook_mlp_out`: what the MLP adds to the residual stream.
    MlpOut(u32),
    /// `blocks.N.hook_resid_post`: the residual stream that leaves block N.
    ResidPost(u32),
    /// `ln_final.hook_scale`: what the final norm divides by. `[tokens, 1]`.
    FinalScale,
    /// `ln_final.hook_normalized`: the residual stream divided by its root mean square, before the norm's gain.
    FinalNorm,
    /// `logits`: the unembedding's output. `[tokens, vocabulary]`.
    Logits,
}

/// The sites that a block may have, in the order of the pass: the one table from which names are printed and parsed.
const BLOCK_SITES: [(&str, fn(u32) -> Site); 25] = [
    ("hook_resid_pre", Site::ResidPre),
    ("ln1.hook_scale", Site::Ln1Scale),
    ("ln1.hook_normalized", Site::Ln1Normalized),
    ("attn.hook_q", Site::Q),
    ("attn.hook_k", Site::K),
    ("attn.hook_v", Site::V),
    ("attn.hook_rot_q", Site::RotQ),
    ("attn.hook_rot_k", Site::RotK),
    ("attn.hook_attn_scores", Site::AttnScores),
    ("attn.hook_pattern", Site::Pattern),
    ("attn.hook_z", Site::Z),
    ("attn.hook_result", Site::Result),
    ("ln1_post.hook_scale", Site::Ln1PostScale),
    ("ln1_post.hook_normalized", Site::Ln1PostNormalized),
    ("hook_attn_out", Site::AttnOut),
    ("hook_resid_mid", Site::ResidMid),
    ("ln2.hook_scale", Site::Ln2Scale),
    ("ln2.hook_normalized", Site::Ln2Normalized),
    ("mlp.hook_pre", Site::MlpPre),
    ("mlp.hook_pre_linear", Site::MlpPreLinear),
    ("mlp.hook_post", Site::MlpPost),
    ("ln2_post.hook_scale", Site::Ln2PostScale),
    ("ln2_post.hook_normalized", Site::Ln2PostNormalized),
    ("hook_mlp_out", Site::MlpOut),
    ("hook_resid_post", Site::ResidPost),
];

/// Sites before the blocks.
const BEFORE_BLOCKS: usize = 2;

/// The sites before the blocks, and those after them.
const OUTER_SITES: [(&str, Site); 5] = [
    ("hook_embed", Site::Embed),
    ("hook_pos_embed", Site::PosEmbed),
    ("ln_final.hook_scale", Site::FinalScale),
    ("ln_final.hook_normalized", Site::FinalNorm),
    ("logits", Site::Logits),
];

impl Site {
    /// Every site that a model with `layers` blocks may have, in the order in which the pass computes them.
    pub fn all(layers: u32) -> Vec<Site> {
        let blocks = (0..layers).flat_map(|n| BLOCK_SITES.iter().map(move |(_, site)| site(n)));
        let outer = OUTER_SITES.map(|(_, site)| site);
        let (before, after) = outer.split_at(BEFORE_BLOCKS);
        before.iter().copied().chain(blocks).chain(after.iter().copied()).collect()
    }

    /// The block this site belongs to, if any.
    pub fn layer(self) -> Option<u32> {
        use Site::*;
        match self {
            Embed | PosEmbed | FinalScale | FinalNorm | Logits => None,
            ResidPre(n) | Ln1Scale(n) | Ln1Normalized(n) | Q(n) | K(n) | V(n) | RotQ(n) | RotK(n) | AttnScores(n)
            | Pattern(n) | Z(n) | Result(n) | Ln1PostScale(n) | Ln1PostNormalized(n) | AttnOut(n) | ResidMid(n)
            | Ln2Scale(n) | Ln2Normalized(n) | MlpPre(n) | MlpPreLinear(n) | MlpPost(n) | Ln2PostScale(n)
            | Ln2PostNormalized(n) | MlpOut(n) | ResidPost(n) => Some(n),
        }
    }

    /// Checks that a model with `layers` blocks has the block of this site.
    pub fn check(self, layers: u32) -> std::result::Result<Site, UnknownSite> {
        match self.layer() {
            Some(n) if n >= layers => Err(UnknownSite {
                name: self.to_string(),
                hint: format!("this model has blocks 0 to {}", layers.saturating_sub(1)),
            }),
            _ => Ok(self),
        }
    }

    /// Whether the pass reaches `self` before `other`.
    pub fn is_before(self, other: Site) -> bool {
        self.place() < other.place()
    }

    /// Place in the order of the pass. (In blocks whose attention and MLP run side by side, the MLP's sites come after
    /// attention's all the same.)
    fn place(self) -> (u64, usize) {
        match self.layer() {
            Some(n) => {
                let at = BLOCK_SITES.iter().position(|(_, site)| site(n) == self);
                (u64::from(n) + 1, at.expect("a block's site is in BLOCK_SITES"))
            }
            None => {
                let at = OUTER_SITES.iter().position(|(_, site)| *site == self);
                let at = at.expect("a site outside the blocks is in OUTER_SITES");
                (if at < BEFORE_BLOCKS { 0 } else { u64::MAX }, at)
            }
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = OUTER_SITES.iter().find(|(_, site)| site == self) {
            return f.write_str(name);
        }
        let n = self.layer().expect("a site outside the blocks is in OUTER_SITES");
        let (name, _) =
            BLOCK_SITES.iter().find(|(_, site)| site(n) == *self).expect("a block's site is in BLOCK_SITES");
        write!(f, "blocks.{n}.{name}")
    }
}

/// A name that is no site of the model, with the nearest right one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no activation called \"{name}\": {hint}")]
pub struct UnknownSite {
    pub name: String,
    pub hint: String,
}

impl FromStr for Site {
    type Err = UnknownSite;

    fn from_str(name: &str) -> Result<Site, UnknownSite> {
        if let Some((_, site)) = OUTER_SITES.iter().find(|(known, _)| *known == name) {
            return Ok(*site);
        }
        if let Some((number, rest)) = name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'))
            && let Ok(n) = number.parse::<u32>()
        {
            if let Some((_, site)) = BLOCK_SITES.iter().find(|(known, _)| *known == rest) {
                return Ok(site(n));
            }
            let near = nearest(rest, BLOCK_SITES.iter().map(|(known, _)| known.to_string()));
            return Err(UnknownSite { name: name.into(), hint: format!("did you mean \"blocks.{n}.{near}\"?") });
        }
        let block_names = BLOCK_SITES.iter().map(|(known, _)| format!("blocks.0.{known}"));
        let near = nearest(name, OUTER_SITES.iter().map(|(known, _)| known.to_string()).chain(block_names));
        Err(UnknownSite { name: name.into(), hint: format!("did you mean \"{near}\"?") })
    }
}

/// The candidate with the smallest edit distance to `name`.
fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> String {
    // A hostile link may carry a name of any length; distances beyond the longest real name tell nothing.
    let typed: Vec<char> = name.chars().take(64).collect();
    candidates.min_by_key(|known| edit_distance(&typed, &known.chars().collect::<Vec<_>>())).unwrap_or_default()
}

/// Levenshtein distance.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

impl Serialize for Site {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Site {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Site, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_site_prints_a_name_that_parses_back() {
        let sites = Site::all(3);
        assert_eq!(sites.len(), OUTER_SITES.len() + 3 * BLOCK_SITES.len());
        assert!(sites.is_sorted_by(|a, b| a.is_before(*b)));
        for site in sites {
            assert_eq!(site.to_string().parse::<Site>(), Ok(site));
        }
    }

    #[test]
    fn names_are_transformer_lens_names() {
        assert_eq!(Site::ResidPost(12).to_string(), "blocks.12.hook_resid_post");
        assert_eq!(Site::Embed.to_string(), "hook_embed");
        assert_eq!(Site::FinalNorm.to_string(), "ln_final.hook_normalized");
        assert_eq!(Site::Pattern(3).to_string(), "blocks.3.attn.hook_pattern");
        assert_eq!(Site::MlpPost(0).to_string(), "blocks.0.mlp.hook_post");
    }

    #[test]
    fn a_wrong_name_gets_the_nearest_right_one() {
        let error = "blocks.3.hook_resid_pots".parse::<Site>().unwrap_err();
        assert_eq!(error.hint, "did you mean \"blocks.3.hook_resid_post\"?");
        let error = "hook_embedding".parse::<Site>().unwrap_err();
        assert_eq!(error.hint, "did you mean \"hook_embed\"?");
        assert!(Site::ResidPre(30).check(30).unwrap_err().hint.contains("0 to 29"));
    }
}
