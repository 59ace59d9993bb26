//! What the lens has found, and how it is drawn and saved.

mod course;
mod grid_figure;
mod table;
mod tuning;

pub use course::{Course, Scale, course_figure, most_rank};
pub use grid_figure::grid_figure;
pub use table::csv;
pub use tuning::tuning_sentence;

use serde::Serialize;
use tiller_protocol::{LensCell, LensLayer, LensText, Ranked};

/// The layers that have been read so far, the last block's output first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Findings {
    pub text: LensText,
    pub layers: Vec<LensLayer>,
}

/// Of which token a probability is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The layer's own most probable one.
    Own,
    /// The one that the model itself finds most probable, after its last block.
    Output,
    /// The one that comes next in the text.
    Next,
    /// A followed one, by its place.
    Followed(usize),
}

impl Findings {
    pub fn columns(&self) -> usize {
        self.text.tokens.len() - self.text.first as usize
    }

    /// The token under which a column stands.
    pub fn token(&self, column: usize) -> &str {
        &self.text.tokens[self.text.first as usize + column].text
    }

    /// What can be shown besides each layer's own guess: what it is, and what it is called.
    pub fn choices(&self) -> Vec<(Of, String)> {
        let followed = self.text.followed.iter().enumerate().filter(|(_, followed)| followed.tokens.len() == 1);
        let followed = followed.map(|(n, followed)| (Of::Followed(n), format!("“{}”", visible(&followed.text))));
        let own = [(Of::Output, "the model's answer".to_string()), (Of::Next, "the text's next token".to_string())];
        own.into_iter().chain(followed).collect()
    }
}

impl Of {
    /// As it is written into the page's markup.
    pub fn name(self) -> String {
        match self {
            Of::Own => "own".into(),
            Of::Output => "output".into(),
            Of::Next => "next".into(),
            Of::Followed(n) => format!("followed-{n}"),
        }
    }

    /// The natural log of the probability in a cell.
    pub fn log_prob(self, cell: &LensCell) -> Option<f32> {
        match self {
            Of::Own => cell.top.first().map(|top| top.log_prob),
            _ => self.ranked(cell).map(|ranked| ranked.log_prob),
        }
    }

    /// `None` for the layer's own guess, whose rank is always 1, and where there is none.
    pub fn ranked(self, cell: &LensCell) -> Option<&Ranked> {
        match self {
            Of::Own => None,
            Of::Output => Some(&cell.output),
            Of::Next => cell.next.as_ref(),
            Of::Followed(n) => cell.followed.get(n)?.as_ref(),
        }
    }
}

/// The place in the model at which a layer was read.
pub fn place(layer: &LensLayer) -> String {
    match layer.block {
        Some(block) => format!("after block {block}"),
        None => "embedding".into(),
    }
}

/// A token's text with what cannot be seen made visible.
pub fn visible(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' => '↵',
        '\t' => '⇥',
        ' ' => '␣',
        c if c.is_control() => '·',
        c => c,
    };
    if text.is_empty() { "(no text)".into() } else { text.chars().map(shown).collect() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tiller_protocol::{Alternative, Followed, PromptToken};

    fn ranked(text: &str, log_prob: f32, rank: u32) -> Ranked {
        Ranked { text: text.into(), log_prob, rank }
    }

    /// Two blocks over the last two of three tokens, one of which would be markup.
    pub fn findings() -> Findings {
        let token = |text: &str| PromptToken { id: 1, text: text.into() };
        let followed = |text: &str, tokens: &[&str]| Followed {
            text: text.into(),
            tokens: tokens.iter().map(|&token| token.into()).collect(),
        };
        let cell = |guess: &str, depth: u32, next: Option<Ranked>| LensCell {
            top: vec![Alternative { text: guess.into(), log_prob: -1.0 / (depth + 1) as f32 }],
            entropy: 2.5,
            output: ranked(" Paris", -(depth as f32), 1 + depth),
            next,
            followed: vec![Some(ranked("\"x\",<b>", -9.0, 40)), None],
        };
        let layer = |block: Option<u32>, depth: u32| LensLayer {
            block,
            cells: vec![cell("<i>", depth, Some(ranked(" is", -3.0, 7))), cell("a\n", depth, None)],
        };
        Findings {
            text: LensText {
                tokens: vec![token("The"), token("<b>&\"quoted\"</b>"), token(" is")],
                first: 1,
                blocks: 2,
                followed: vec![followed("\"x\",<b>", &["\"x\",<b>"]), followed("two words", &["two", " words"])],
            },
            layers: vec![layer(Some(1), 0), layer(Some(0), 1), layer(None, 2)],
        }
    }

    #[test]
    fn only_single_tokens_can_be_shown() {
        let names: Vec<String> = findings().choices().into_iter().map(|(of, _)| of.name()).collect();
        assert_eq!(names, ["output", "next", "followed-0"]);
    }

    #[test]
    fn what_cannot_be_seen_is_made_visible() {
        assert_eq!(visible(" a\n\t\u{7}"), "␣a↵⇥·");
        assert_eq!(visible(""), "(no text)");
    }
}
