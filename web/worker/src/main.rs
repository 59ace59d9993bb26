//! The dedicated worker that owns the engine.
//!
//! Messages arrive on one queue. Those that steer a job that runs (stop it, change its strength) act at once; the
//! others are jobs, and jobs run one after the other, because there is one engine. Only what needs no engine (asking the
//! hub what there is) goes on beside them. Where several threads may compute, the same program runs in each of them.

#![cfg_attr(not(target_arch = "wasm32"), allow(unused))]

#[cfg(target_arch = "wasm32")]
mod backend;
#[cfg(target_arch = "wasm32")]
mod cache;
#[cfg(target_arch = "wasm32")]
mod cached_folder;
#[cfg(target_arch = "wasm32")]
mod desk;
#[cfg(target_arch = "wasm32")]
mod failure;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod jobs;
#[cfg(target_arch = "wasm32")]
mod lanes;
#[cfg(target_arch = "wasm32")]
mod live;
#[cfg(target_arch = "wasm32")]
mod lookup;
mod restores;

#[cfg(target_arch = "wasm32")]
fn main() {
    console_error_panic_hook::set_once();
    if !lanes::is_lane() {
        desk::open();
    }
}

/// The worker runs in a browser only; a native build of the workspace still has to link.
#[cfg(not(target_arch = "wasm32"))]
fn main() {}
