//! Writing safetensors files.

use serde_json::{Map, json};
use std::collections::BTreeMap;

/// A tensor on its way into a file.
pub(crate) struct TensorToWrite {
    pub name: String,
    pub dtype: &'static str,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// The file with these tensors, each under a name of its own, and these texts as its metadata.
pub(crate) fn to_bytes(
    tensors: impl IntoIterator<Item = TensorToWrite>,
    metadata: &BTreeMap<String, String>,
) -> Vec<u8> {
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), json!(metadata));
    }
    let mut data = Vec::new();
    for TensorToWrite { name, dtype, shape, bytes } in tensors {
        let start = data.len();
        data.extend(bytes);
        header.insert(name, json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, data.len()] }));
    }
    let mut header = serde_json::to_vec(&header).expect("names and numbers");
    // Numbers begin at whole words, as the format recommends.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(data);
    file
}
