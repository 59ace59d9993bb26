//! What each part adds to the logit difference, as bars.

use super::Findings;
use crate::lens::visible;
use crate::svg::{INK, LINE, SOFT, document, text};
use tiller_protocol::AttributionShare;

/// Parts that are drawn; the others are one bar together.
pub const SHOWN: usize = 24;

/// The largest parts by size, and what the others come to together.
pub fn largest(shares: &[AttributionShare]) -> (Vec<AttributionShare>, Option<(usize, f64)>) {
    let mut sorted = shares.to_vec();
    sorted.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
    let rest = sorted.split_off(SHOWN.min(sorted.len()));
    let sum = (!rest.is_empty()).then(|| (rest.len(), rest.iter().map(|share| share.value).sum()));
    (sorted, sum)
}

pub fn bars_figure(found: &Findings) -> String {
    let Some(attribution) = &found.attribution else { return document(320.0, 60.0, "Nothing was found", "") };
    let (shares, rest) = largest(&attribution.shares);
    let mut bars: Vec<(String, f64)> = shares.into_iter().map(|share| (share.part, share.value)).collect();
    bars.extend(rest.map(|(count, sum)| (format!("{count} smaller ones"), sum)));
    let most = bars.iter().fold(1e-9, |most: f64, (_, value)| most.max(value.abs()));
    let (middle, reach, height) = (330.0, 170.0, 18.0);
    let answers = format!("{} less {}", visible(&found.of.answer), visible(&found.of.wrong));
    let title = format!("Logit of {answers}: {:.2}, as a sum", attribution.difference);
    let mut content = text(16.0, 28.0, 13.0, INK, "start", &title);
    content += &format!(
        "<line x1=\"{middle}\" x2=\"{middle}\" y1=\"44\" y2=\"{}\" stroke=\"{LINE}\"/>",
        44.0 + height * bars.len() as f64
    );
    for (row, (part, value)) in bars.iter().enumerate() {
        let y = 44.0 + height * row as f64;
        let length = reach * value.abs() / most;
        let (x, colour) = if *value < 0.0 { (middle - length, "#c2452d") } else { (middle, "#2b62c4") };
        content += &text(140.0, y + 13.0, 11.0, SOFT, "end", part);
        content += &format!(
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{}\" fill=\"{colour}\"/>",
            y + 2.0,
            height - 4.0
        );
        content += &text(middle + reach + 60.0, y + 13.0, 11.0, INK, "end", &format!("{value:+.2}"));
    }
    document(580.0, 60.0 + height * bars.len() as f64, &title, &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patching::tests::attributed;

    #[test]
    fn the_largest_come_first_and_the_others_are_summed() {
        let shares = attributed().attribution.unwrap().shares;
        let (shown, rest) = largest(&shares);
        assert_eq!(
            shown.iter().map(|share| share.part.as_str()).collect::<Vec<_>>(),
            ["MLP 1", "head 1.0", "embedding"]
        );
        assert_eq!(rest, None);
        let many: Vec<AttributionShare> =
            (0..30).map(|n| AttributionShare { value: f64::from(n), ..shares[0].clone() }).collect();
        assert_eq!(largest(&many).1, Some((6, 15.0)));
        assert_eq!(bars_figure(&attributed()).matches("<rect x=").count(), 3);
    }
}
