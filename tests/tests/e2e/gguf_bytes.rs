//! Small GGUF files written by hand, byte for byte, so that they can be wrong on purpose.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

const VERSION: u32 = 3;
const STRING: u32 = 8;
/// ggml's number for F32.
pub const F32: u32 = 0;

/// A header with one metadata key, `general.architecture`, and the given tensors (name, dimensions innermost first).
/// No tensor's data follows.
pub fn header(architecture: &str, tensors: &[(&str, &[u64])]) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend(1u64.to_le_bytes());
    bytes.extend(text("general.architecture"));
    bytes.extend(STRING.to_le_bytes());
    bytes.extend(text(architecture));
    for (name, dims) in tensors {
        bytes.extend(text(name));
        bytes.extend((dims.len() as u32).to_le_bytes());
        bytes.extend(dims.iter().flat_map(|dim| dim.to_le_bytes()));
        bytes.extend(F32.to_le_bytes());
        bytes.extend(0u64.to_le_bytes());
    }
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}
