//! How much a visitor downloads before the model.

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Bytes of code that a visitor waits for before the page is drawn, compressed as every web server does: under a second
/// at 10 Mbit/s.
const PAGE_LIMIT: usize = 1_000_000;
/// Bytes of code in all. What the worker has beyond the page comes beside the model, which is thirty times as long.
const LIMIT: usize = 3_400_000;

/// Prints the size of each program and script of the page; an error if they are too large.
pub fn check(dist: &Path) -> Result<()> {
    let (mut page, mut total) = (0, 0);
    let mut names: Vec<_> = fs::read_dir(dist)
        .with_context(|| format!("cannot read {}", dist.display()))?
        .flatten()
        .map(|child| child.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "wasm" || kind == "js"))
        .collect();
    names.sort();
    println!("the page's code, compressed:");
    for path in names {
        let size = gzipped(&fs::read(&path)?)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        println!("  {size:>9} bytes  {name}");
        total += size;
        if name.starts_with("tiller-app") {
            page += size;
        }
    }
    println!("  {page:>9} bytes of at most {PAGE_LIMIT} before the page is drawn");
    println!("  {total:>9} bytes of at most {LIMIT}");
    ensure!(page <= PAGE_LIMIT, "the page waits for {page} bytes of code, and may for {PAGE_LIMIT}");
    ensure!(total > 0, "there is no code in {}", dist.display());
    ensure!(total <= LIMIT, "the page's code is {total} bytes compressed, and may have {LIMIT}");
    Ok(())
}

fn gzipped(bytes: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}
