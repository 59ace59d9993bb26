//! GPT-2's printable alphabet for bytes.

/// The bytes that a token of GPT-2's alphabet stands for. A character outside of it, which no such token should have,
/// stands for itself.
pub(super) fn to_bytes(token: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(token.len());
    for c in token.chars() {
        match byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// Printable Latin-1 characters stand for their own bytes. The bytes that are left, in order, are the characters from
/// U+0100 on (`bytes_to_unicode` in GPT-2's `encoder.py`).
fn byte(c: char) -> Option<u8> {
    let stands_for_itself = |code: u32| matches!(code, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let code = u32::from(c);
    match code {
        _ if stands_for_itself(code) => Some(code as u8),
        0x100..=0x120 => Some((code - 0x100) as u8),
        0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    #[test]
    fn every_byte_has_its_character() {
        let mut bytes: Vec<u8> = ByteLevel::alphabet().into_iter().filter_map(byte).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(to_bytes("ĠHéllo"), b" H\xe9llo");
        assert_eq!(to_bytes("Ċ"), b"\n");
        assert_eq!(to_bytes("日"), "日".as_bytes());
    }
}
