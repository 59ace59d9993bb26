//! Trouble to order: what networks and hubs do now and then, made to happen when a test wants it.

use std::sync::Mutex;

/// One kind of trouble, at one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks once this many bytes of the answer's body are sent.
    Cut { after: u64 },
    /// The byte at this place in the file arrives inverted.
    Corrupt { at: u64 },
    /// The file is answered with this status instead (404 as the hub's "Entry not found", 429, 503 ...).
    Status(u16),
    /// 429, with the wait that the hub asks for.
    Busy { retry_after_s: u64 },
    /// Only who shows this access token gets the file: 401 without one, 403 with another.
    Gated { token: &'static str },
    /// Ranges are not understood: the whole file is sent, whatever was asked for.
    NoRanges,
    /// The body is sent no faster than this.
    Throttle { bytes_per_second: u64 },
}

impl Fault {
    /// Whether it comes instead of the file, and not as the file is sent.
    pub(crate) fn refuses(&self) -> bool {
        matches!(self, Fault::Status(_) | Fault::Busy { .. } | Fault::Gated { .. })
    }
}

/// The faults in force. Each has the part of a path it applies to (`owner/name/commit/file` for the hub's files,
/// `api/owner/name` for what it says about a repository, the path below `dist` for the page's) and how often it still
/// happens; only GETs count.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Rule>>);

#[derive(Debug)]
struct Rule {
    part_of_path: String,
    fault: Fault,
    left: Option<u32>,
}

impl Faults {
    /// From now on, at every request for a file whose path contains `part_of_path` (all files, if that is empty).
    pub fn always(&self, part_of_path: &str, fault: Fault) {
        self.add(part_of_path, fault, None);
    }

    /// At the first `times` requests only.
    pub fn times(&self, times: u32, part_of_path: &str, fault: Fault) {
        self.add(part_of_path, fault, Some(times));
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    fn add(&self, part_of_path: &str, fault: Fault, left: Option<u32>) {
        self.0.lock().unwrap().push(Rule { part_of_path: part_of_path.to_owned(), fault, left });
    }

    /// The faults of one request for `path`; those of limited number are thereby used up by one.
    pub(crate) fn strike(&self, path: &str, wanted: impl Fn(&Fault) -> bool) -> Vec<Fault> {
        let mut struck = Vec::new();
        for rule in self.0.lock().unwrap().iter_mut() {
            if rule.left != Some(0) && path.contains(&rule.part_of_path) && wanted(&rule.fault) {
                rule.left = rule.left.map(|left| left - 1);
                struck.push(rule.fault);
            }
        }
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limited_faults_are_used_up_and_others_stay() {
        let faults = Faults::default();
        faults.times(2, "model.gguf", Fault::Cut { after: 5 });
        faults.always("", Fault::Throttle { bytes_per_second: 9 });
        let strike = |path| faults.strike(path, |_| true).len();
        assert_eq!(
            (strike("a/model.gguf"), strike("a/other"), strike("a/model.gguf"), strike("a/model.gguf")),
            (2, 1, 2, 1)
        );
        faults.clear();
        assert_eq!(strike("a/model.gguf"), 0);
    }
}
