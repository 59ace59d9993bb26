//! The commands, one file each.

pub mod bench;
pub mod capture;
pub mod generate;
pub mod grid;
pub mod lens;
pub mod run;
pub mod vector;
