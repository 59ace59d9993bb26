//! A set of tokens on the device.

use std::sync::Arc;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::memory::Memory;

/// A set of tokens, a bit for each token of the vocabulary. A clone is a handle to the same set.
#[derive(Clone, Debug)]
pub struct TokenSet {
    memory: Arc<Memory>,
    vocab: u32,
}

impl TokenSet {
    /// The set of `tokens`, in any order, of a vocabulary of `vocab`. Errors where a token is not below `vocab`.
    pub fn new(gpu: &Gpu, vocab: u32, tokens: &[u32]) -> Result<TokenSet, GpuError> {
        let memory = gpu.storage("a set of tokens", u64::from(vocab.div_ceil(32)) * 4)?;
        let mut words = vec![0u32; vocab.div_ceil(32) as usize];
        for &token in tokens {
            if token >= vocab {
                return Err(GpuError::Validation(format!("token {token} of {vocab}")));
            }
            words[token as usize / 32] |= 1 << (token % 32);
        }
        gpu.write(&memory, 0, bytemuck::cast_slice(&words));
        Ok(TokenSet { memory: Arc::new(memory), vocab })
    }

    pub(crate) fn vocab(&self) -> u32 {
        self.vocab
    }

    pub(crate) fn memory(&self) -> Arc<Memory> {
        self.memory.clone()
    }
}
