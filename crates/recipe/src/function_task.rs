//! Tasks of single words, for function vectors: read from CSV, and those that come with the program.

use crate::schema::limits;

/// A word, and what the task makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordPair {
    pub input: String,
    pub output: String,
}

/// A task that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionTask {
    /// As commands have it.
    pub name: &'static str,
    csv: &'static str,
}

/// The tasks that come with the program, written for it: thirty pairs each.
pub const FUNCTION_TASKS: [FunctionTask; 6] = [
    FunctionTask { name: "country-capital", csv: include_str!("../data/functions/country-capital.csv") },
    FunctionTask { name: "singular-plural", csv: include_str!("../data/functions/singular-plural.csv") },
    FunctionTask { name: "antonym", csv: include_str!("../data/functions/antonym.csv") },
    FunctionTask { name: "english-french", csv: include_str!("../data/functions/english-french.csv") },
    FunctionTask { name: "present-past", csv: include_str!("../data/functions/present-past.csv") },
    FunctionTask { name: "lowercase-uppercase", csv: include_str!("../data/functions/lowercase-uppercase.csv") },
];

impl FunctionTask {
    pub fn named(name: &str) -> Option<&'static FunctionTask> {
        FUNCTION_TASKS.iter().find(|task| task.name == name)
    }

    pub fn pairs(&self) -> Vec<WordPair> {
        word_pairs(self.csv).unwrap_or_default()
    }
}

/// Why a table is no task. Each message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordPairsError {
    #[error("line {line} is no pair of words: write an input and its output on each line, parted by a comma")]
    NoPair { line: u64 },
    #[error("line {line} is too long: a word may have {limit} characters", limit = limits::NAME_CHARS)]
    LongWord { line: u64 },
    #[error("there are more than {limit} pairs: use fewer", limit = limits::ROWS)]
    TooMany,
}

/// The pairs of a table of inputs and outputs (CSV). A first line that says input,output is none.
pub fn word_pairs(table: &str) -> Result<Vec<WordPair>, WordPairsError> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).flexible(true).from_reader(table.as_bytes());
    let mut pairs = Vec::new();
    for record in reader.records() {
        let record =
            record.map_err(|error| WordPairsError::NoPair { line: error.position().map_or(1, csv::Position::line) })?;
        let line = record.position().map_or(1, csv::Position::line);
        let cells: Vec<&str> = record.iter().collect();
        let [input, output] = cells[..] else { return Err(WordPairsError::NoPair { line }) };
        if pairs.is_empty() && line == 1 && (input, output) == ("input", "output") {
            continue;
        }
        if input.is_empty() || output.is_empty() {
            return Err(WordPairsError::NoPair { line });
        }
        if input.chars().count().max(output.chars().count()) > limits::NAME_CHARS {
            return Err(WordPairsError::LongWord { line });
        }
        if pairs.len() == limits::ROWS {
            return Err(WordPairsError::TooMany);
        }
        pairs.push(WordPair { input: input.into(), output: output.into() });
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn shipped_tasks_have_thirty_pairs_each_input_once() {
        for task in FUNCTION_TASKS {
            let pairs = task.pairs();
            let inputs: BTreeSet<&str> = pairs.iter().map(|pair| pair.input.as_str()).collect();
            assert_eq!((pairs.len(), inputs.len()), (30, 30), "{}", task.name);
            assert_eq!(FunctionTask::named(task.name), Some(&task));
        }
    }

    #[test]
    fn what_is_no_pair_is_refused_by_its_line() {
        let pair = |input: &str, output: &str| WordPair { input: input.into(), output: output.into() };
        assert_eq!(word_pairs("input,output\na, b \n\n\"c, d\",e"), Ok(vec![pair("a", "b"), pair("c, d", "e")]));
        assert_eq!(word_pairs("a,b\nc\n"), Err(WordPairsError::NoPair { line: 2 }));
        assert_eq!(word_pairs("a,b,c"), Err(WordPairsError::NoPair { line: 1 }));
        assert_eq!(word_pairs("a,"), Err(WordPairsError::NoPair { line: 1 }));
        assert_eq!(word_pairs(&format!("a,{}", "b".repeat(10_000))), Err(WordPairsError::LongWord { line: 1 }));
        assert_eq!(word_pairs(&"a,b\n".repeat(limits::ROWS + 1)), Err(WordPairsError::TooMany));
        assert_eq!(word_pairs(""), Ok(Vec::new()));
    }
}
