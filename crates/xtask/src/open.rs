//! Showing an address in a browser of this machine, where there is a screen.

use crate::command::command;
use crate::setup::chromium;
use std::env;
use std::process::{Command, Stdio};

/// Whether some browser took it. The address is printed in any case, so failing is no error.
pub fn open(address: &str) -> bool {
    let mut ways: Vec<Command> = Vec::new();
    let mut add = |program: &str, arguments: &[&str]| {
        let mut way = command(program);
        way.args(arguments).arg(address);
        ways.push(way);
    };
    if cfg!(target_os = "macos") {
        add("open", &[]);
    } else if cfg!(windows) {
        add("cmd", &["/c", "start", ""]);
    } else if env::var_os("DISPLAY").is_some() || env::var_os("WAYLAND_DISPLAY").is_some() {
        add("xdg-open", &[]);
        if let Some(chromium) = chromium() {
            add(&chromium.to_string_lossy(), &["--no-first-run"]);
        }
    }
    ways.iter_mut().any(|way| way.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_ok())
}
