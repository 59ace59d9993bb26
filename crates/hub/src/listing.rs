//! What the hub says about a file before it is fetched.
//!
//! The ETag of an answer is no checksum to rely on: the hub's content network names files in several ways, one of which
//! looks like a sha256 and is not. The listing of a folder says plainly.

use crate::HubError;
use serde::Deserialize;

#[cfg(not(target_arch = "wasm32"))]
use crate::native::http as transport;
#[cfg(target_arch = "wasm32")]
use crate::web::fetch as transport;

/// A listing of a thousand files is some hundred kilobytes.
const MAX_BYTES: usize = 8 << 20;

/// Length and checksum of a file, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    pub bytes: Option<u64>,
    /// The hub has it for files it keeps outside git: all models.
    pub sha256: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "type", default)]
    kind: String,
    path: String,
    size: Option<u64>,
    lfs: Option<Pointer>,
}

#[derive(Deserialize)]
struct Pointer {
    oid: String,
}

impl Row {
    fn listed(self) -> (String, Listed) {
        let is_sha256 = |oid: &String| oid.len() == 64 && oid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let sha256 = self.lfs.map(|pointer| pointer.oid).filter(is_sha256);
        (self.path, Listed { bytes: self.size, sha256 })
    }
}

/// The body of an answer that is JSON; cut off where it is longer than any listing.
pub(crate) async fn read(mut answer: transport::Answer) -> Result<Vec<u8>, HubError> {
    let mut body = Vec::new();
    while let Some(bytes) = answer.next().await? {
        body.extend_from_slice(&bytes);
        if body.len() > MAX_BYTES {
            break;
        }
    }
    Ok(body)
}

/// Looks `file` up in a listing (JSON). Nothing is known of a file that is not there, as on a listing's later pages.
pub fn find(listing: &[u8], file: &str) -> Listed {
    files(listing).unwrap_or_default().into_iter().find(|(path, _)| path == file).map_or_else(Listed::default, |f| f.1)
}

/// All files of a listing (JSON), by path; `None` where it is none.
pub fn files(listing: &[u8]) -> Option<Vec<(String, Listed)>> {
    let rows: Vec<Row> = serde_json::from_slice(listing).ok()?;
    Some(rows.into_iter().filter(|row| row.kind != "directory").map(Row::listed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_with_its_length_and_checksum() {
        let sum = "0af".repeat(21) + "0";
        let listing = format!(
            r#"[{{"type":"directory","size":0,"oid":"x","path":"sub"}},
                {{"type":"file","oid":"g","size":3,"path":"README.md"}},
                {{"type":"file","oid":"p","size":9,"lfs":{{"oid":"{sum}","size":9,"pointerSize":130}},"path":"sub/m.gguf"}}]"#
        );
        let found = |file| find(listing.as_bytes(), file);
        assert_eq!(found("sub/m.gguf"), Listed { bytes: Some(9), sha256: Some(sum.clone()) });
        assert_eq!(found("README.md"), Listed { bytes: Some(3), sha256: None });
        assert_eq!(found("m.gguf"), Listed::default());
    }

    #[test]
    fn what_is_no_listing_says_nothing() {
        for text in ["", "<html>", "{}", r#"[{"path":3}]"#, r#"[{"path":"m","lfs":{"oid":"short"}}]"#] {
            assert_eq!(find(text.as_bytes(), "m"), Listed::default(), "{text}");
        }
    }
}
