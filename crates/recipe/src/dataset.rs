//! Labelled texts, for probes: read from CSV, and those that come with the program.

use crate::schema::{at_most, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A text with its label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelledText {
    pub text: String,
    pub label: String,
    /// What it has in common with others, such as the template it was made of: texts of a group are kept together when
    /// some are held back for testing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// A dataset that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShippedDataset {
    /// As recipes and commands have it.
    pub name: &'static str,
    pub title: &'static str,
    /// One sentence: what the texts are, and what groups them.
    pub about: &'static str,
    csv: &'static str,
}

/// The datasets that come with the program, written for it.
pub const DATASETS: [ShippedDataset; 6] = [
    ShippedDataset {
        name: "sentiment",
        title: "Sentiment",
        about: "Praise and complaint in twelve sentences that end on the judgement; a group is a sentence.",
        csv: include_str!("../data/sentiment.csv"),
    },
    ShippedDataset {
        name: "truth",
        title: "True or false",
        about: "Simple statements that are true or false; a group is a subject, such as capitals or sums.",
        csv: include_str!("../data/truth.csv"),
    },
    ShippedDataset {
        name: "language",
        title: "French or English",
        about: "Sentences in French and in English; a group is a sentence in both.",
        csv: include_str!("../data/language.csv"),
    },
    ShippedDataset {
        name: "code",
        title: "Code or prose",
        about: "Lines of programs, and sentences on the same matter; a group is one of each.",
        csv: include_str!("../data/code.csv"),
    },
    ShippedDataset {
        name: "gender",
        title: "She or he",
        about: "Sentences on people at work, with a pronoun in their middle; a group is an occupation.",
        csv: include_str!("../data/gender.csv"),
    },
    ShippedDataset {
        name: "tense",
        title: "Past or present",
        about: "What somebody did or does, with the verb early in the sentence; a group is a verb.",
        csv: include_str!("../data/tense.csv"),
    },
];

impl ShippedDataset {
    pub fn named(name: &str) -> Option<&'static ShippedDataset> {
        DATASETS.iter().find(|dataset| dataset.name == name)
    }

    pub fn rows(&self) -> Vec<LabelledText> {
        labelled_texts(self.csv).unwrap_or_default()
    }
}

/// Why a table is no dataset. Each message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    #[error("the table has {found} bytes, and may have {limit}: use fewer or shorter texts")]
    TooLarge { found: usize, limit: usize },
    #[error("line {line} has {found}, where a text, its label and perhaps its group are wanted: {ADVICE}")]
    Columns { line: u64, found: String },
    #[error("line {line} has no {what}: fill it in, or remove the line")]
    Missing { line: u64, what: &'static str },
    #[error("line {line} is too long: a text may have {limit} characters", limit = limits::ROW_CHARS)]
    LongText { line: u64 },
    #[error("line {line} is one too many: there may be {limit} texts", limit = limits::ROWS)]
    TooMany { line: u64 },
    #[error("line {line} cannot be read ({what}): {ADVICE}")]
    Unreadable { line: u64, what: String },
    #[error("line {line} has a group where others have none: give every text a group, or none")]
    Groups { line: u64 },
    #[error("there is no column {name}: the first line has to name it, beside text and label")]
    NoColumn { name: String },
    #[error("there are no texts: {ADVICE}")]
    Empty,
    #[error("the labels are {found}, and a probe tells two apart: use two labels")]
    Labels { found: String },
}

const ADVICE: &str =
    "write a text and its label on each line, parted by a comma or a tab, with quotes around a text that has such";

/// The most that a table may have, in bytes.
const TABLE_BYTES: usize = 4 << 20;

/// The rows of a table of texts, labels and perhaps groups: CSV (RFC 4180), or with tabs where its first line has one. A
/// first line that names the columns (text, label, group) says their order.
///
/// Errors name the line: a row without text or label, too many or too long ones, groups on some rows only.
pub fn labelled_texts(table: &str) -> Result<Vec<LabelledText>, DatasetError> {
    rows_of(table, None)
}

/// As [`labelled_texts`], the groups from the column of this name, which the first line has to give.
pub fn labelled_texts_by(table: &str, group: &str) -> Result<Vec<LabelledText>, DatasetError> {
    rows_of(table, Some(group))
}

