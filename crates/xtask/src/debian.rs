//! The system's packages, where they can be installed without asking: Debian and its kin, as root.

use crate::command::{answer, command, run_quietly};
use anyhow::{Result, bail};
use std::process::Command;

/// Whether [`install`] can do anything here.
pub fn can_install() -> bool {
    has_apt() && is_root()
}

/// Installs packages, or says in one sentence what somebody else has to do. `what` is what they are for.
pub fn install(what: &str, packages: &[&str]) -> Result<()> {
    if !has_apt() {
        bail!("{what} is missing; install it with this system's package manager, then run this again");
    }
    if !is_root() {
        bail!("{what} is missing; run `apt-get install {}` as root, then run this again", packages.join(" "));
    }
    // A machine whose package lists are new needs no update; one without lists fails at once.
    if run_quietly(&mut apt_get(packages)).is_err() {
        run_quietly(command("apt-get").args(["-qq", "update"]))?;
        run_quietly(&mut apt_get(packages))?;
    }
    Ok(())
}

fn apt_get(packages: &[&str]) -> Command {
    let mut apt = command("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt.args(["install", "-qq", "-y", "--no-install-recommends"]).args(packages);
    apt
}

fn has_apt() -> bool {
    cfg!(target_os = "linux") && answer(command("apt-get").arg("--version")).is_some()
}

fn is_root() -> bool {
    answer(command("id").arg("-u")).as_deref() == Some("0")
}
