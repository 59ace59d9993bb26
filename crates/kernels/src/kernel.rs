//! The kernels, and the text of each: shared parts, the reading of a weight format where there is one, and the kernel's
//! own file.

use tiller_formats::Quant;

use crate::attention_text::{HeadBlock, attention_text, span_text};
use crate::fold_text::with_folds;
use crate::linear_text::{ROW_BLOCKS, linear_text};
use crate::matmul_text::{SMALL_TILES, TILE_ROWS, matmul_text};
use crate::packing::{Packing, Scales};
use crate::tiers::Tiles;

/// A compute shader. Those that read weights exist once for each format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    Embed(Quant),
    /// Multiplies by a matrix, after an RMS norm where there is one; a workgroup takes this many rows.
    Linear(Quant, u32),
    /// The same after a layer norm.
    LinearOfLayerNorm(Quant, u32),
    /// Multiplies many rows by a matrix, in tiles; a workgroup takes this many rows.
    Matmul(Quant, u32, Tiles),
    HeadResults(Quant),
    Norm,
    NormScale,
    DivideByScale,
    AffineColumns,
    RopeAppend,
    Attention(HeadBlock),
    AttentionMerge,
    AttentionScores,
    AttentionSoftmax,
    AttentionMix,
    SumHeads,
    Gated,
    Activate,
    SoftCap,
    Add,
    CopyRows,
    Sample,
    Alternatives,
    TokenLogits,
    EditAdd,
    EditSet,
    EditScale,
    EditDirections,
    EditPatch,
    EditPatchStored,
    EditDisplace,
    Gate,
    GateLatch,
    GateTokens,
    RememberTokens,
    Penalise,
    StoreRows,
    WeightedSum,
    RowProducts,
    FeatureInput,
    ActivateFeatures,
    KeepLargest,
    StrongestFeatures,
    EditFeatures,
    DenseProduct,
    LessVector,
    StepFeatures,
    CountDead,
    FeatureGradients,
    ColumnSums,
    LearnRows,
    SquaredRows,
    BatchHistogram,
    BatchCut,
}

macro_rules! shader {
    ($name:literal) => {
        include_str!(concat!("../shaders/", $name, ".wgsl"))
    };
}

impl Kernel {
    const WITHOUT_WEIGHTS: [Kernel; 18] = [
        Kernel::Norm,
        Kernel::NormScale,
        Kernel::DivideByScale,
        Kernel::AffineColumns,
        Kernel::RopeAppend,
        Kernel::AttentionMerge,
        Kernel::AttentionScores,
        Kernel::AttentionSoftmax,
        Kernel::AttentionMix,
        Kernel::SumHeads,
        Kernel::Gated,
        Kernel::Activate,
        Kernel::SoftCap,
        Kernel::Add,
        Kernel::CopyRows,
        Kernel::Sample,
        Kernel::Alternatives,
        Kernel::TokenLogits,
    ];

    /// Edits and their conditions, and what looks at activations and text.
    const INTERVENTIONS: [Kernel; 20] = [
        Kernel::EditAdd,
        Kernel::EditSet,
        Kernel::EditScale,
        Kernel::EditDirections,
        Kernel::EditPatch,
        Kernel::EditPatchStored,
        Kernel::EditDisplace,
        Kernel::Gate,
        Kernel::GateLatch,
        Kernel::GateTokens,
        Kernel::RememberTokens,
        Kernel::Penalise,
        Kernel::StoreRows,
        Kernel::WeightedSum,
        Kernel::RowProducts,
        Kernel::FeatureInput,
        Kernel::ActivateFeatures,
        Kernel::KeepLargest,
        Kernel::StrongestFeatures,
        Kernel::EditFeatures,
    ];

    /// Training on the device.
    const TRAINING: [Kernel; 10] = [
        Kernel::DenseProduct,
        Kernel::LessVector,
        Kernel::StepFeatures,
        Kernel::CountDead,
        Kernel::FeatureGradients,
        Kernel::ColumnSums,
        Kernel::LearnRows,
        Kernel::SquaredRows,
        Kernel::BatchHistogram,
        Kernel::BatchCut,
    ];

    /// Every kernel that weights of these formats can need.
    pub fn all(quants: &[Quant]) -> impl Iterator<Item = Kernel> {
        let weights = quants.iter().flat_map(|&quant| {
            let linear = ROW_BLOCKS.into_iter().map(move |rows| Kernel::Linear(quant, rows));
            let layer = ROW_BLOCKS.into_iter().map(move |rows| Kernel::LinearOfLayerNorm(quant, rows));
            let tiled =
                TILE_ROWS.into_iter().flat_map(move |rows| Tiles::ALL.map(|tiles| Kernel::Matmul(quant, rows, tiles)));
            [Kernel::Embed(quant), Kernel::HeadResults(quant)].into_iter().chain(linear).chain(layer).chain(tiled)
        });
        let attention = HeadBlock::ALL.into_iter().map(Kernel::Attention);
        let fixed = Kernel::WITHOUT_WEIGHTS.into_iter().chain(Kernel::INTERVENTIONS).chain(Kernel::TRAINING);
        weights.chain(attention).chain(fixed)
    }

