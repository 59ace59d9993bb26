//! Building the page: trunk, with the tools and the compiler that set-up has found.

use crate::command::{command, run};
use crate::places::Places;
use crate::wasm_toolchain::WasmToolchain;
use anyhow::{Context, Result};
use std::env;

/// From `web` into `dist`.
pub fn build(places: &Places) -> Result<()> {
    println!("building the page: about 10 minutes the first time, seconds when little has changed");
    let toolchain = WasmToolchain::find().context("no compiler for the browser; run `cargo xtask setup`")?;
    let mut trunk = command(places.tool("trunk"));
    toolchain.apply(&mut trunk);
    // trunk looks for wasm-bindgen on the PATH before it would download it.
    let path = trunk.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value.map(ToOwned::to_owned));
    let path = path.or_else(|| env::var_os("PATH")).unwrap_or_default();
    let folders = std::iter::once(places.tools().join("bin")).chain(env::split_paths(&path));
    trunk.env("PATH", env::join_paths(folders)?);
    // This version understands `true` and `false` there, not the usual `1`.
    trunk.env_remove("NO_COLOR").env("TRUNK_SKIP_VERSION_CHECK", "true");
    // When the page does not compile, the compiler's message is what matters, not where trunk heard of it.
    trunk.env("RUST_BACKTRACE", "0");
    run(trunk.args(["build", "--release"]).current_dir(&places.root)).context("the page did not build")
}
