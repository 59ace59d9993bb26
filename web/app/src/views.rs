//! The views, and what several of them show.

pub mod models;
pub mod progress;
pub mod steer;
