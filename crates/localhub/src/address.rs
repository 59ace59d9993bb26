//! Paths that came over the network, made safe before any of them meets the file system.

use std::path::{Path, PathBuf};

/// A path below a folder which cannot name anything outside it, nor a hidden file in it.
///
/// Hidden files are refused because the cache keeps its own notes there (checksums, unfinished downloads).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafePath(String);

impl SafePath {
    /// `None` if any part is empty, begins with a dot, or holds a character that some file system gives a meaning.
    pub fn parse(text: &str) -> Option<Self> {
        text.split('/').all(is_plain_name).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn below(&self, folder: &Path) -> PathBuf {
        self.0.split('/').fold(folder.to_owned(), |path, part| path.join(part))
    }
}

/// Whether `name` is one ordinary component of a path on every system that this runs on.
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0'])
}

/// Percent-encodes a path for a `Location` header, leaving its slashes.
pub fn encode_path(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => encoded.push(byte as char),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_stay_below_their_folder() {
        let path = SafePath::parse("onnx/model v1.gguf").unwrap();
        assert_eq!(path.below(Path::new("/hub")), Path::new("/hub").join("onnx").join("model v1.gguf"));
    }

    #[test]
    fn nothing_climbs_out_or_finds_a_hidden_file() {
        for bad in ["", "/etc/passwd", "..", "a/../b", "a//b", "a/", ".git/config", "a/.x", "a\\..\\b", "C:/x", "a\0b"]
        {
            assert_eq!(SafePath::parse(bad), None, "{bad:?} should be refused");
        }
    }

    #[test]
    fn a_location_holds_no_raw_space() {
        assert_eq!(encode_path("a b/ü"), "a%20b/%C3%BC");
    }
}
