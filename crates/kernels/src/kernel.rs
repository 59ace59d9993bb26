//! The kernels, and the text of each: shared parts, the reading of a weight format where there is one, and the kernel's
//! own file.

use tiller_formats::Quant;

use crate::packing::{Packing, Scales};

/// A compute shader. Those that read weights exist once for each format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    Embed(Quant),
    Gemv(Quant),
    Matmul(Quant),
    RmsNorm,
    RopeAppend,
    Attention,
    Swiglu,
    Add,
    AddVector,
    ScaleColumns,
    CopyRows,
    Sample,
    Alternatives,
}

macro_rules! shader {
    ($name:literal) => {
        include_str!(concat!("../shaders/", $name, ".wgsl"))
    };
}

impl Kernel {
    const WITHOUT_WEIGHTS: [Kernel; 10] = [
        Kernel::RmsNorm,
        Kernel::RopeAppend,
        Kernel::Attention,
        Kernel::Swiglu,
        Kernel::Add,
        Kernel::AddVector,
        Kernel::ScaleColumns,
        Kernel::CopyRows,
        Kernel::Sample,
        Kernel::Alternatives,
    ];

    /// Every kernel that weights of these formats can need.
    pub fn all(quants: &[Quant]) -> impl Iterator<Item = Kernel> {
        let weights =
            quants.iter().flat_map(|&quant| [Kernel::Embed(quant), Kernel::Gemv(quant), Kernel::Matmul(quant)]);
        weights.chain(Kernel::WITHOUT_WEIGHTS)
    }

    /// The whole WGSL text.
    pub fn source(self) -> String {
        let (own, parts): (&str, &[&str]) = match self {
            Kernel::Embed(_) => (shader!("embed"), &[]),
            Kernel::Gemv(_) => (shader!("gemv"), &[]),
            Kernel::Matmul(_) => (shader!("matmul"), &[]),
            Kernel::RmsNorm => (shader!("rms_norm"), &[]),
            Kernel::RopeAppend => (shader!("rope_append"), &[shader!("sincos")]),
            Kernel::Attention => (shader!("attention"), &[]),
            Kernel::Swiglu => (shader!("swiglu"), &[]),
            Kernel::Add => (shader!("add"), &[]),
            Kernel::AddVector => (shader!("add_vector"), &[]),
            Kernel::ScaleColumns => (shader!("scale_columns"), &[]),
            Kernel::CopyRows => (shader!("copy_rows"), &[]),
            Kernel::Sample => (shader!("sample"), &[shader!("logit_order"), shader!("noise")]),
            Kernel::Alternatives => (shader!("alternatives"), &[shader!("logit_order")]),
        };
        let mut source = String::from(shader!("step"));
        if let Kernel::Embed(quant) | Kernel::Gemv(quant) | Kernel::Matmul(quant) = self {
            source.push_str(shader!("octet"));
            push_weights(quant, &mut source);
        }
        for part in parts {
            source.push_str(part);
        }
        source.push_str(own);
        source
    }
}

/// Appends the functions that read eight weights of a format.
fn push_weights(quant: Quant, source: &mut String) {
    let Packing { bits, zero, scales } = Packing::of(quant);
    let scales = match scales {
        Scales::None => {
            source.push_str(match quant {
                Quant::BF16 => shader!("weights_bf16"),
                Quant::F16 => shader!("weights_f16"),
                _ => shader!("weights_f32"),
            });
            return;
        }
        Scales::Half => shader!("scales_half"),
        Scales::Pair => shader!("scales_pair"),
        Scales::Superblock { groups } => {
            source.push_str(&format!("const GROUPS = {groups}u;\n"));
            shader!("scales_superblock")
        }
    };
    let quants = match bits {
        2 => shader!("quants_2"),
        3 => shader!("quants_3"),
        4 => shader!("quants_4"),
        5 => shader!("quants_5"),
        6 => shader!("quants_6"),
        _ => shader!("quants_8"),
    };
    source.push_str(&format!("const ZERO = {zero}.0;\n"));
    for part in [scales, shader!("planes"), quants, shader!("weights_quantised")] {
        source.push_str(part);
    }
}
