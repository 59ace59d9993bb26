//! Tables of text that spreadsheets read.

/// A record: its fields, quoted where they must be (RFC 4180).
pub fn line(fields: &[String]) -> String {
    let quoted: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
    quoted.join(",") + "\r\n"
}

/// A field that a spreadsheet would take for a formula is text by an apostrophe, as they write it themselves.
fn quoted(field: &str) -> String {
    let is_number = field.parse::<f64>().is_ok();
    let formula = !is_number && field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = if formula { format!("'{field}") } else { field.to_string() };
    match field.contains(['"', ',', '\n', '\r', ' ']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_do_not_become_formulas() {
        assert_eq!([quoted("=1+2"), quoted("-0.5"), quoted("-a"), quoted("@x")], ["'=1+2", "-0.5", "'-a", "'@x"]);
    }
}