fn rows_of(table: &str, group: Option<&str>) -> Result<Vec<LabelledText>, DatasetError> {
    if table.len() > TABLE_BYTES {
        return Err(DatasetError::TooLarge { found: table.len(), limit: TABLE_BYTES });
    }
    let table = table.trim_start_matches('\u{feff}');
    let tabs = table.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.contains('\t'));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(if tabs { b'\t' } else { b',' })
        .trim(csv::Trim::All)
        .from_reader(table.as_bytes());
    let mut columns: Option<[Option<usize>; 3]> = None;
    // As many columns as the first line names; where it names none, three.
    let mut width = 3;
    let mut rows: Vec<LabelledText> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| DatasetError::Unreadable {
            line: error.position().map_or(1, csv::Position::line),
            what: error.to_string().chars().take(100).collect(),
        })?;
        let line = record.position().map_or(1, csv::Position::line);
        if record.iter().all(str::is_empty) {
            continue;
        }
        let Some(columns) = columns else {
            let names = ["text", "label", group.unwrap_or("group")];
            let named = names.map(|name| record.iter().position(|x| x.eq_ignore_ascii_case(name)));
            let has_names = named[0].is_some() && named[1].is_some();
            if let Some(group) = group.filter(|_| !has_names || named[2].is_none()) {
                return Err(DatasetError::NoColumn { name: group.chars().take(limits::NAME_CHARS).collect() });
            }
            columns = Some(if has_names { named } else { [Some(0), Some(1), (record.len() == 3).then_some(2)] });
            if has_names {
                width = record.len();
            } else {
                rows.push(row(&record, line, columns.unwrap_or_default(), width, rows.len())?);
            }
            continue;
        };
        let row = row(&record, line, columns, width, rows.len())?;
        if rows.first().is_some_and(|first| first.group.is_some() != row.group.is_some()) {
            return Err(DatasetError::Groups { line });
        }
        rows.push(row);
    }
    if rows.is_empty() { Err(DatasetError::Empty) } else { Ok(rows) }
}

fn row(
    record: &csv::StringRecord,
    line: u64,
    [text, label, group]: [Option<usize>; 3],
    width: usize,
    before: usize,
) -> Result<LabelledText, DatasetError> {
    if before == limits::ROWS {
        return Err(DatasetError::TooMany { line });
    }
    // A sentence with a comma that nobody quoted would else lose its end.
    if record.len() < 2 || record.len() > width {
        let found = match record.len() {
            1 => "one column".to_string(),
            n => format!("{n} columns"),
        };
        return Err(DatasetError::Columns { line, found });
    }
    let cell = |column: Option<usize>| column.and_then(|at| record.get(at)).unwrap_or_default();
    let (text, label) = (cell(text), cell(label));
    for (what, cell) in [("text", text), ("label", label)] {
        if cell.is_empty() {
            return Err(DatasetError::Missing { line, what });
        }
    }
    if text.chars().count() > limits::ROW_CHARS || label.chars().count() > limits::NAME_CHARS {
        return Err(DatasetError::LongText { line });
    }
    let group = Some(cell(group)).filter(|group| !group.is_empty()).map(|group| group.chars().take(limits::NAME_CHARS));
    Ok(LabelledText { text: text.into(), label: label.into(), group: group.map(Iterator::collect) })
}

/// The two labels, the first row's first: it is the one that a probe's scores rise to. Errors where there are not two.
pub fn classes(rows: &[LabelledText]) -> Result<[String; 2], DatasetError> {
    let first = rows.first().ok_or(DatasetError::Empty)?;
    let others: BTreeSet<&str> = rows.iter().map(|row| row.label.as_str()).filter(|&l| l != first.label).collect();
    let others: Vec<&str> = others.into_iter().collect();
    match others[..] {
        [other] => Ok([first.label.clone(), other.into()]),
        [] => Err(DatasetError::Labels { found: format!("all {:?}", first.label) }),
        _ => {
            let shown: Vec<String> = others.iter().take(5).map(|label| format!("{label:?}")).collect();
            Err(DatasetError::Labels { found: format!("{:?}, {}", first.label, shown.join(", ")) })
        }
    }
}

