//! What is asked of a server, and what the headers of its answer say: the same for every transport.

use tiller_sites::AccessToken;

/// A request for a file, or for a part of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub address: &'a str,
    /// The first byte wanted, and the one behind the last; to the file's end without.
    pub from: u64,
    pub to: Option<u64>,
    /// The version that the range is to be of. In a browser, only the answer is compared with it.
    #[cfg_attr(target_arch = "wasm32", allow(dead_code))]
    pub etag: Option<&'a str>,
    /// For the hub itself. Transports do not hand it to the servers that the hub sends them on to.
    pub token: Option<&'a AccessToken>,
}

impl<'a> Ask<'a> {
    pub fn whole(address: &'a str, token: Option<&'a AccessToken>) -> Ask<'a> {
        Ask { address, from: 0, to: None, etag: None, token }
    }

    /// The `Range` header, where not everything is wanted.
    pub fn range(&self) -> Option<String> {
        match (self.from, self.to) {
            (0, None) => None,
            (from, None) => Some(format!("bytes={from}-")),
            (from, Some(to)) => Some(format!("bytes={from}-{}", to.saturating_sub(1))),
        }
    }

    /// The `If-Range` header. A weak name does not say that the bytes are the same.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn if_range(&self) -> Option<&'a str> {
        self.range().and(self.etag).filter(|etag| !etag.starts_with("W/"))
    }
}

/// An answer without its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heading {
    pub status: u16,
    /// Bytes of the body, where the server says.
    pub length: Option<u64>,
    /// Where the body begins in the file, and how long the file is.
    pub range_start: Option<u64>,
    pub range_total: Option<u64>,
    pub etag: Option<String>,
    /// Seconds to wait before asking again.
    pub retry_after_s: Option<u64>,
    /// The hub's own word for why it refuses.
    pub error_code: Option<String>,
    /// Where a listing goes on.
    pub next_page: Option<String>,
}

impl Heading {
    pub fn read(status: u16, header: impl Fn(&str) -> Option<String>) -> Heading {
        let range = header("content-range");
        let (range_start, range_total) = range.as_deref().map_or((None, None), content_range);
        Heading {
            status,
            length: header("content-length").and_then(|length| length.parse().ok()),
            range_start,
            range_total,
            etag: header("etag"),
            // The other form, a date, would have to be compared with a clock that may be wrong.
            retry_after_s: header("retry-after").and_then(|seconds| seconds.trim().parse().ok()),
            error_code: header("x-error-code"),
            next_page: header("link").as_deref().and_then(next_page),
        }
    }
}

/// First byte and length of the whole, of a `Content-Range: bytes 5-9/10`.
fn content_range(header: &str) -> (Option<u64>, Option<u64>) {
    let Some(range) = header.strip_prefix("bytes ") else { return (None, None) };
    let start = range.split('-').next().and_then(|start| start.trim().parse().ok());
    let total = range.rsplit('/').next().and_then(|total| total.trim().parse().ok());
    (start, total)
}

/// The address in `Link: <address>; rel="next"` (RFC 8288).
fn next_page(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        parameters.contains("rel=\"next\"").then(|| address.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_nonsense_is_nothing() {
        let good = |name: &str| {
            let value = match name {
                "content-length" => "5",
                "content-range" => "bytes 5-9/10",
                "etag" => "\"v\"",
                "retry-after" => " 7",
                "x-error-code" => "GatedRepo",
                "link" => "<http://a/first>; rel=\"first\", <http://a/b?cursor=x>; rel=\"next\"",
                _ => return None,
            };
            Some(value.to_string())
        };
        let heading = Heading::read(206, good);
        assert_eq!((heading.length, heading.range_start, heading.range_total), (Some(5), Some(5), Some(10)));
        assert_eq!((heading.etag.as_deref(), heading.retry_after_s), (Some("\"v\""), Some(7)));
        assert_eq!(heading.next_page.as_deref(), Some("http://a/b?cursor=x"));

        let nonsense = Heading::read(206, |name| (name != "etag" && name != "x-error-code").then(|| "items <".into()));
        assert_eq!(nonsense, Heading { status: 206, ..Heading::default() });
        assert_eq!(content_range("bytes 5-9/*"), (Some(5), None));
    }

    #[test]
    fn a_range_is_written_as_servers_read_it() {
        let ask = |from, to| Ask { from, to, ..Ask::whole("", None) }.range();
        assert_eq!(ask(0, None), None);
        assert_eq!(ask(4, None).as_deref(), Some("bytes=4-"));
        assert_eq!(ask(0, Some(4)).as_deref(), Some("bytes=0-3"));
    }
}
