//! Slices that go backwards: `messages[::-1]`.
//!
//! minijinja (2.24) panics where such a slice is taken of what is empty, and templates in use have it. It becomes a call
//! of the method `reversed`; any other slice that may go backwards is refused.

/// A bracket that is not closed yet.
struct Open {
    bracket: u8,
    at: usize,
    colons: usize,
    /// What comes after the second colon.
    step: usize,
}

/// The source without slices that go backwards, or why it cannot be written without.
pub(super) fn without_backward_slices(source: &str) -> Result<String, String> {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match rest.as_bytes().get(1) {
            Some(b'#') => rest.find("#}").unwrap_or(rest.len()),
            Some(b'{') => {
                rest = tag(rest, "}}", &mut out)?;
                continue;
            }
            Some(b'%') => {
                let inner = rest[2..].trim_start_matches(['-', '+']).trim_start();
                let raw =
                    inner.strip_prefix("raw").is_some_and(|after| after.trim_start().starts_with(['-', '+', '%']));
                match rest.find("endraw").filter(|_| raw) {
                    Some(end) => end,
                    None => {
                        rest = tag(rest, "%}", &mut out)?;
                        continue;
                    }
                }
            }
            _ => 1,
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Rewrites the tag that `source` begins with, up to its `end`; what is left of the source.
fn tag<'a>(source: &'a str, end: &str, out: &mut String) -> Result<&'a str, String> {
    let bytes = source.as_bytes();
    let mut open: Vec<Open> = Vec::new();
    out.push_str(&source[..2]);
    // Copied up to here.
    let mut copied = 2;
    let mut at = 2;
    while at < bytes.len() {
        let inside = open.last().map(|open| open.bracket);
        if source.is_char_boundary(at) && source[at..].starts_with(end) && inside != Some(b'{') {
            break;
        }
        match bytes[at] {
            quote @ (b'\'' | b'"') => {
                at += 1;
                while at < bytes.len() && bytes[at] != quote {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            bracket @ (b'[' | b'(' | b'{') => {
                out.push_str(&source[copied..at]);
                copied = at;
                open.push(Open { bracket, at, colons: 0, step: 0 });
            }
            b':' if inside == Some(b'[') => {
                if let Some(open) = open.last_mut() {
                    open.colons += 1;
                    open.step = at + 1;
                }
            }
            b']' | b')' | b'}' => match open.pop() {
                Some(Open { bracket: b'[', at: start, colons: 2.., step }) => {
                    let step = source[step..at].trim();
                    if source[start + 1..at].split_whitespace().collect::<String>() == "::-1" {
                        // Nothing within was a bracket: what is not copied yet begins with this one.
                        out.push_str(".reversed()");
                        copied = at + 1;
                    } else if !step.bytes().all(|byte| byte.is_ascii_digit()) {
                        return Err(format!("it goes backwards by \"{}\"", step.chars().take(100).collect::<String>()));
                    }
                }
                _ => {}
            },
            _ => {}
        }
        at += 1;
    }
    // A quote that is not closed may have led beyond the end, or into a character.
    let mut end = at.min(source.len());
    while !source.is_char_boundary(end) {
        end += 1;
    }
    out.push_str(&source[copied..end]);
    Ok(&source[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reversal_becomes_a_call_and_nothing_else_changes() {
        for (source, expected) in [
            ("{% for m in messages[::-1] %}", "{% for m in messages.reversed() %}"),
            ("{{ a[b[ : : -1 ][0]][1:] }}", "{{ a[b.reversed()[0]][1:] }}"),
            ("{{ (a + [b])[::-1][:2] }}", "{{ (a + [b]).reversed()[:2] }}"),
            ("{{ {'a': [x[::-1]]}.a }} [::-1]", "{{ {'a': [x.reversed()]}.a }} [::-1]"),
        ] {
            assert_eq!(without_backward_slices(source).as_deref(), Ok(expected));
        }
        for same in [
            "[::-1] { {# a[::-1] #} {{ '[::-1]' ~ \"\\\"[::-1]\" }}",
            "{% raw %}{{ it's a[::-1] }}{% endraw %}{{ a[::2] ~ a[1:2:3] ~ a[:] ~ a[-1:] }}",
            "{{ {'a': 1, 'b': {}} }} é {{ 'é",
            "{",
            "{{",
            "{{ 'a\\",
            "{{ a[",
            "{{ a]) }}",
        ] {
            assert_eq!(without_backward_slices(same).as_deref(), Ok(same));
        }
    }

    #[test]
    fn other_slices_that_may_go_backwards_are_refused() {
        for source in ["{{ a[::-2] }}", "{{ a[::n] }}", "{{ a[3::-1] }}", "{{ a[:3:-1] }}", "{% if a[::n - 1] %}"] {
            assert!(without_backward_slices(source).is_err(), "{source}");
        }
    }
}
