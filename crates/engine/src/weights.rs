//! A model's weights on a device, and how they get there from a file.

use crate::backend::{Device, HeadNorms, Norm};
use crate::cpu::{Cpu, CpuMatrix};
use crate::{Controls, EngineError};
use tiller_model::{Checkpoint, CheckpointError, ModelConfig, NormConfig, TensorShape};

/// Bytes read at once: what loading holds in memory besides the weights themselves.
const CHUNK_BYTES: usize = 2 << 20;

pub(crate) struct Weights<D: Device> {
    /// `[vocabulary, d_model]`.
    pub embedding: D::Matrix,
    /// `[context, d_model]`, where positions are learned.
    pub positions: Option<D::Matrix>,
    pub blocks: Vec<Block<D>>,
    pub final_norm: Norm<D::Vector>,
    /// `None` where the embedding serves (tied).
    pub unembedding: Option<D::Matrix>,
}

pub(crate) struct Block<D: Device> {
    pub attention_norm: Norm<D::Vector>,
    /// Queries, keys and values below one another; one matrix where they are quantised alike.
    pub qkv: Vec<D::Matrix>,
    pub qkv_bias: Option<D::Vector>,
    pub head_norms: Option<HeadNorms<D::Vector>>,
    pub out: D::Matrix,
    pub out_bias: Option<D::Vector>,
    pub post_attention_norm: Option<Norm<D::Vector>>,
    pub mlp_norm: Norm<D::Vector>,
    /// Gate and up-projection below one another, or the up-projection alone.
    pub mlp_in: Vec<D::Matrix>,
    pub mlp_in_bias: Option<D::Vector>,
    pub down: D::Matrix,
    pub down_bias: Option<D::Vector>,
    pub post_mlp_norm: Option<Norm<D::Vector>>,
}

impl<D: Device> Weights<D> {
    /// Streams the weights from `checkpoint` to `device`, a chunk at a time. `progress` is told the bytes read so far
    /// and in all.
    pub async fn load(
        device: &D,
        config: &ModelConfig,
        checkpoint: &impl Checkpoint,
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
    ) -> Result<Weights<D>, EngineError> {
        let total = checkpoint.tensors().values().map(TensorShape::bytes).sum();
        let mut loader = Loader { device, checkpoint, norm: config.norm, controls, progress, done: 0, total };

        let embedding = loader.matrix("token_embd").await?;
        let positions = match config.learned_positions {
            true => Some(loader.matrix("position_embd").await?),
            false => None,
        };
        let mut blocks = Vec::with_capacity(config.layers as usize);
        for n in 0..config.layers {
            blocks.push(loader.block(n, config).await?);
        }
        let final_norm = loader.norm("output_norm").await?;
        let unembedding = match config.tied_embeddings {
            true => None,
            false => Some(loader.matrix("output").await?),
        };
        Ok(Weights { embedding, positions, blocks, final_norm, unembedding })
    }
}

impl Weights<Cpu> {
    /// Bytes that the matrices take.
    pub fn bytes(&self) -> u64 {
        let outer = [Some(&self.embedding), self.positions.as_ref(), self.unembedding.as_ref()];
        let outer: usize = outer.into_iter().flatten().map(CpuMatrix::bytes).sum();
        outer as u64 + self.bytes_of_blocks()
    }

    /// Bytes of matrices that one token's pass reads: of the embedding a row, unless it is the unembedding too.
    pub fn bytes_of_a_token(&self) -> u64 {
        let outer = self.embedding.row_bytes() + self.positions.as_ref().map_or(0, CpuMatrix::row_bytes);
        let unembedding = self.unembedding.as_ref().unwrap_or(&self.embedding).bytes();
        (outer + unembedding) as u64 + self.bytes_of_blocks()
    }

    fn bytes_of_blocks(&self) -> u64 {
        let of_block = |block: &Block<Cpu>| -> usize {
            let Block { qkv, out, mlp_in, down, .. } = block;
            qkv.iter().chain(mlp_in).chain([out, down]).map(CpuMatrix::bytes).sum()
        };
        self.blocks.iter().map(of_block).sum::<usize>() as u64
    }
}

/// Reads one vector as f32: a norm's gain, a bias, RoPE's frequency factors.
pub(crate) async fn read_vector(checkpoint: &impl Checkpoint, name: &str) -> Result<Vec<f32>, EngineError> {
    let missing = || CheckpointError::Missing { name: name.into() };
    let tensor = checkpoint.tensors().get(name).ok_or_else(missing)?;
    let bytes = checkpoint.read_rows(name, 0..1).await?;
    Ok(tiller_formats::dequantise(tensor.quant, &bytes, tensor.cols()))
}

struct Loader<'a, D, S, C, P> {
    device: &'a D,
    checkpoint: &'a S,
    norm: NormConfig,
    controls: &'a C,
    progress: P,
    done: u64,
    total: u64,
}

