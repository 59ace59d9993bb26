//! What a pass is asked for besides its tokens: the sites to tap, the edits to make, and how far to go.

use crate::edit::{Condition, PlannedEdit};
use crate::features::FeatureReading;
use std::sync::Arc;
use tiller_kernels::TapRows;
use tiller_model::is_over_keys;
use tiller_sites::Site;

/// The shape of a pass: all that is fixed when a plan is recorded. What changes from step to step (tokens, positions,
/// coefficients) is in [`tiller_kernels::Step`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PassShape {
    pub taps: Vec<(Site, TapRows)>,
    /// Where there is one, the shape has no taps besides.
    pub features: Option<FeatureReading>,
    /// In the order in which they act; the index is the edit's slot.
    pub edits: Vec<PlannedEdit>,
    /// Keys for which scores and patterns have room, where a tap or an edit touches them; else 0.
    pub keys: u32,
    /// Penalty of tokens that the text already has; 1 for none.
    pub repetition_penalty: f32,
    /// The first so many blocks are run; what lies in the KV cache is whole only after all of them.
    pub blocks: usize,
    pub head: Head,
    /// Reads the logits of these tokens, and what makes log probabilities of them, after all taps.
    pub logits_of: Option<Arc<[u32]>>,
}

/// For which rows the unembedding is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// None: the pass ends after the last block.
    Skip,
    /// The picked rows, without drawing from them.
    Picks,
    /// Every row, without drawing.
    Rows,
    /// The picked rows; a token is drawn from each.
    Draw { alternatives: bool },
}

impl PassShape {
    /// How far the pass must go to reach every tap.
    pub fn to_tap(taps: Vec<(Site, TapRows)>, edits: Vec<PlannedEdit>, keys: u32) -> PassShape {
        let after_blocks = |rows| {
            let after = |site| matches!(site, Site::FinalScale | Site::FinalNorm | Site::Logits);
            taps.iter().any(|&(site, r)| after(site) && r == rows)
        };
        let head = match (after_blocks(TapRows::All), after_blocks(TapRows::Picks)) {
            (true, _) => Head::Rows,
            (false, true) => Head::Picks,
            (false, false) => Head::Skip,
        };
        // Nobody sees what the blocks after the last tap do: their edits, too, act on what comes later only.
        let blocks = match head {
            Head::Skip => taps.iter().filter_map(|(site, _)| site.layer()).max().map_or(0, |last| last as usize + 1),
            _ => usize::MAX,
        };
        PassShape { taps, edits, keys, repetition_penalty: 1.0, blocks, head, features: None, logits_of: None }
    }

    /// The shape of a pass that reads nothing but some tokens' logits, of every row or of the picked ones.
    pub fn to_logits(tokens: Arc<[u32]>, rows: TapRows, edits: Vec<PlannedEdit>, keys: u32) -> PassShape {
        let head = if rows == TapRows::All { Head::Rows } else { Head::Picks };
        let shape = PassShape::to_tap(Vec::new(), edits, keys);
        PassShape { blocks: usize::MAX, head, logits_of: Some(tokens), ..shape }
    }

    /// As far as the reading's site.
    pub fn to_features(reading: FeatureReading, edits: Vec<PlannedEdit>, keys: u32) -> PassShape {
        let blocks = reading.site.layer().map_or(0, |layer| layer as usize + 1);
        let features = Some(reading);
        PassShape {
            taps: Vec::new(),
            features,
            edits,
            keys,
            repetition_penalty: 1.0,
            blocks,
            head: Head::Skip,
            logits_of: None,
        }
    }

    /// Whether a step brings more back than the drawn tokens.
    pub fn reads(&self) -> bool {
        !self.taps.is_empty() || self.features.is_some() || self.logits_of.is_some()
    }

    /// Whether anything happens at `site`, so that its activation has to stand on its own.
    pub fn touches(&self, site: Site) -> bool {
        self.taps.iter().any(|&(s, _)| s == site)
            || self.features.as_ref().is_some_and(|reading| reading.site == site)
            || self.edits.iter().any(|edit| edit.site == site || reads(edit, site))
    }

    /// Whether anything happens at one of `sites`.
    pub fn touches_any(&self, sites: &[Site]) -> bool {
        sites.iter().any(|&site| self.touches(site))
    }
}

/// Whether the condition of `edit` reads `site`.
pub(crate) fn reads(edit: &PlannedEdit, site: Site) -> bool {
    let condition = edit.gate.as_ref().map(|gate| &gate.condition);
    matches!(condition, Some(Condition::Activation { site: read, .. }) if *read == site)
}

/// Keys for which scores and patterns need room in sequences of up to `tokens`: 0 where nothing touches them. In steps,
/// so that texts of different lengths share plans.
pub(crate) fn keys_for<'a>(sites: impl IntoIterator<Item = &'a Site>, tokens: u32) -> u32 {
    match sites.into_iter().any(|&site| is_over_keys(site)) {
        true => tokens.next_multiple_of(32),
        false => 0,
    }
}