pub(crate) fn check_rows(rows: &[LabelledText]) -> Result<(), String> {
    at_most("labelled texts", rows.len(), limits::ROWS)?;
    for row in rows {
        at_most("labelled text", row.text.chars().count(), limits::ROW_CHARS)?;
        at_most("label of a text", row.label.chars().count(), limits::NAME_CHARS)?;
        at_most("group of a text", row.group.iter().map(|group| group.chars().count()).sum(), limits::NAME_CHARS)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str, label: &str, group: Option<&str>) -> LabelledText {
        LabelledText { text: text.into(), label: label.into(), group: group.map(Into::into) }
    }

    #[test]
    fn every_dataset_that_comes_along_is_usable() {
        for dataset in DATASETS {
            let rows = labelled_texts(dataset.csv).unwrap();
            assert!((60..=120).contains(&rows.len()), "{}: {}", dataset.name, rows.len());
            let [first, _] = classes(&rows).unwrap();
            let positive = rows.iter().filter(|row| row.label == first).count();
            assert_eq!(2 * positive, rows.len(), "{} is balanced", dataset.name);
            let groups: BTreeSet<&str> = rows.iter().map(|row| row.group.as_deref().unwrap()).collect();
            assert!(groups.len() >= 8, "{}: {groups:?}", dataset.name);
            let distinct: BTreeSet<&str> = rows.iter().map(|row| row.text.as_str()).collect();
            assert_eq!(distinct.len(), rows.len(), "{}", dataset.name);
            assert_eq!(ShippedDataset::named(dataset.name), Some(&dataset));
        }
    }

    #[test]
    fn columns_come_by_name_or_in_order_with_quotes_and_tabs() {
        let expected = vec![row("Well, yes", "a", None), row("She said \"no\"", "b", None)];
        assert_eq!(labelled_texts("\"Well, yes\",a\r\n\"She said \"\"no\"\"\",b\n\n"), Ok(expected.clone()));
        assert_eq!(labelled_texts("\u{feff}label,text\na,\"Well, yes\"\nb,\"She said \"\"no\"\"\""), Ok(expected));
        let grouped = vec![row("one, two", "a", Some("g")), row("three", "b", Some("h"))];
        assert_eq!(labelled_texts("one, two\ta\tg\nthree\tb\th"), Ok(grouped));
        assert_eq!(labelled_texts("\"two\nlines\",a").unwrap()[0].text, "two\nlines");
        let by_topic = labelled_texts_by("topic,text,label,group\nx,one,a,g", "topic").unwrap();
        assert_eq!(by_topic, [row("one", "a", Some("x"))]);
        assert!(labelled_texts_by("one,a,x", "topic").unwrap_err().to_string().contains("no column topic"));
    }

    #[test]
    fn errors_name_the_line() {
        let refusal = |table: &str| labelled_texts(table).unwrap_err().to_string();
        assert!(refusal("fine,a\njust words").contains("line 2 has one column"));
        assert!(refusal("fine,a\na, b, c, d").contains("line 2 has 4 columns"));
        assert!(refusal("fine,a\n ,b").contains("line 2 has no text"));
        assert!(refusal("fine,a\nx,").contains("line 2 has no label"));
        assert!(refusal("fine,a,g\nx,b").contains("line 2 has a group"));
        assert!(refusal("\n \n").contains("no texts"));
        assert!(refusal(&"x,a\n".repeat(limits::ROWS + 1)).contains(&format!("line {}", limits::ROWS + 1)));
        assert!(refusal(&format!("x,a\n{},b", "y".repeat(limits::ROW_CHARS + 1))).contains("line 2 is too long"));
        assert!(refusal(&"x".repeat(TABLE_BYTES + 1)).contains("bytes"));
    }

    #[test]
    fn a_probe_tells_two_labels_apart() {
        let of = |labels: &[&str]| classes(&labels.iter().map(|label| row("t", label, None)).collect::<Vec<_>>());
        assert_eq!(of(&["b", "a", "b"]), Ok(["b".into(), "a".into()]));
        assert!(of(&["a", "a"]).unwrap_err().to_string().contains("all \"a\""));
        assert!(of(&["a", "b", "c"]).unwrap_err().to_string().contains("\"b\", \"c\""));
        assert_eq!(of(&[]), Err(DatasetError::Empty));
    }
}
