//! The commands, one file each.

pub mod ablate;
pub mod attribute;
pub mod bench;
pub mod capture;
pub mod cast;
pub mod cav;
pub mod function_vector;
pub mod generate;
pub mod grid;
pub mod heads;
pub mod layers;
pub mod lens;
pub mod link;
pub mod model_diff;
pub mod neurons;
pub mod patch;
pub mod probe;
pub mod robustness;
pub mod run;
pub mod sae;
pub mod snmf;
pub mod vector;
