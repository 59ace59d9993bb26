//! A model's weights on a device, and how they get there from a file.

use crate::backend::{Device, Norm};
use crate::cpu::{Cpu, CpuMatrix};
use crate::{Controls, EngineError};
use tiller_formats::{ByteSource, Gguf, TensorInfo};
use tiller_model::ModelConfig;

/// Bytes read at once: what loading holds in memory besides the weights themselves.
const CHUNK_BYTES: usize = 2 << 20;

pub(crate) struct Weights<D: Device> {
    /// `[vocabulary, d_model]`.
    pub embedding: D::Matrix,
    pub blocks: Vec<Block<D>>,
    pub final_norm: Norm<D::Vector>,
    /// The final norm with a gain of one.
    pub final_norm_without_gain: Norm<D::Vector>,
    /// `None` where the embedding serves (tied).
    pub unembedding: Option<D::Matrix>,
}

pub(crate) struct Block<D: Device> {
    pub attention_norm: Norm<D::Vector>,
    /// Queries, keys and values below one another; one matrix where they are quantised alike.
    pub qkv: Vec<D::Matrix>,
    pub qkv_bias: Option<D::Vector>,
    pub out: D::Matrix,
    pub out_bias: Option<D::Vector>,
    pub mlp_norm: Norm<D::Vector>,
    /// Gate and up-projection below one another.
    pub gate_up: Vec<D::Matrix>,
    pub down: D::Matrix,
}

impl<D: Device> Weights<D> {
    /// Streams the weights from `source` to `device`, a chunk at a time. `progress` is told the bytes read so far and
    /// in all.
    pub async fn load<S: ByteSource>(
        device: &D,
        gguf: &Gguf,
        config: &ModelConfig,
        source: &S,
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
    ) -> Result<Weights<D>, EngineError> {
        let total = gguf.tensors.values().map(|tensor| tensor.bytes).sum();
        let mut loader = Loader { device, gguf, source, controls, progress, done: 0, total };
        let epsilon = config.norm_eps;

        let embedding = loader.matrix("token_embd.weight").await?;
        let mut blocks = Vec::with_capacity(config.layers as usize);
        for n in 0..config.layers {
            let name = |part: &str| format!("blk.{n}.{part}");
            let [q, k, v] = ["attn_q", "attn_k", "attn_v"].map(name);
            blocks.push(Block {
                attention_norm: Norm { gain: loader.vector(&name("attn_norm.weight")).await?, epsilon },
                qkv: loader.stacked(&[&q, &k, &v].map(|part| format!("{part}.weight"))).await?,
                qkv_bias: loader.stacked_bias(&[&q, &k, &v]).await?,
                out: loader.matrix(&name("attn_output.weight")).await?,
                out_bias: loader.stacked_bias(&[&name("attn_output")]).await?,
                mlp_norm: Norm { gain: loader.vector(&name("ffn_norm.weight")).await?, epsilon },
                gate_up: loader.stacked(&[name("ffn_gate.weight"), name("ffn_up.weight")]).await?,
                down: loader.matrix(&name("ffn_down.weight")).await?,
            });
        }
        let final_norm = Norm { gain: loader.vector("output_norm.weight").await?, epsilon };
        let ones = vec![1.0; config.width as usize];
        let final_norm_without_gain = Norm { gain: device.vector(&ones)?, epsilon };
        let unembedding = match config.tied_embeddings {
            true => None,
            false => Some(loader.matrix("output.weight").await?),
        };
        Ok(Weights { embedding, blocks, final_norm, final_norm_without_gain, unembedding })
    }
}

impl Weights<Cpu> {
    /// Bytes that the matrices take.
    pub fn bytes(&self) -> u64 {
        let of_block = |block: &Block<Cpu>| -> usize {
            let Block { qkv, out, gate_up, down, .. } = block;
            qkv.iter().chain(gate_up).chain([out, down]).map(CpuMatrix::bytes).sum()
        };
        let outer = [Some(&self.embedding), self.unembedding.as_ref()];
        let outer: usize = outer.into_iter().flatten().map(CpuMatrix::bytes).sum();
        (outer + self.blocks.iter().map(of_block).sum::<usize>()) as u64
    }
}

