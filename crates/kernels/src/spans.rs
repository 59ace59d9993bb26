//! Attention by spans of keys: while a text is short, one workgroup goes through all of them; of a long one, every span
//! has its own, and a second dispatch merges them. Both compute the same numbers, so a step may take either.

use crate::step::Row;

/// Keys of a span, from the first that a row sees.
pub(crate) const SPAN: u32 = 256;

/// The most spans that one workgroup goes through where they could be apart.
const TOGETHER: u32 = 2;

/// The part of a dispatch in attention that may run either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// All spans of a row together.
    Together,
    /// A span each.
    Apart,
    /// Merging the spans that were apart.
    Merging,
}

/// A dispatch in attention that may run either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spans {
    pub share: Share,
    pub window: u32,
}

/// The most spans that a row can have whose sequence has up to `keys` keys.
pub(crate) fn most_spans(keys: u32, window: u32) -> u32 {
    keys.min(window).div_ceil(SPAN)
}

impl Spans {
    /// Whether a row of up to so many spans can ever have them apart.
    pub fn can_be_apart(most: u32) -> bool {
        most > TOGETHER
    }

    /// How often these rows need the dispatch's workgroups: 0 where they go the other way.
    pub fn times(self, rows: &[Row]) -> u32 {
        let longest = rows.iter().map(|row| row.position.saturating_add(1)).max().unwrap_or(0);
        let spans = most_spans(longest, self.window);
        match self.share {
            Share::Together => u32::from(spans <= TOGETHER),
            Share::Apart if spans > TOGETHER => spans,
            Share::Merging => u32::from(spans > TOGETHER),
            Share::Apart => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_exactly_one_way_and_a_window_keeps_it_short() {
        let rows = |position| [Row { position: 3, ..Row::default() }, Row { position, ..Row::default() }];
        let times = |position, window| {
            [Share::Together, Share::Apart, Share::Merging].map(|share| Spans { share, window }.times(&rows(position)))
        };
        assert_eq!(times(511, u32::MAX), [1, 0, 0]);
        assert_eq!(times(512, u32::MAX), [0, 3, 1]);
        assert_eq!(times(100_000, 512), [1, 0, 0]);
        assert_eq!(times(100_000, 513), [0, 3, 1]);
    }
}
