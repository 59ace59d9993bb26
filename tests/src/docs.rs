//! Tables in the documentation that tests have worked out.

use std::path::Path;

/// Holds a file of `docs/` against what a test has found. With `TILLER_WRITE_DOCS` set, writes it.
pub fn holds(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("TILLER_WRITE_DOCS").is_some() {
        std::fs::write(&path, found).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == found,
        "docs/{name} does not say what the tests found: run the tests once with TILLER_WRITE_DOCS=1, and look at the \
         difference"
    );
}
