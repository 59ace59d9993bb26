//! What activation patching puts from one run into another, and which way round.

use crate::Site;
use crate::choice::{UnknownChoice, named};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The activations that are patched, one at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchPlace {
    /// The residual stream that enters a block, at one token.
    ResidPre,
    /// What a block's attention adds, at one token.
    AttnOut,
    /// The residual stream between attention and MLP, at one token.
    ResidMid,
    /// What a block's MLP adds, at one token.
    MlpOut,
    /// The residual stream that leaves a block, at one token.
    #[default]
    ResidPost,
    /// What one head has mixed, at every token.
    Heads,
    /// What one head has mixed, at the last token.
    HeadsAtLast,
}

/// Which run is changed, and which one the patches come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchDirection {
    /// The corrupt run gets activations of the clean one: what is enough to bring the answer back.
    #[default]
    Denoise,
    /// The clean run gets activations of the corrupt one: what the answer cannot do without.
    Noise,
}

impl PatchPlace {
    pub const ALL: [PatchPlace; 7] = [
        PatchPlace::ResidPre,
        PatchPlace::AttnOut,
        PatchPlace::ResidMid,
        PatchPlace::MlpOut,
        PatchPlace::ResidPost,
        PatchPlace::Heads,
        PatchPlace::HeadsAtLast,
    ];

    pub fn name(self) -> &'static str {
        match self {
            PatchPlace::ResidPre => "resid-pre",
            PatchPlace::AttnOut => "attn-out",
            PatchPlace::ResidMid => "resid-mid",
            PatchPlace::MlpOut => "mlp-out",
            PatchPlace::ResidPost => "resid-post",
            PatchPlace::Heads => "heads",
            PatchPlace::HeadsAtLast => "heads-at-last",
        }
    }

    /// The site of block `layer` that is patched.
    pub fn site(self, layer: u32) -> Site {
        match self {
            PatchPlace::ResidPre => Site::ResidPre(layer),
            PatchPlace::AttnOut => Site::AttnOut(layer),
            PatchPlace::ResidMid => Site::ResidMid(layer),
            PatchPlace::MlpOut => Site::MlpOut(layer),
            PatchPlace::ResidPost => Site::ResidPost(layer),
            PatchPlace::Heads | PatchPlace::HeadsAtLast => Site::Z(layer),
        }
    }

    /// Whether the columns of the map are heads; they are positions otherwise.
    pub fn is_by_head(self) -> bool {
        matches!(self, PatchPlace::Heads | PatchPlace::HeadsAtLast)
    }
}

impl PatchDirection {
    pub const ALL: [PatchDirection; 2] = [PatchDirection::Denoise, PatchDirection::Noise];

    pub fn name(self) -> &'static str {
        match self {
            PatchDirection::Denoise => "denoise",
            PatchDirection::Noise => "noise",
        }
    }
}

impl fmt::Display for PatchPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for PatchDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PatchPlace {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<PatchPlace, UnknownChoice> {
        named(name, &PatchPlace::ALL, PatchPlace::name)
    }
}

impl FromStr for PatchDirection {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<PatchDirection, UnknownChoice> {
        named(name, &PatchDirection::ALL, PatchDirection::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_are_those_of_documents() {
        for place in PatchPlace::ALL {
            assert_eq!(place.name().parse::<PatchPlace>(), Ok(place));
            assert_eq!(serde_json::to_value(place).unwrap(), place.name());
        }
        for direction in PatchDirection::ALL {
            assert_eq!(direction.name().parse::<PatchDirection>(), Ok(direction));
            assert_eq!(serde_json::to_value(direction).unwrap(), direction.name());
        }
        let error = "resid".parse::<PatchPlace>().unwrap_err().to_string();
        assert!(error.contains("resid-post, heads"), "{error}");
    }
}
