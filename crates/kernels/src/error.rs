//! What can go wrong on a GPU, and what to do about it.

use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GpuError {
    #[error("No graphics adapter was found: install a Vulkan, Metal or DirectX 12 driver, or use the CPU backend.")]
    NoAdapter,
    #[error(
        "This browser offers no WebGPU adapter: update it or enable WebGPU in its settings, or use the CPU backend."
    )]
    NoWebGpu,
    #[error("The graphics adapter refused to open ({0}): close other programs that use it, or use the CPU backend.")]
    DeviceRefused(String),
    #[error("The graphics device was lost ({0}): load the model again.")]
    Lost(String),
    #[error("The graphics device is out of memory ({0}): load a smaller model, or shorten the context.")]
    OutOfMemory(String),
    #[error(
        "{what} needs {bytes} bytes in one buffer, and this device allows {limit}: use a smaller model or a shorter \
         context."
    )]
    TooLarge { what: String, bytes: u64, limit: u64 },
    #[error("The graphics device or its driver rejected the work ({0}): use the CPU backend, and report this.")]
    Validation(String),
}

impl From<wgpu::Error> for GpuError {
    fn from(error: wgpu::Error) -> GpuError {
        match error {
            wgpu::Error::OutOfMemory { source } => GpuError::OutOfMemory(source.to_string()),
            wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
                GpuError::Validation(description)
            }
        }
    }
}
