//! Activation sites, under TransformerLens's names.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A named activation of the forward pass. Every site is `[tokens, d_model]`, except [`Site::Logits`], which is
/// `[tokens, vocabulary]`. Layers count from 0.
///
/// Sites print and parse under the names that TransformerLens uses (`blocks.12.hook_resid_post`), because that is what
/// people type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// `hook_embed`: the token embedding, before the first block.
    Embed,
    /// `blocks.N.hook_resid_pre`: the residual stream that enters block N.
    ResidPre(u32),
    /// `blocks.N.hook_attn_out`: what attention adds to the residual stream.
    AttnOut(u32),
    /// `blocks.N.hook_resid_mid`: the residual stream between attention and MLP.
    ResidMid(u32),
    /// `blocks.N.hook_mlp_out`: what the MLP adds to the residual stream.
    MlpOut(u32),
    /// `blocks.N.hook_resid_post`: the residual stream that leaves block N.
    ResidPost(u32),
    /// `ln_final.hook_normalized`: the residual stream divided by its root mean square, before the norm's gain.
    FinalNorm,
    /// `logits`: the unembedding's output.
    Logits,
}

/// The sites that every block has, in the order of the pass: the one table from which names are printed and parsed.
const BLOCK_SITES: [(&str, fn(u32) -> Site); 5] = [
    ("hook_resid_pre", Site::ResidPre),
    ("hook_attn_out", Site::AttnOut),
    ("hook_resid_mid", Site::ResidMid),
    ("hook_mlp_out", Site::MlpOut),
    ("hook_resid_post", Site::ResidPost),
];

/// The sites outside the blocks.
const OUTER_SITES: [(&str, Site); 3] =
    [("hook_embed", Site::Embed), ("ln_final.hook_normalized", Site::FinalNorm), ("logits", Site::Logits)];

impl Site {
    /// Every site of a model with `layers` blocks, in the order in which the pass computes them.
    pub fn all(layers: u32) -> Vec<Site> {
        let blocks = (0..layers).flat_map(|n| BLOCK_SITES.iter().map(move |(_, site)| site(n)));
        std::iter::once(Site::Embed).chain(blocks).chain([Site::FinalNorm, Site::Logits]).collect()
    }

    /// The block this site belongs to, if any.
    pub fn layer(self) -> Option<u32> {
        match self {
            Site::ResidPre(n) | Site::AttnOut(n) | Site::ResidMid(n) | Site::MlpOut(n) | Site::ResidPost(n) => Some(n),
            Site::Embed | Site::FinalNorm | Site::Logits => None,
        }
    }

    /// Checks that a model with `layers` blocks has this site.
    pub fn check(self, layers: u32) -> Result<Site, UnknownSite> {
        match self.layer() {
            Some(n) if n >= layers => Err(UnknownSite {
                name: self.to_string(),
                hint: format!("this model has blocks 0 to {}", layers.saturating_sub(1)),
            }),
            _ => Ok(self),
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
        assert_eq!(sites.len(), 3 + 3 * BLOCK_SITES.len());
        for site in sites {
            assert_eq!(site.to_string().parse::<Site>(), Ok(site));
        }
    }

    #[test]
    fn names_are_transformer_lens_names() {
        assert_eq!(Site::ResidPost(12).to_string(), "blocks.12.hook_resid_post");
        assert_eq!(Site::Embed.to_string(), "hook_embed");
        assert_eq!(Site::FinalNorm.to_string(), "ln_final.hook_normalized");
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
