//! The findings as a table of text.

use super::{Findings, place};
use crate::csv::line;
use tiller_protocol::Ranked;

/// A line for each cell, with a heading (RFC 4180). Probabilities are natural logs; the entropy is in nats.
pub fn csv(found: &Findings) -> String {
    let mut heading: Vec<String> = ["place", "position", "token", "guess", "guess_log_prob", "entropy"]
        .into_iter()
        .chain(["output", "output_log_prob", "output_rank", "next", "next_log_prob", "next_rank"])
        .map(String::from)
        .collect();
    for followed in &found.text.followed {
        heading.extend(["log_prob", "rank"].map(|what| format!("{what} of {}", followed.text)));
    }
    let mut lines = line(&heading);
    for layer in &found.layers {
        for (column, cell) in layer.cells.iter().enumerate() {
            let guess = cell.top.first();
            let position = found.text.first as usize + column;
            let mut fields = vec![place(layer), position.to_string(), found.token(column).to_string()];
            fields.push(guess.map(|guess| guess.text.clone()).unwrap_or_default());
            fields.push(guess.map(|guess| guess.log_prob.to_string()).unwrap_or_default());
            fields.push(cell.entropy.to_string());
            for ranked in [Some(&cell.output), cell.next.as_ref()] {
                fields.push(ranked.map(|ranked| ranked.text.clone()).unwrap_or_default());
                fields.extend(numbers(ranked));
            }
            cell.followed.iter().for_each(|ranked| fields.extend(numbers(ranked.as_ref())));
            lines += &line(&fields);
        }
    }
    lines
}

fn numbers(ranked: Option<&Ranked>) -> [String; 2] {
    ranked.map(|ranked| [ranked.log_prob.to_string(), ranked.rank.to_string()]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lens::tests::findings;

    #[test]
    fn each_cell_is_a_line_whatever_its_tokens_are() {
        let csv = csv(&findings());
        let lines: Vec<&str> = csv.split("\r\n").collect();
        assert_eq!(lines.len(), 1 + 3 * 2 + 1);
        assert!(
            lines[0].ends_with(
                r#""log_prob of ""x"",<b>","rank of ""x"",<b>","log_prob of two words","rank of two words""#
            )
        );
        let expected = r#""after block 1",1,"<b>&""quoted""</b>",<i>,-1,2.5," Paris",-0,1," is",-3,7,-9,40,,"#;
        assert_eq!(lines[1], expected);
        assert!(lines[2].contains("\"a\n\",-1,2.5") && lines[2].ends_with(",,,,-9,40,,"), "{}", lines[2]);
    }
}
