//! Attention step by step, where its scores or its pattern are looked at: what [`Recorder::attention`] does at once, in
//! three dispatches and with a matrix of scores.

use crate::act::{Act, Over};
use crate::grid::{Along, Grid};
use crate::kernel::Kernel;
use crate::kv_cache::{KeysAndValues, KvCache};
use crate::recorder::{Bound, Heads, Recorded, Recorder};

impl Recorder {
    /// Scores of each row's queries (the first `heads * head_dim` columns of `q`), scaled and capped:
    /// `[rows, heads * keys]`. Entry k of a head is for the key at position k of the row's own sequence; where the row
    /// may not see it (later keys, keys before the window), it is -1e30. A step with a position of `keys` or beyond is
    /// refused.
    pub fn attention_scores(&mut self, q: &Act, kv: &KvCache, layer: u32, heads: &Heads, keys: u32) -> Act {
        let y = self.scores_act(heads, keys);
        self.expect_queries(q, kv, heads);
        self.bounds.positions = self.bounds.positions.min(keys);
        let Some(cache) = self.cached(kv, layer) else { return y };
        self.recorded.push(Recorded {
            kernels: vec![Kernel::AttentionScores],
            dims: vec![
                heads.heads,
                heads.kv_heads,
                heads.head_dim,
                q.stride(),
                y.stride(),
                heads.scale.to_bits(),
                heads.cap_bits(),
                heads.window_or_all(),
                keys,
            ],
            bound: vec![Bound::Rows, self.bind(q), Bound::Memory(cache.keys), self.bind(&y)],
            grid: Grid { across: heads.heads.saturating_mul(keys.div_ceil(64)), along: Along::Rows },
        });
        y
    }

    /// The pattern: softmax over the scores that the row may see, exactly 0 elsewhere; in place.
    pub fn attention_softmax(&mut self, scores: Act, heads: &Heads, keys: u32) -> Act {
        self.expect_scores(&scores, heads, keys);
        self.recorded.push(Recorded {
            kernels: vec![Kernel::AttentionSoftmax],
            dims: vec![heads.heads, keys, heads.window_or_all(), scores.stride()],
            bound: vec![Bound::Rows, self.bind(&scores)],
            grid: Grid { across: heads.heads, along: Along::Rows },
        });
        scores
    }

    /// Values mixed as the pattern says, `[rows, heads * head_dim]`. Only the entries that the row may see are looked
    /// at: the cache holds nothing for the others.
    pub fn attention_mix(&mut self, pattern: &Act, kv: &KvCache, layer: u32, heads: &Heads, keys: u32) -> Act {
        let y = self.act(Over::Rows, heads.heads * heads.head_dim);
        self.expect_scores(pattern, heads, keys);
        self.expect_heads(kv, heads);
        let Some(KeysAndValues { values, .. }) = self.cached(kv, layer) else { return y };
        self.recorded.push(Recorded {
            kernels: vec![Kernel::AttentionMix],
            dims: vec![
                heads.heads,
                heads.kv_heads,
                heads.head_dim,
                pattern.stride(),
                y.stride(),
                heads.window_or_all(),
                keys,
            ],
            bound: vec![Bound::Rows, self.bind(pattern), Bound::Memory(values), self.bind(&y)],
            grid: Grid { across: heads.heads, along: Along::Rows },
        });
        y
    }

    fn scores_act(&mut self, heads: &Heads, keys: u32) -> Act {
        let width = u64::from(heads.heads) * u64::from(keys);
        let fits = keys > 0 && width <= u64::from(u32::MAX / 2);
        self.expect(fits, || format!("scores of {} heads for {keys} keys", heads.heads));
        self.act(Over::Rows, if fits { width as u32 } else { 1 })
    }

    fn expect_scores(&mut self, scores: &Act, heads: &Heads, keys: u32) {
        let fits = u64::from(scores.width()) == u64::from(heads.heads) * u64::from(keys);
        self.expect(scores.over == Over::Rows && fits, || {
            format!("scores of {} heads for {keys} keys in width {}", heads.heads, scores.width())
        });
        self.bounds.positions = self.bounds.positions.min(keys);
    }
}
