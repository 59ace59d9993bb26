//! The kernels, and the text of each: shared parts, the reading of a weight format where there is one, and the kernel's
//! own file.

use tiller_formats::Quant;

use crate::linear_text::{ROW_BLOCKS, linear_text};
use crate::packing::{Packing, Scales};

/// A compute shader. Those that read weights exist once for each format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    Embed(Quant),
    /// Multiplies by a matrix; a workgroup takes this many rows.
    Linear(Quant, u32),
    RmsNorm,
    RopeAppend,
    Attention,
    Swiglu,
    Add,
    ScaleColumns,
    CopyRows,
    Sample,
    Alternatives,
    EditAdd,
    EditSet,
    EditScale,
    EditDirections,
    EditPatch,
    Gate,
    GateLatch,
    GateTokens,
    RememberTokens,
    Penalise,
    StoreRows,
}

macro_rules! shader {
    ($name:literal) => {
        include_str!(concat!("../shaders/", $name, ".wgsl"))
    };
}

impl Kernel {
    const WITHOUT_WEIGHTS: [Kernel; 9] = [
        Kernel::RmsNorm,
        Kernel::RopeAppend,
        Kernel::Attention,
        Kernel::Swiglu,
        Kernel::Add,
        Kernel::ScaleColumns,
        Kernel::CopyRows,
        Kernel::Sample,
        Kernel::Alternatives,
    ];

    /// Edits and their conditions, and what looks at activations and text.
    const INTERVENTIONS: [Kernel; 11] = [
        Kernel::EditAdd,
        Kernel::EditSet,
        Kernel::EditScale,
        Kernel::EditDirections,
        Kernel::EditPatch,
        Kernel::Gate,
        Kernel::GateLatch,
        Kernel::GateTokens,
        Kernel::RememberTokens,
        Kernel::Penalise,
        Kernel::StoreRows,
    ];

    /// Every kernel that weights of these formats can need.
    pub fn all(quants: &[Quant]) -> impl Iterator<Item = Kernel> {
        let weights = quants.iter().flat_map(|&quant| {
            let linear = ROW_BLOCKS.into_iter().map(move |rows| Kernel::Linear(quant, rows));
            std::iter::once(Kernel::Embed(quant)).chain(linear)
        });
        weights.chain(Kernel::WITHOUT_WEIGHTS).chain(Kernel::INTERVENTIONS)
    }

    /// Rows (or picks) of a step that one workgroup takes.
    pub(crate) fn rows_a_workgroup(self) -> u32 {
        match self {
            Kernel::Linear(_, rows) => rows,
            _ => 1,
        }
    }

    /// The whole WGSL text.
    pub fn source(self) -> String {
        let (own, parts): (&str, &[&str]) = match self {
            Kernel::Embed(_) => (shader!("embed"), &[]),
            Kernel::Linear(..) => (shader!("linear"), &[]),
            Kernel::RmsNorm => (shader!("rms_norm"), &[]),
            Kernel::RopeAppend => (shader!("rope_append"), &[shader!("sincos")]),
            Kernel::Attention => (shader!("attention"), &[]),
            Kernel::Swiglu => (shader!("swiglu"), &[]),
            Kernel::Add => (shader!("add"), &[]),
            Kernel::ScaleColumns => (shader!("scale_columns"), &[]),
            Kernel::CopyRows => (shader!("copy_rows"), &[]),
            Kernel::Sample => (shader!("sample"), &[shader!("logit_order"), shader!("noise")]),
            Kernel::Alternatives => (shader!("alternatives"), &[shader!("logit_order")]),
            Kernel::EditAdd => (shader!("edit_add"), &[shader!("edited"), shader!("edited_columns")]),
            Kernel::EditSet => (shader!("edit_set"), &[shader!("edited"), shader!("edited_columns")]),
            Kernel::EditScale => (shader!("edit_scale"), &[shader!("edited"), shader!("edited_columns")]),
            Kernel::EditDirections => (shader!("edit_directions"), &[shader!("edited")]),
            Kernel::EditPatch => (shader!("edit_patch"), &[shader!("edited")]),
            Kernel::Gate => (shader!("gate"), &[]),
            Kernel::GateLatch => (shader!("gate_latch"), &[]),
            Kernel::GateTokens => (shader!("gate_tokens"), &[shader!("row_token")]),
            Kernel::RememberTokens => (shader!("remember_tokens"), &[shader!("row_token")]),
            Kernel::Penalise => (shader!("penalise"), &[]),
            Kernel::StoreRows => (shader!("store_rows"), &[]),
        };
        let mut source = String::from(shader!("step"));
        if let Kernel::Embed(quant) | Kernel::Linear(quant, _) = self {
            source.push_str(shader!("octet"));
            // Only rows of floats may end within eight columns.
            let any_width = quant.block().0 == 1;
            source.push_str(if any_width { shader!("within_any") } else { shader!("within_blocks") });
            push_weights(quant, &mut source);
        }
        for part in parts {
            source.push_str(part);
        }
        match self {
            Kernel::Linear(_, rows) => source.push_str(&linear_text(own, rows)),
            _ => source.push_str(own),
        }
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
