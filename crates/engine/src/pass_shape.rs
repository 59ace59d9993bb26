//! What a pass is asked for besides its tokens: the sites to tap, the edits to make, and how far to go.

use std::sync::Arc;
use tiller_kernels::TapRows;
use tiller_sites::Site;

/// The shape of a pass: all that is fixed when a plan is recorded. What changes from step to step (tokens, positions,
/// coefficients) is in [`tiller_kernels::Step`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PassShape {
    pub taps: Vec<(Site, TapRows)>,
    /// In the order in which they act; the index is the edit's slot.
    pub edits: Vec<(Site, Arc<[f32]>)>,
    pub head: Head,
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
    pub fn to_tap(taps: Vec<(Site, TapRows)>, edits: Vec<(Site, Arc<[f32]>)>) -> PassShape {
        let after_blocks =
            |rows| taps.iter().any(|&(site, r)| matches!(site, Site::FinalNorm | Site::Logits) && r == rows);
        let head = match (after_blocks(TapRows::All), after_blocks(TapRows::Picks)) {
            (true, _) => Head::Rows,
            (false, true) => Head::Picks,
            (false, false) => Head::Skip,
        };
        PassShape { taps, edits, head }
    }

    /// Whether anything happens at `site`, so that its activation has to stand on its own.
    pub fn touches(&self, site: Site) -> bool {
        self.taps.iter().any(|&(s, _)| s == site) || self.edits.iter().any(|(s, _)| *s == site)
    }
}
