//! The findings as a table of text.

use super::Findings;
use crate::csv::line;
use tiller_recipe::PatchQuestion;

/// A line for each cell or part, with a heading (RFC 4180).
pub fn csv(found: &Findings) -> String {
    match found.of.question {
        PatchQuestion::Attribution => {
            let shares = found.attribution.iter().flat_map(|attribution| &attribution.shares);
            let rows = shares.map(|share| vec![share.part.clone(), share.value.to_string()]);
            table(&["part", "logit_difference"], rows)
        }
        _ => {
            let Some(map) = found.map() else { return String::new() };
            let cells = map.rows.iter().flat_map(|(layer, cells)| {
                let known = cells.iter().zip(&map.heads).enumerate();
                known.filter_map(move |(column, (cell, head))| Some((*layer, column, head, cell.as_ref()?)))
            });
            let rows = cells.map(|(layer, column, head, cell)| {
                let controls: Vec<String> = cell.controls.iter().map(f64::to_string).collect();
                let perplexity = cell.perplexity.map(|factor| factor.to_string()).unwrap_or_default();
                let numbers = [cell.effect, cell.band(), cell.difference].map(|number| number.to_string());
                let place = [layer.to_string(), column.to_string(), head.clone()];
                place.into_iter().chain(numbers).chain([perplexity, controls.join(" ")]).collect()
            });
            let heading = ["layer", "column", "name", "effect", "largest_control", "logit_difference"];
            table(&[&heading[..], &["perplexity_factor", "controls"]].concat(), rows)
        }
    }
}

fn table(heading: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let heading: Vec<String> = heading.iter().map(|name| name.to_string()).collect();
    rows.fold(line(&heading), |table, row| table + &line(&row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patching::tests::{attributed, patched};

    #[test]
    fn each_cell_is_a_line() {
        let found = csv(&patched());
        let lines: Vec<&str> = found.lines().collect();
        assert_eq!(lines.len(), 1 + 3);
        assert_eq!(lines[1], r#"1,1,"␣<b> / ␣""x""",-0.3,0.1,-7,,"0.05 -0.1""#);
        let mut found = attributed();
        found.of.question = PatchQuestion::Attribution;
        assert_eq!(csv(&found).lines().nth(2), Some("\"head 1.0\",-2"));
    }
}
