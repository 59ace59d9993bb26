//! Every GPU kernel against its CPU twin: one registry of cases, run natively (`tests/native.rs`) and in a browser
//! (`tests/web.rs`).
//!
//! A kernel does not exist until the registry has it. Twins compute in f64 on weights that candle dequantised. All
//! cases run on buffers full of garbage, so that reading what nobody wrote is found out.

mod cases;
mod dequantise;
mod edited;
mod numbers;
mod run;
mod twin;

use std::future::Future;
use std::pin::Pin;

use tiller_kernels::{Gpu, Kernel, Quant};

type Outcome = Result<(), String>;

type Check = Box<dyn Fn(Gpu) -> Pin<Box<dyn Future<Output = Outcome>>>>;

/// A named check of the kernels.
pub struct Case {
    pub name: String,
    check: Check,
}

impl Case {
    fn new<F>(name: impl Into<String>, check: impl Fn(Gpu) -> F + 'static) -> Case
    where
        F: Future<Output = Outcome> + 'static,
    {
        Case { name: name.into(), check: Box::new(move |gpu| Box::pin(check(gpu))) }
    }

    /// `Err` says what differed.
    pub async fn run(&self, gpu: &Gpu) -> Outcome {
        self.run_in_parts(gpu, u64::MAX).await
    }

    /// The same, with matrices and stores in parts of this many bytes, or of a row where that is more.
    pub async fn run_in_parts(&self, gpu: &Gpu, bytes: u64) -> Outcome {
        gpu.poison_new_buffers(true);
        gpu.limit_bindings(u64::MAX);
        gpu.limit_shards(bytes);
        (self.check)(gpu.clone()).await
    }
}

/// Every case.
pub fn cases() -> Vec<Case> {
    cases::all()
}

/// Kernels, in all formats, that no case on this device has put into a plan.
pub fn kernels_without_a_case(gpu: &Gpu) -> Vec<Kernel> {
    let tried = gpu.compiled();
    Kernel::all(&Quant::ALL).filter(|kernel| !tried.contains(kernel)).collect()
}
