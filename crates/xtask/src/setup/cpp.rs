//! A compiler of C++, for libFuzzer, which comes as source.

use super::say;
use crate::debian;
use crate::places::on_path;
use anyhow::Result;
use std::env;

/// Whether anything had to be done.
pub fn install_if_missing() -> Result<bool> {
    if env::var_os("CXX").is_some() || ["c++", "clang++", "cl"].iter().any(|name| on_path(name).is_some()) {
        return Ok(false);
    }
    say("a C++ compiler: installing it, about 1 minute, once");
    debian::install("a C++ compiler", &["g++"])?;
    Ok(true)
}
