//! Arithmetic on the GPU: a wgpu device, weights and caches on it, WGSL kernels, and the [`Plan`] that replays them.
//!
//! A *step* runs some rows (tokens) through a network. A [`Recorder`] is told the operations once and yields a
//! [`Plan`]; a step is then one replay of it: one small write, one encoder, one compute pass, one submit. Which rows,
//! which of them draw a token and how strongly edits act are data of the step, so changing them rebuilds nothing.
//!
//! This crate knows nothing of models, layers' names or pages: it is given matrices and says what to multiply.

mod act;
mod adapter;
mod attention_text;
mod condition;
mod encoder;
mod error;
mod faults;
mod fold_text;
mod gpu;
mod grid;
mod kernel;
mod kv_cache;
mod linear_text;
mod matmul_text;
mod matrix;
mod memory;
mod packing;
mod patch;
mod pipelines;
mod plan;
mod readback;
mod recorder;
mod sample_reference;
mod slot_text;
mod spans;
mod step;
mod store;
mod text;
mod tiers;
mod token_set;
mod tune;
mod unit_list;
mod vector;
mod work;

pub use act::Act;
pub use adapter::{AdapterSummary, Handicap};
pub use attention_text::HeadBlock;
pub use condition::{Condition, Latch, Score};
pub use encoder::{Change, Encoder, FeatureActivation, FeatureChanges, MOST_CHANGES, Normalised};
pub use error::GpuError;
pub use gpu::Gpu;
pub use kernel::Kernel;
pub use kv_cache::KvCache;
pub use matrix::Matrix;
pub use patch::{Patch, StoredPatch};
pub use plan::{Plan, PlanStats, Want};
pub use readback::{StepOutput, Ticket};
pub use recorder::{
    Activation, BatchCut, Beside, Columns, Coordinate, Figures, Gate, Heads, Learnt, MOST_STRONGEST, Norm, NormKind,
    PreGradients, Product, Recorder, Rope, Rotation, StepRule, Table, TapId, WeightedSums, When,
};
pub use sample_reference::draw;
pub use step::{ALTERNATIVES, Draw, Drawn, EDIT_SLOTS, LANE_BIT, LANES, Pick, Row, Step, TapRows};
pub use store::Store;
pub use text::Text;
pub use tiers::{NoTiers, Reduction, Tiers, Tiles};
pub use tiller_formats::Quant;
pub use token_set::TokenSet;
pub use tune::Workload;
pub use unit_list::UnitList;
pub use vector::Vector;
pub use work::Work;
