//! The grid of guesses as a picture.

use super::{Findings, Of, place, visible};
use crate::svg::{ACCENT, INK, LINE, SOFT, document, text};

const CELL: (f64, f64) = (86.0, 22.0);
const NAMES: f64 = 108.0;
const HEAD: f64 = 56.0;
const MARGIN: f64 = 16.0;
/// Letters of a token that fit into a cell.
const LETTERS: usize = 12;

/// Each layer's most probable token for each position; the more probable `of` is, the deeper its colour.
pub fn grid_figure(found: &Findings, of: Of, of_name: &str) -> String {
    let (width, height) = CELL;
    let mut content = text(MARGIN, MARGIN + 12.0, 13.0, INK, "start", &format!("Colour: probability of {of_name}"));
    let left = |column: usize| MARGIN + NAMES + column as f64 * width;
    let top = |row: usize| HEAD + row as f64 * height;
    for column in 0..found.columns() {
        let token = short(found.token(column));
        content += &text(left(column) + width / 2.0, HEAD - 8.0, 11.0, SOFT, "middle", &token);
    }
    for (row, layer) in found.layers.iter().enumerate() {
        content += &text(MARGIN + NAMES - 8.0, top(row) + 15.0, 11.0, SOFT, "end", &place(layer));
        for (column, cell) in layer.cells.iter().enumerate() {
            let share = of.log_prob(cell).map_or(0.0, |log_prob| f64::from(log_prob).exp());
            let (x, y) = (left(column), top(row));
            content += &format!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{ACCENT}\" fill-opacity=\"{:.3}\" stroke=\"{LINE}\"/>",
                0.6 * share
            );
            let guess = cell.top.first().map(|guess| short(&guess.text)).unwrap_or_default();
            content += &text(x + width / 2.0, y + 15.0, 11.0, INK, "middle", &guess);
        }
    }
    let size = (left(found.columns()) + MARGIN, top(found.layers.len()) + MARGIN);
    document(size.0, size.1, "Logit lens: each layer's most probable next token", &content)
}

fn short(token: &str) -> String {
    let shown = visible(token);
    match shown.chars().count() > LETTERS {
        true => shown.chars().take(LETTERS - 1).chain(['…']).collect(),
        false => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lens::tests::findings;

    #[test]
    fn there_is_a_cell_for_each_guess_and_no_markup_of_tokens() {
        let figure = grid_figure(&findings(), Of::Output, "the model's answer");
        assert_eq!(figure.matches("stroke=").count(), 3 * 2);
        assert!(figure.contains(">&lt;b&gt;&amp;&quot;quot") && !figure.contains("<i>"), "{figure}");
        // Of the last block, the model's own answer has all of the probability in this example.
        assert!(figure.contains("fill-opacity=\"0.600\"") && figure.contains("fill-opacity=\"0.221\""));
    }
}