    /// Rows (or picks) of a step that one workgroup takes.
    pub(crate) fn rows_a_workgroup(self) -> u32 {
        match self {
            Kernel::Linear(_, rows) | Kernel::LinearOfLayerNorm(_, rows) | Kernel::Matmul(_, rows, _) => rows,
            _ => 1,
        }
    }

    /// The format of the weights that it reads.
    fn quant(self) -> Option<Quant> {
        match self {
            Kernel::Embed(quant)
            | Kernel::Linear(quant, _)
            | Kernel::LinearOfLayerNorm(quant, _)
            | Kernel::Matmul(quant, ..)
            | Kernel::HeadResults(quant) => Some(quant),
            _ => None,
        }
    }

    /// Rows (or picks) up to which a step takes it, if it is one of several for any number.
    pub(crate) fn up_to(self) -> u32 {
        match self {
            Kernel::Matmul(_, rows, _) if rows == TILE_ROWS[0] => SMALL_TILES,
            _ => self.rows_a_workgroup(),
        }
    }

    /// Of `lanes` threads that exchange registers, so many that its text knows of: 1 where its threads put nothing
    /// together.
    pub(crate) fn lanes(self, lanes: u32) -> u32 {
        match self {
            Kernel::Linear(..)
            | Kernel::LinearOfLayerNorm(..)
            | Kernel::Norm
            | Kernel::NormScale
            | Kernel::DivideByScale
            | Kernel::Attention(_)
            | Kernel::AttentionSoftmax
            | Kernel::Sample
            | Kernel::Alternatives
            | Kernel::TokenLogits
            | Kernel::EditDisplace
            | Kernel::RowProducts
            | Kernel::Gate
            | Kernel::FeatureInput
            | Kernel::KeepLargest
            | Kernel::StrongestFeatures
            | Kernel::EditFeatures
            | Kernel::CountDead
            | Kernel::LearnRows
            | Kernel::SquaredRows => lanes,
            _ => 1,
        }
    }