impl<D: Device, S: Checkpoint, C: Controls, P: FnMut(u64, u64)> Loader<'_, D, S, C, P> {
    async fn block(&mut self, n: u32, config: &ModelConfig) -> Result<Block<D>, EngineError> {
        let name = |part: &str| format!("blk.{n}.{part}");
        let qkv: Vec<String> = match config.attention.fused {
            true => vec![name("attn_qkv")],
            false => ["attn_q", "attn_k", "attn_v"].map(name).into(),
        };
        let mlp_in: Vec<String> = match config.mlp.gated {
            true => ["ffn_gate", "ffn_up"].map(name).into(),
            false => vec![name("ffn_up")],
        };
        let [out, down] = ["attn_output", "ffn_down"].map(|part| vec![name(part)]);
        let head_norms = match config.attention.head_norms {
            true => Some(HeadNorms {
                q: self.vector(&name("attn_q_norm.weight")).await?,
                k: self.vector(&name("attn_k_norm.weight")).await?,
                epsilon: config.norm.epsilon,
            }),
            false => None,
        };
        let (post_attention_norm, post_mlp_norm) = match config.post_norms {
            true => {
                let after = self.norm(&name("post_attention_norm")).await?;
                (Some(after), Some(self.norm(&name("post_ffw_norm")).await?))
            }
            false => (None, None),
        };
        Ok(Block {
            attention_norm: self.norm(&name("attn_norm")).await?,
            qkv: self.stacked(&qkv).await?,
            qkv_bias: self.stacked_bias(&qkv).await?,
            head_norms,
            out: self.matrix(&out[0]).await?,
            out_bias: self.stacked_bias(&out).await?,
            post_attention_norm,
            mlp_norm: self.norm(&name("ffn_norm")).await?,
            mlp_in: self.stacked(&mlp_in).await?,
            mlp_in_bias: self.stacked_bias(&mlp_in).await?,
            down: self.matrix(&down[0]).await?,
            down_bias: self.stacked_bias(&down).await?,
            post_mlp_norm,
        })
    }

    async fn norm(&mut self, name: &str) -> Result<Norm<D::Vector>, EngineError> {
        let NormConfig { kind, epsilon } = self.norm;
        let gain = self.vector(&format!("{name}.weight")).await?;
        let bias = format!("{name}.bias");
        let bias = match self.checkpoint.tensors().contains_key(&bias) {
            true => Some(self.vector(&bias).await?),
            false => None,
        };
        Ok(Norm { kind, gain, bias, epsilon })
    }

    fn tensor(&self, name: &str) -> Result<TensorShape, EngineError> {
        let missing = || CheckpointError::Missing { name: name.into() };
        Ok(self.checkpoint.tensors().get(name).ok_or_else(missing)?.clone())
    }

    async fn matrix(&mut self, name: &str) -> Result<D::Matrix, EngineError> {
        let mut stacked = self.stacked(&[name.to_string()]).await?;
        Ok(stacked.remove(0))
    }

    /// Matrices of one width below one another: neighbours that are quantised alike become one matrix, so that one
    /// operation computes them.
    async fn stacked(&mut self, names: &[String]) -> Result<Vec<D::Matrix>, EngineError> {
        let part = |name: &String| {
            let name = format!("{name}.weight");
            let tensor = self.tensor(&name)?;
            Ok::<_, EngineError>((name, tensor))
        };
        let parts = names.iter().map(part).collect::<Result<Vec<_>, _>>()?;
        let mut stacked = Vec::new();
        for alike in parts.chunk_by(|(_, a), (_, b)| a.quant == b.quant) {
            let rows = alike.iter().map(|(_, part)| part.rows()).sum::<usize>();
            let (_, first) = &alike[0];
            let mut matrix = self.device.matrix(first.quant, rows as u32, first.cols() as u32)?;
            let mut first_row = 0;
            for (name, part) in alike {
                self.rows(name, part, &mut matrix, first_row).await?;
                first_row += part.rows();
            }
            stacked.push(matrix);
        }
        Ok(stacked)
    }

    async fn rows(
        &mut self,
        name: &str,
        part: &TensorShape,
        matrix: &mut D::Matrix,
        first_row: usize,
    ) -> Result<(), EngineError> {
        let rows = part.rows();
        let row_bytes = part.row_bytes().unwrap_or(1).max(1);
        let rows_at_once = (CHUNK_BYTES / row_bytes).max(1);
        for row in (0..rows).step_by(rows_at_once) {
            if self.controls.cancelled() {
                return Err(EngineError::Cancelled);
            }
            let end = rows.min(row + rows_at_once);
            let bytes = self.checkpoint.read_rows(name, row..end).await?;
            self.device.write_rows(matrix, (first_row + row) as u32, &bytes)?;
            self.read(bytes.len() as u64).await;
        }
        Ok(())
    }

    async fn vector(&mut self, name: &str) -> Result<D::Vector, EngineError> {
        let values = read_vector(self.checkpoint, name).await?;
        self.read(self.tensor(name)?.bytes()).await;
        self.device.vector(&values)
    }

    /// The biases of `parts` side by side, zeros where one has none. `None` where none has.
    async fn stacked_bias(&mut self, parts: &[String]) -> Result<Option<D::Vector>, EngineError> {
        let bias_of = |part: &String| format!("{part}.bias");
        if !parts.iter().any(|part| self.checkpoint.tensors().contains_key(&bias_of(part))) {
            return Ok(None);
        }
        let mut values = Vec::new();
        for part in parts {
            match self.checkpoint.tensors().get(&bias_of(part)).map(TensorShape::bytes) {
                Some(bytes) => {
                    values.extend(read_vector(self.checkpoint, &bias_of(part)).await?);
                    self.read(bytes).await;
                }
                None => values.resize(values.len() + self.tensor(&format!("{part}.weight"))?.rows(), 0.0),
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
