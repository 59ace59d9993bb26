//! Activations of another run where that run left them.

use crate::RunCache;
use std::ops::Range;
use std::sync::Arc;
use tiller_sites::Site;

/// Activations of a [`RunCache`], by the position that they are for. On the GPU they never leave the device. Equal are
/// two of the same cache, not of equal numbers.
#[derive(Clone, Debug)]
pub struct CachedRows {
    pub cache: Arc<RunCache>,
    /// The captured site: as wide as the edited one. An edit of a part takes the same columns of it.
    pub site: Site,
    /// Positions in the edited sequence, ascending, each with a row of the cache ([`RunCache::row`]).
    pub rows: Arc<[(u32, u32)]>,
}

impl PartialEq for CachedRows {
    fn eq(&self, other: &CachedRows) -> bool {
        Arc::ptr_eq(&self.cache, &other.cache) && (self.site, &self.rows) == (other.site, &other.rows)
    }
}

/// The columns of them that an edit takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CachedPart {
    pub rows: CachedRows,
    pub columns: Range<u32>,
}

impl CachedPart {
    /// The activation for a position, where there is one, and its number among the rows. For caches on the host.
    pub fn at(&self, position: u32) -> Option<(usize, &[f32])> {
        let CachedRows { cache, site, rows } = &self.rows;
        let entry = rows.binary_search_by_key(&position, |&(at, _)| at).ok()?;
        let row = cache.host_row(*site, rows[entry].1 as usize)?;
        Some((entry, &row[self.columns.start as usize..self.columns.end as usize]))
    }
}
