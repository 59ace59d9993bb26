//! The `Range` header (RFC 9110, section 14), as far as file servers go: one range of bytes.

/// What a request wants of a file of a known length.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    /// First and last byte, inclusive, within the file.
    Part {
        first: u64,
        last: u64,
    },
    /// A range that begins behind the end: answered 416.
    Unsatisfiable,
}

/// A header that is not one well-formed range of bytes is ignored, as the RFC has it.
pub fn wanted(header: Option<&str>, length: u64) -> Wanted {
    header.and_then(|text| parse(text, length)).unwrap_or(Wanted::Whole)
}

fn parse(text: &str, length: u64) -> Option<Wanted> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    if first.is_empty() {
        let suffix: u64 = last.parse().ok()?;
        return Some(match suffix.min(length) {
            0 => Wanted::Unsatisfiable,
            tail => Wanted::Part { first: length - tail, last: length - 1 },
        });
    }
    let first: u64 = first.parse().ok()?;
    let last: u64 = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
    if last < first {
        return None;
    }
    Some(if first >= length { Wanted::Unsatisfiable } else { Wanted::Part { first, last: last.min(length - 1) } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_one_range() {
        assert_eq!(wanted(Some("bytes=0-3"), 10), Wanted::Part { first: 0, last: 3 });
        assert_eq!(wanted(Some("bytes=4-"), 10), Wanted::Part { first: 4, last: 9 });
        assert_eq!(wanted(Some("bytes=-4"), 10), Wanted::Part { first: 6, last: 9 });
        assert_eq!(wanted(Some("bytes=-40"), 10), Wanted::Part { first: 0, last: 9 });
        assert_eq!(wanted(Some("bytes=8-99"), 10), Wanted::Part { first: 8, last: 9 });
    }

    #[test]
    fn behind_the_end_is_unsatisfiable() {
        assert_eq!(wanted(Some("bytes=10-"), 10), Wanted::Unsatisfiable);
        assert_eq!(wanted(Some("bytes=-0"), 10), Wanted::Unsatisfiable);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn anything_else_is_ignored() {
        for header in [None, Some("bytes=5-2"), Some("bytes=0-1,4-5"), Some("items=0-1"), Some("bytes=a-b")] {
            assert_eq!(wanted(header, 10), Wanted::Whole, "{header:?}");
        }
    }
}
