//! How tokens come up through the layers, at one position.

use super::{Findings, Of};
use crate::svg::{INK, LINE, SOFT, document, text};

/// What is drawn against the layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// 0 to 1.
    #[default]
    Probability,
    /// 1 at the top, by powers of ten.
    Rank,
}

/// A token's way through the layers: by row from the embedding on, 0 (bottom) to 1 (top).
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    pub of: Of,
    pub name: String,
    pub heights: Vec<f64>,
}

/// Colours and dashes, so that lines can be told apart by either.
const LINES: [(&str, &str); 8] = [
    ("#0f6e6a", ""),
    ("#2b62c4", "6 3"),
    ("#a3341f", "2 3"),
    ("#7a4fb5", "8 3 2 3"),
    ("#9a6a00", "4 2"),
    ("#b0307c", "1 2"),
    ("#4d6b1f", "10 4"),
    ("#5a5a5a", "3 6"),
];

impl Course {
    /// The courses at `column`, from the embedding to the last block.
    pub fn at(found: &Findings, column: usize, scale: Scale) -> Vec<Course> {
        let most = f64::from(most_rank(found, column)).log10().max(1.0);
        let height = |log_prob: f32, rank: u32| match scale {
            Scale::Probability => f64::from(log_prob).exp(),
            Scale::Rank => 1.0 - f64::from(rank).log10() / most,
        };
        let course = |(of, name): (Of, String)| {
            let rows = found.layers.iter().rev();
            let heights: Option<Vec<f64>> = rows
                .map(|layer| of.ranked(layer.cells.get(column)?).map(|ranked| height(ranked.log_prob, ranked.rank)))
                .collect();
            Some(Course { of, name, heights: heights.filter(|heights| !heights.is_empty())? })
        };
        found.choices().into_iter().filter_map(course).collect()
    }

    /// Colour, and dashes as SVG has them.
    pub fn line(&self) -> (&'static str, &'static str) {
        LINES[match self.of {
            Of::Own | Of::Output => 0,
            Of::Next => 1,
            Of::Followed(n) => 2 + n % (LINES.len() - 2),
        }]
    }

    /// The points of a polyline in a field of this size.
    pub fn points(&self, width: f64, height: f64) -> String {
        let last = (self.heights.len() - 1).max(1) as f64;
        let point = |(n, y): (usize, &f64)| format!("{:.1},{:.1}", n as f64 / last * width, (1.0 - y) * height);
        self.heights.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
    }
}

/// The lowest place that any of the tokens has.
pub fn most_rank(found: &Findings, column: usize) -> u32 {
    let cells = found.layers.iter().filter_map(|layer| layer.cells.get(column));
    let ranks = cells.flat_map(|cell| {
        let followed = cell.followed.iter().flatten();
        [Some(&cell.output), cell.next.as_ref()].into_iter().flatten().chain(followed).map(|ranked| ranked.rank)
    });
    ranks.max().unwrap_or(1)
}

/// The courses as a picture of their own.
pub fn course_figure(found: &Findings, column: usize, scale: Scale) -> String {
    let courses = Course::at(found, column, scale);
    let (left, top, width, height) = (56.0, 48.0, 560.0, 240.0);
    let about = format!("The next token after “{}”, layer by layer", super::visible(found.token(column)));
    let mut content = text(16.0, 26.0, 14.0, INK, "start", &about);
    let (high, low) = match scale {
        Scale::Probability => ("100 %".to_string(), "0 %".to_string()),
        Scale::Rank => ("rank 1".to_string(), format!("rank {}", most_rank(found, column))),
    };
    for (y, label) in [(0.0, high), (1.0, low)] {
        let y = top + y * height;
        content += &format!("<path d=\"M{left} {y}h{width}\" stroke=\"{LINE}\" fill=\"none\"/>");
        content += &text(left - 8.0, y + 4.0, 11.0, SOFT, "end", &label);
    }
    let under = top + height + 18.0;
    content += &text(left, under, 11.0, SOFT, "start", "embedding");
    content += &text(left + width, under, 11.0, SOFT, "end", &format!("block {}", found.text.blocks.saturating_sub(1)));
    for (n, course) in courses.iter().enumerate() {
        let (colour, dashes) = course.line();
        let points = course.points(width, height);
        content += &format!(
            "<polyline transform=\"translate({left} {top})\" points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>"
        );
        let y = under + 22.0 + n as f64 * 18.0;
        content += &format!(
            "<path d=\"M{left} {}h28\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>",
            y - 4.0
        );
        content += &text(left + 36.0, y, 12.0, INK, "start", &course.name);
    }
    document(left + width + 16.0, under + 30.0 + courses.len() as f64 * 18.0, &about, &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lens::tests::findings;

    #[test]
    fn courses_go_from_the_embedding_up() {
        let found = findings();
        let courses = Course::at(&found, 0, Scale::Probability);
        assert_eq!(courses.iter().map(|course| course.of).collect::<Vec<_>>(), [Of::Output, Of::Next, Of::Followed(0)]);
        let expected = [(-2f64).exp(), (-1f64).exp(), 1.0];
        assert!(courses[0].heights.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{courses:?}");
        assert_eq!(courses[0].points(100.0, 10.0).split(' ').next_back(), Some("100.0,0.0"));
        // The text's last token has none after it.
        assert_eq!(Course::at(&found, 1, Scale::Probability).len(), 2);
    }

    #[test]
    fn ranks_stand_on_powers_of_ten() {
        let courses = Course::at(&findings(), 0, Scale::Rank);
        assert_eq!(most_rank(&findings(), 0), 40);
        assert_eq!(courses[0].heights[2], 1.0);
        assert!((courses[2].heights[0] - 0.0).abs() < 1e-9, "the lowest is at the bottom");
    }

    #[test]
    fn the_picture_holds_each_course() {
        let figure = course_figure(&findings(), 0, Scale::Rank);
        assert_eq!(figure.matches("<polyline").count(), 3);
        assert!(figure.contains("rank 40") && !figure.contains("<b>"), "{figure}");
    }
}
