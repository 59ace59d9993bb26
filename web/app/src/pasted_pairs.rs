//! Pairs from pasted lines: two columns parted by a tab, or by a comma as CSV has it.

use tiller_recipe::Pair;

/// The pairs in `text`; `None` when it is not a table of two columns (then it is pasted as plain text).
///
/// Tabs part columns wherever there are any. Commas do only where every line has exactly two columns: prose has commas
/// too.
pub fn pasted_pairs(text: &str) -> Option<Vec<Pair>> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let rows: Vec<Vec<String>> = if text.contains('\t') {
        lines.iter().map(|line| line.split('\t').map(|cell| unquoted(cell.trim())).collect()).collect()
    } else if lines.len() > 1 {
        lines.iter().map(|line| csv_cells(line)).collect()
    } else {
        return None;
    };
    let pair = |row: Vec<String>| match <[String; 2]>::try_from(row) {
        Ok([positive, negative]) => Some(Pair { positive, negative }),
        Err(_) => None,
    };
    let pairs: Option<Vec<Pair>> = rows.into_iter().map(pair).collect();
    pairs.filter(|pairs| !pairs.is_empty())
}

fn unquoted(cell: &str) -> String {
    let inner = cell.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.map_or_else(|| cell.to_string(), |inner| inner.replace("\"\"", "\""))
}

/// The cells of one line of CSV (RFC 4180, without line breaks inside quotes).
fn csv_cells(line: &str) -> Vec<String> {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                cell.push(c);
            }
            ',' if !quoted => cells.push(unquoted(std::mem::take(&mut cell).trim())),
            _ => cell.push(c),
        }
    }
    cells.push(unquoted(cell.trim()));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(positive: &str, negative: &str) -> Pair {
        Pair { positive: positive.into(), negative: negative.into() }
    }

    #[test]
    fn a_spreadsheet_is_pairs() {
        assert_eq!(
            pasted_pairs("yes, gladly\tno\nup\tdown\n"),
            Some(vec![pair("yes, gladly", "no"), pair("up", "down")])
        );
    }

    #[test]
    fn csv_keeps_what_is_quoted() {
        let text = "\"Well, yes\",no\r\n\"She said \"\"up\"\"\",down\n";
        assert_eq!(pasted_pairs(text), Some(vec![pair("Well, yes", "no"), pair("She said \"up\"", "down")]));
    }

    #[test]
    fn prose_is_not_a_table() {
        for text in ["", "Hello, you", "One line.\nAnother line.", "a,b\nc,d,e", "a\tb\tc"] {
            assert_eq!(pasted_pairs(text), None, "{text:?}");
        }
    }
}
