//! Activations of many texts at one site, on disk: a safetensors file that is written row by row.
//!
//! `activations` [rows, width] f16, then `tokens`, `positions` and `texts` (each text's number, in the order of the file
//! of texts) [rows] u32; what was read is in the metadata.

use anyhow::{anyhow, bail};
use half::f16;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Of the header, which is written last and padded with spaces: its numbers are known at the end only.
const HEADER_BYTES: usize = 4096;
const LENGTH_BYTES: usize = 8;
/// Rows that are converted at a time.
const ROWS_AT_ONCE: usize = 4096;

/// What the activations are of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub model: String,
    /// Of the model's file; empty where it is a folder.
    pub model_file: String,
    pub site: String,
    /// Of the file of texts.
    pub texts_file: String,
    /// Which tokens were left out.
    pub left_out: String,
}

/// One token of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub token: u32,
    pub position: u32,
    pub text: u32,
}

/// Activations being written.
pub struct ActivationsWriter {
    file: BufWriter<File>,
    path: PathBuf,
    width: usize,
    places: Vec<Place>,
}

impl ActivationsWriter {
    pub fn create(path: &Path, width: usize) -> anyhow::Result<ActivationsWriter> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(|error| unwritten(path, &error))?);
        file.write_all(&[b' '; LENGTH_BYTES + HEADER_BYTES]).map_err(|error| unwritten(path, &error))?;
        Ok(ActivationsWriter { file, path: path.into(), width, places: Vec::new() })
    }

    pub fn rows(&self) -> usize {
        self.places.len()
    }

    pub fn push(&mut self, place: Place, values: &[f32]) -> anyhow::Result<()> {
        assert_eq!(values.len(), self.width, "an activation has the width of its site");
        let bytes: Vec<u8> = values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
        self.places.push(place);
        self.file.write_all(&bytes).map_err(|error| unwritten(&self.path, &error))
    }

    /// Writes what stands beside the activations, and the header.
    pub fn finish(mut self, about: &About) -> anyhow::Result<()> {
        let rows = self.places.len();
        let mut header: BTreeMap<&str, serde_json::Value> = BTreeMap::new();
        header.insert("__metadata__", serde_json::to_value(about)?);
        let mut end = rows * self.width * size_of::<f16>();
        let place = serde_json::json!({"dtype": "F16", "shape": [rows, self.width], "data_offsets": [0, end]});
        header.insert("activations", place);
        let columns: [(&str, fn(&Place) -> u32); 3] =
            [("tokens", |p| p.token), ("positions", |p| p.position), ("texts", |p| p.text)];
        for (name, column) in columns {
            let offsets = [end, end + 4 * rows];
            header.insert(name, serde_json::json!({"dtype": "U32", "shape": [rows], "data_offsets": offsets}));
            end += 4 * rows;
            let bytes: Vec<u8> = self.places.iter().flat_map(|place| column(place).to_le_bytes()).collect();
            self.file.write_all(&bytes).map_err(|error| unwritten(&self.path, &error))?;
        }
        let header = serde_json::to_vec(&header)?;
        if header.len() > HEADER_BYTES {
            bail!("the names of the model and of the texts are too long to be written down: shorten them");
        }
        let mut written = || {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&(HEADER_BYTES as u64).to_le_bytes())?;
            self.file.write_all(&header)?;
            self.file.flush()
        };
        written().map_err(|error| unwritten(&self.path, &error))
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> anyhow::Error {
    anyhow!("{} could not be written ({error}): choose another place", path.display())
}

/// Activations in memory.
pub struct Activations {
    pub about: About,
    pub width: usize,
    /// `[rows, width]`
    pub values: Vec<f32>,
    pub places: Vec<Place>,
}
