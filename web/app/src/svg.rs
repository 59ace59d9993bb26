//! Pictures that stand for themselves: colours and fonts are in them, since no style sheet comes along.

/// The picture's own colours, as on the page by day.
pub const PAPER: &str = "#fbfaf7";
pub const INK: &str = "#1d1c1a";
pub const SOFT: &str = "#65625c";
pub const LINE: &str = "#e4e0d8";
pub const ACCENT: &str = "#0f6e6a";

/// A document of this size around `content`.
pub fn document(width: f64, height: f64, title: &str, content: &str) -> String {
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"Inter, system-ui, sans-serif\"><title>{title}</title>\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{PAPER}\"/>{content}</svg>"
    )
}

/// A line of text that ends, starts or is centred at x, by `anchor`.
pub fn text(x: f64, y: f64, size: f64, colour: &str, anchor: &str, words: &str) -> String {
    let words = escaped(words);
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{colour}\" text-anchor=\"{anchor}\" xml:space=\"preserve\">{words}</text>"
    )
}

/// Text as XML has it. What XML cannot hold at all becomes a dot.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('·'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("<b a=\"1\">&\u{0}\n</b>"), "&lt;b a=&quot;1&quot;&gt;&amp;··&lt;/b&gt;");
    }
}
