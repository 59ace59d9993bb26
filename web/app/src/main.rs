//! The page: views, widgets, charts. It only draws; the worker computes.

// A native build holds what needs no browser, and its tests.
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code, unused_imports))]

mod comparison;
mod csv;
mod experiment;
mod features;
mod figures;
mod grid;
mod history;
mod lens;
mod pasted_pairs;
mod patching;
mod probes;
mod shelf;
mod starting_sets;
mod svg;
mod training;
mod typed_repository;

#[cfg(target_arch = "wasm32")]
mod address;
#[cfg(target_arch = "wasm32")]
mod bridge;
#[cfg(target_arch = "wasm32")]
mod clipboard;
#[cfg(target_arch = "wasm32")]
mod notices;
#[cfg(target_arch = "wasm32")]
mod settings;
#[cfg(target_arch = "wasm32")]
mod shell;
#[cfg(target_arch = "wasm32")]
mod storage;
#[cfg(target_arch = "wasm32")]
mod views;
#[cfg(target_arch = "wasm32")]
mod workbench;

#[cfg(target_arch = "wasm32")]
fn main() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(shell::Shell);
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {}
