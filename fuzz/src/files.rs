//! Several files in one input.

/// What parts them.
pub const SEPARATOR: &[u8] = b"\n%%\n";

/// At most `count` files; the last is all that is left.
pub fn split_files(input: &[u8], count: usize) -> Vec<&[u8]> {
    let mut files = Vec::new();
    let mut rest = input;
    while files.len() + 1 < count
        && let Some(at) = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR)
    {
        files.push(&rest[..at]);
        rest = &rest[at + SEPARATOR.len()..];
    }
    files.push(rest);
    files
}
