//! Activations of many texts at one site, on disk: a safetensors file that is written row by row.
//!
//! `activations` [rows, width] f16, then `tokens`, `positions` and `texts` (each text's number, in the order of the file
//! of texts) [rows] u32; what was read is in the metadata.

use anyhow::{Context, anyhow, bail};
use half::f16;
use half::slice::HalfFloatSliceExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tiller_formats::{ByteSource, Dtype, FileSource, Quant, Safetensors};
use tiller_sae::train::{ActivationRows, of_usual_length};

/// Of the header, which is written last and padded with spaces: its numbers are known at the end only.
const HEADER_BYTES: usize = 4096;
const LENGTH_BYTES: usize = 8;
/// Rows that are read at a time.
const ROWS_AT_ONCE: usize = 4096;

/// What the activations are of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub model: String,
    pub model_file: String,
    pub site: String,
    /// Of the file of texts.
    pub texts_file: String,
    /// Which tokens were left out.
    pub left_out: String,
    /// Whether texts began with the model's BOS token: "true" or "false", as a header has only text.
    pub prepend_bos: String,
    /// Tokens in a text, at most.
    pub longest: String,
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

/// Activations in memory, of one file or of several of the same site.
pub struct Activations {
    pub about: About,
    width: usize,
    /// `[rows, width]`
    values: Vec<f16>,
    pub places: Vec<Place>,
    /// Activations of the files that are not here, because of their length.
    pub left_out: usize,
}

impl Activations {
    pub async fn read(paths: &[PathBuf]) -> anyhow::Result<Activations> {
        let mut all: Option<Activations> = None;
        for path in paths {
            let read = read_one(path).await.with_context(|| {
                format!("{} cannot be read as activations: give a file of `tiller sae harvest`", path.display())
            })?;
            match &mut all {
                None => all = Some(read),
                Some(all) => {
                    let same = |about: &About| (about.model.clone(), about.site.clone());
                    if same(&all.about) != same(&read.about) || all.width != read.width {
                        bail!("{} is of another model or site: give files of one", path.display());
                    }
                    all.values.extend(read.values);
                    all.places.extend(read.places);
                    all.about.texts_file = format!("{}, {}", all.about.texts_file, read.about.texts_file);
                }
            }
        }
        let mut all = all.context("there are no activations: give a file of `tiller sae harvest`")?;
        all.leave_out_longest();
        Ok(all)
    }

    /// Leaves out the few activations that are many times as long as the others.
    fn leave_out_longest(&mut self) {
        let kept = of_usual_length(self);
        self.left_out = self.rows() - kept.len();
        if self.left_out > 0 {
            let rows = kept.iter().map(|&i| &self.values[i * self.width..(i + 1) * self.width]);
            self.values = rows.flatten().copied().collect();
            self.places = kept.iter().map(|&i| self.places[i]).collect();
        }
    }
}

async fn read_one(path: &Path) -> anyhow::Result<Activations> {
    let source = FileSource::open(path)?;
    let header = Safetensors::read(&source).await?;
    let about = serde_json::from_value(serde_json::to_value(&header.metadata)?)?;
    let tensor = |name: &str| header.tensors.get(name).with_context(|| format!("it has no tensor \"{name}\""));
    let stored = tensor("activations")?;
    let &[rows, width] = stored.shape.as_slice() else { bail!("its activations are no matrix") };
    if stored.dtype != Dtype::Float(Quant::F16) || rows == 0 || width == 0 {
        bail!("it holds no activations in f16");
    }
    let mut values = Vec::with_capacity(rows * width);
    for first in (0..rows).step_by(ROWS_AT_ONCE) {
        let bytes = (rows - first).min(ROWS_AT_ONCE) * width * size_of::<f16>();
        let offset = stored.offset + (first * width * size_of::<f16>()) as u64;
        let bytes = source.read_at(offset, bytes).await?;
        values.extend(bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes)));
    }
    let mut columns = Vec::new();
    for name in ["tokens", "positions", "texts"] {
        let stored = tensor(name)?;
        if stored.shape != [rows] || stored.dtype != Dtype::Other("U32".into()) {
            bail!("its {name} are not one number for each activation");
        }
        let bytes = source.read_at(stored.offset, stored.bytes as usize).await?;
        columns.push(bytes.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect::<Vec<u32>>());
    }
    let place = |row: usize| Place { token: columns[0][row], position: columns[1][row], text: columns[2][row] };
    Ok(Activations { about, width, values, places: (0..rows).map(place).collect(), left_out: 0 })
}

impl ActivationRows for Activations {
    fn rows(&self) -> usize {
        self.places.len()
    }

    fn width(&self) -> usize {
        self.width
    }

    fn read(&self, row: usize, out: &mut [f32]) {
        self.values[row * self.width..(row + 1) * self.width].convert_to_f32_slice(out);
    }
}
