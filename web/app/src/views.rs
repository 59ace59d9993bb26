//! The views, and what several of them show.

pub mod cells;
pub mod embed;
pub mod features;
pub mod gallery;
pub mod lens;
pub mod lookup;
pub mod models;
pub mod patch;
pub mod probes;
pub mod progress;
pub mod prompt;
pub mod save;
pub mod steer;
pub mod vectors;
