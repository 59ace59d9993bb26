//! Which compiler builds for the browser: the usual one if it has the standard library for wasm32, else Debian's.

use crate::command::{answer, command};
use crate::places::on_path;
use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub const TARGET: &str = "wasm32-unknown-unknown";

/// The name under which rustup is told of the distribution's compiler.
pub const DISTRIBUTION: &str = "distro";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WasmToolchain {
    /// What plain `cargo` is.
    Usual,
    /// Debian's, in `/usr`.
    Distribution,
}

impl WasmToolchain {
    /// The first of the two that can compile for the browser now.
    pub fn find() -> Option<Self> {
        [Self::Usual, Self::Distribution].into_iter().find(|toolchain| toolchain.compiles())
    }

    /// Makes a command, and all that it calls, use this toolchain.
    pub fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        match self {
            Self::Usual => command,
            Self::Distribution if on_path("rustup").is_some() => command.env("RUSTUP_TOOLCHAIN", DISTRIBUTION),
            Self::Distribution => {
                let path = env::var_os("PATH").unwrap_or_default();
                let folders = std::iter::once(PathBuf::from("/usr/bin")).chain(env::split_paths(&path));
                command.env("PATH", env::join_paths(folders).unwrap_or(path))
            }
        }
    }

    /// Tried rather than looked up: after an upgrade the library may be there and belong to another compiler.
    fn compiles(&self) -> bool {
        let mut rustc = command("rustc");
        self.apply(&mut rustc).args(["-", "--crate-name", "probe", "--crate-type", "lib", "--emit", "metadata=-"]);
        let trial = rustc.args(["--target", TARGET]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = trial.spawn() else { return false };
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(b"pub fn probe() -> String { String::new() }");
        }
        child.wait().is_ok_and(|status| status.success())
    }
}

/// Whether rustup looks after the usual compiler, so that it may be asked for another target.
pub fn rustup_manages_the_usual() -> bool {
    on_path("rustup").is_some() && answer(command("rustup").args(["show", "active-toolchain"])).is_some()
}
