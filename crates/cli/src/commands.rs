//! The commands, one file each.

pub mod ablate;
pub mod attribute;
pub mod bench;
pub mod capture;
pub mod cav;
pub mod function_vector;
pub mod generate;
pub mod grid;
pub mod heads;
pub mod lens;
pub mod link;
pub mod neurons;
pub mod patch;
pub mod probe;
pub mod run;
pub mod sae;
pub mod snmf;
pub mod vector;