/// Reads one vector of the file as f32: a norm's gain, a bias, RoPE's frequency factors.
pub(crate) async fn read_vector(source: &impl ByteSource, tensor: &TensorInfo) -> Result<Vec<f32>, EngineError> {
    let bytes = source.read_at(tensor.offset, tensor.bytes as usize).await?;
    Ok(tiller_formats::dequantise(tensor.quant, &bytes, tensor.elements()))
}

struct Loader<'a, D, S, C, P> {
    device: &'a D,
    gguf: &'a Gguf,
    source: &'a S,
    controls: &'a C,
    progress: P,
    done: u64,
    total: u64,
}

impl<D: Device, S: ByteSource, C: Controls, P: FnMut(u64, u64)> Loader<'_, D, S, C, P> {
    fn tensor(&self, name: &str) -> Result<TensorInfo, EngineError> {
        let tensor = self.gguf.tensor(name).map_err(tiller_model::ModelError::from)?;
        Ok(tensor.clone())
    }

    async fn matrix(&mut self, name: &str) -> Result<D::Matrix, EngineError> {
        let mut stacked = self.stacked(&[name.to_string()]).await?;
        Ok(stacked.remove(0))
    }

    /// Matrices of one width below one another: neighbours that are quantised alike become one matrix, so that one
    /// operation computes them.
    async fn stacked(&mut self, names: &[String]) -> Result<Vec<D::Matrix>, EngineError> {
        let parts = names.iter().map(|name| self.tensor(name)).collect::<Result<Vec<_>, _>>()?;
        let mut stacked = Vec::new();
        for alike in parts.chunk_by(|a, b| a.quant == b.quant) {
            let rows = alike.iter().map(|part| part.shape[0]).sum::<usize>();
            let mut matrix = self.device.matrix(alike[0].quant, rows as u32, alike[0].shape[1] as u32)?;
            let mut first_row = 0;
            for part in alike {
                self.rows(part, &mut matrix, first_row).await?;
                first_row += part.shape[0];
            }
            stacked.push(matrix);
        }
        Ok(stacked)
    }

    async fn rows(&mut self, part: &TensorInfo, matrix: &mut D::Matrix, first_row: usize) -> Result<(), EngineError> {
        let rows = part.shape[0];
        let row_bytes = part.bytes as usize / rows;
        let rows_at_once = (CHUNK_BYTES / row_bytes).max(1);
        for row in (0..rows).step_by(rows_at_once) {
            if self.controls.cancelled() {
                return Err(EngineError::Cancelled);
            }
            let count = rows_at_once.min(rows - row);
            let bytes = self.source.read_at(part.offset + (row * row_bytes) as u64, count * row_bytes).await?;
            self.device.write_rows(matrix, (first_row + row) as u32, &bytes)?;
            self.read(bytes.len() as u64).await;
        }
        Ok(())
    }

    async fn vector(&mut self, name: &str) -> Result<D::Vector, EngineError> {
        let tensor = self.tensor(name)?;
        let values = read_vector(self.source, &tensor).await?;
        self.read(tensor.bytes).await;
        self.device.vector(&values)
    }

    /// The biases of `parts` side by side, zeros where one has none. `None` where none has.
    async fn stacked_bias(&mut self, parts: &[&str]) -> Result<Option<D::Vector>, EngineError> {
        let bias_of = |part: &str| format!("{part}.bias");
        if !parts.iter().any(|part| self.gguf.tensors.contains_key(&bias_of(part))) {
            return Ok(None);
        }
        let mut values = Vec::new();
        for part in parts {
            match self.gguf.tensors.get(&bias_of(part)) {
                Some(tensor) => {
                    values.extend(read_vector(self.source, tensor).await?);
                    self.read(tensor.bytes).await;
                }
                None => values.resize(values.len() + self.tensor(&format!("{part}.weight"))?.shape[0], 0.0),
            }
        }
        Ok(Some(self.device.vector(&values)?))
    }

    async fn read(&mut self, bytes: u64) {
        self.done += bytes;
        (self.progress)(self.done, self.total);
        self.controls.pause().await;
    }
}