    /// The whole WGSL text, for threads that exchange registers with `lanes` - 1 neighbours.
    pub(crate) fn source(self, lanes: u32) -> String {
        let (own, parts): (&str, &[&str]) = match self {
            Kernel::Embed(_) => (shader!("embed"), &[]),
            Kernel::Linear(..) | Kernel::LinearOfLayerNorm(..) => (shader!("linear"), &[]),
            Kernel::Matmul(..) => (shader!("matmul"), &[]),
            Kernel::HeadResults(_) => (shader!("head_results"), &[]),
            Kernel::Norm => (shader!("norm"), &[shader!("moments")]),
            Kernel::NormScale => (shader!("norm_scale"), &[shader!("moments")]),
            Kernel::DivideByScale => (shader!("divide_by_scale"), &[shader!("moments")]),
            Kernel::AffineColumns => (shader!("affine_columns"), &[]),
            Kernel::RopeAppend => (shader!("rope_append"), &[shader!("sincos")]),
            Kernel::Attention(_) => (shader!("attention"), &[shader!("seen"), shader!("tanh"), shader!("capped")]),
            Kernel::AttentionMerge => (shader!("attention_merge"), &[shader!("seen")]),
            Kernel::AttentionScores => {
                (shader!("attention_scores"), &[shader!("seen"), shader!("tanh"), shader!("capped")])
            }
            Kernel::AttentionSoftmax => (shader!("attention_softmax"), &[shader!("seen")]),
            Kernel::AttentionMix => (shader!("attention_mix"), &[shader!("seen")]),
            Kernel::SumHeads => (shader!("sum_heads"), &[]),
            Kernel::Gated => (shader!("gated"), &[shader!("activations")]),
            Kernel::Activate => (shader!("activate"), &[shader!("activations")]),
            Kernel::SoftCap => (shader!("soft_cap"), &[shader!("tanh")]),
            Kernel::Add => (shader!("add"), &[]),
            Kernel::CopyRows => (shader!("copy_rows"), &[]),
            Kernel::Sample => (shader!("sample"), &[shader!("logit_order"), shader!("best"), shader!("noise")]),
            Kernel::Alternatives => (shader!("alternatives"), &[shader!("logit_order"), shader!("best")]),
            Kernel::TokenLogits => (shader!("token_logits"), &[]),
            Kernel::EditAdd => (shader!("edit_add"), &[shader!("edited"), shader!("edited_columns")]),
            Kernel::EditSet => (shader!("edit_set"), &[shader!("edited"), shader!("edited_columns")]),
            Kernel::EditScale => (shader!("edit_scale"), &[shader!("edited"), shader!("edited_columns")]),
            Kernel::EditDirections => (shader!("edit_directions"), &[shader!("edited")]),
            Kernel::EditPatch => (shader!("edit_patch"), &[shader!("edited"), shader!("entry_of")]),
            Kernel::EditPatchStored => {
                (shader!("edit_patch_stored"), &[shader!("edited"), shader!("stored_row"), shader!("entry_of")])
            }
            Kernel::EditDisplace => {
                (shader!("edit_displace"), &[shader!("edited"), shader!("stored_row"), shader!("entry_of")])
            }
            Kernel::Gate => (shader!("gate"), &[]),
            Kernel::GateLatch => (shader!("gate_latch"), &[]),
            Kernel::GateTokens => (shader!("gate_tokens"), &[shader!("row_token")]),
            Kernel::RememberTokens => (shader!("remember_tokens"), &[shader!("row_token")]),
            Kernel::Penalise => (shader!("penalise"), &[]),
            Kernel::StoreRows => (shader!("store_rows"), &[]),
            Kernel::WeightedSum => (shader!("weighted_sum"), &[]),
            Kernel::RowProducts => (shader!("row_products"), &[]),
            Kernel::FeatureInput => (shader!("feature_input"), &[shader!("feature_scale")]),
            Kernel::ActivateFeatures => (shader!("activate_features"), &[]),
            Kernel::KeepLargest => (shader!("keep_largest"), &[shader!("largest")]),
            Kernel::StrongestFeatures => (shader!("strongest_features"), &[shader!("largest")]),
            Kernel::EditFeatures => (shader!("edit_features"), &[shader!("edited"), shader!("feature_scale")]),
            Kernel::DenseProduct => (shader!("dense_product"), &[shader!("coefficient_of")]),
            Kernel::LessVector => (shader!("less_vector"), &[]),
            Kernel::StepFeatures => (shader!("step_features"), &[]),
            Kernel::CountDead => (shader!("count_dead"), &[]),
            Kernel::FeatureGradients => (shader!("feature_gradients"), &[shader!("coefficient_of")]),
            Kernel::ColumnSums => (shader!("column_sums"), &[shader!("coefficient_of")]),
            Kernel::LearnRows => (shader!("learn_rows"), &[shader!("coefficient_of")]),
            Kernel::SquaredRows => (shader!("squared_rows"), &[]),
            Kernel::BatchHistogram => (shader!("batch_histogram"), &[]),
            Kernel::BatchCut => (shader!("batch_cut"), &[]),
        };
        let mut source = String::from(shader!("step"));
        if let Some(quant) = self.quant() {
            source.push_str(shader!("octet"));
            // Only rows of floats may end within eight columns.
            let any_width = quant.block().0 == 1;
            source.push_str(if any_width { shader!("within_any") } else { shader!("within_blocks") });
            push_weights(quant, &mut source);
        }
        for part in parts {
            source.push_str(part);
        }
        if let Kernel::Attention(_) | Kernel::AttentionMerge = self {
            source.push_str(&span_text());
        }
        let slot = if lanes > 1 { shader!("slot_sums_subgroup") } else { shader!("slot_sums_workgroup") };
        match self {
            Kernel::Attention(block) => {
                source.push_str(if block.whole_fours { shader!("fours_whole") } else { shader!("fours_any") });
                source.push_str(&attention_text(own, block));
            }
            Kernel::Linear(_, rows) => source.push_str(&linear_text(own, slot, rows, lanes, None)),
            Kernel::Matmul(_, rows, tiles) => source.push_str(&matmul_text(own, rows, tiles)),
            Kernel::LinearOfLayerNorm(_, rows) => {
                source.push_str(&linear_text(own, slot, rows, lanes, Some(shader!("row_moments"))));
            }
            _ => source.push_str(own),
        }
        with_folds(&source, lanes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_knows_of_subgroups_only_where_threads_exchange_registers() {
        for kernel in Kernel::all(&Quant::ALL) {
            for lanes in [1, 4, 32] {
                let text = kernel.source(lanes);
                assert!(!text.contains("//@"), "{kernel:?}: a line is left to be replaced");
                assert_eq!(text.contains("subgroup"), kernel.lanes(lanes) > 1, "{kernel:?}, {lanes} lanes");
            }
        }
    }
}
