//! Archives of an SAE that are damaged or made to do harm: each gets an error, and none a panic or much memory.

mod measured_memory;

use measured_memory::peak_of;
use std::collections::BTreeMap;
use std::path::Path;
use tiller_formats::{ReadOptions, SaeFile, SaeFileError};

fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/saes");
    std::fs::read(folder.join(name).join("params.npz")).unwrap()
}

/// What reading gives, held to no more memory than the archive's size justifies.
fn read(archive: &[u8]) -> Result<SaeFile, SaeFileError> {
    let folder = BTreeMap::from([("params.npz".to_string(), archive.to_vec())]);
    let (found, peak) = peak_of(|| pollster::block_on(SaeFile::read(&folder, &ReadOptions::default())));
    assert!(peak < 100 * archive.len() + (4 << 20), "{peak} bytes for {}", archive.len());
    found
}

#[test]
fn every_truncation_is_an_error() {
    for name in ["gemma_scope", "gemma_scope_compressed"] {
        let archive = golden(name);
        assert!(read(&archive).is_ok());
        for len in 0..archive.len() {
            assert!(read(&archive[..len]).is_err(), "{name} of {len} bytes");
        }
    }
}

#[test]
fn no_changed_byte_does_harm() {
    for name in ["gemma_scope", "gemma_scope_compressed"] {
        let archive = golden(name);
        for at in 0..archive.len() {
            for value in [0, 0x7f, 0xff] {
                let mut changed = archive.clone();
                changed[at] = value;
                if let Err(error) = read(&changed) {
                    assert!(error.to_string().len() < 1000, "{error}");
                }
            }
        }
    }
}

#[test]
fn many_files_of_the_same_bytes_and_files_that_claim_too_much_are_refused() {
    let archive = golden("gemma_scope");
    let said = |archive: &[u8]| read(archive).unwrap_err().to_string();
    let start = archive.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    let end = archive.windows(4).position(|window| window == b"PK\x05\x06").unwrap();
    // The directory's first entry again and again.
    let entry_bytes = archive[start + 4..].windows(4).position(|window| window == b"PK\x01\x02").unwrap() + 4;
    let entry = &archive[start..start + entry_bytes];
    let mut many = archive[..start].to_vec();
    (0..500u16).for_each(|_| many.extend(entry));
    let size = (many.len() - start) as u32;
    let mut record = archive[end..].to_vec();
    record[8..10].copy_from_slice(&500u16.to_le_bytes());
    record[10..12].copy_from_slice(&500u16.to_le_bytes());
    record[12..16].copy_from_slice(&size.to_le_bytes());
    many.extend(record);
    let message = said(&many);
    assert!(message.contains("lie upon each other") || message.contains("longer than they can be"), "{message}");
    // A deflated file of as good as endless length.
    let mut claims = golden("gemma_scope_compressed");
    let start = claims.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    claims[start + 24..start + 28].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    assert!(said(&claims).contains("longer than they can be"), "{}", said(&claims));
    assert!(said(b"no archive").contains("no zip archive"), "{}", said(b"no archive"));
}
