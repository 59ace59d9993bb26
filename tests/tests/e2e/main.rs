//! The page in a real browser, end to end: the built page from `dist`, the real model from a local hub, WebGPU on
//! Chromium's software adapter. Nothing is mocked; only the hub's troubles are made to order.
//!
//! Wanted on the machine: `chromium` and `chromedriver` (or `TILLER_CHROMIUM`, `TILLER_CHROMEDRIVER`), the page built
//! into `dist` (or `TILLER_DIST`), and the model in the hub's cache (or `TILLER_HUB_CACHE`). Screenshots go to
//! `target/artefacts` (or `TILLER_ARTEFACTS`). Scenarios take turns: two browsers on a software GPU starve each other.

mod browser;
mod chromedriver;
mod folders;
mod gguf_bytes;
mod orders;
mod page;
mod recipes;
mod small_models;
mod stage;

mod bad_models;
mod choosing;
mod consent;
mod engine_troubles;
mod evidence;
mod fallback;
mod features;
mod gallery;
mod grid;
mod hub_saes;
mod hub_troubles;
mod hurry;
mod kept_files;
mod keyboard;
mod larger_model;
mod lens;
mod links;
mod looks;
mod methods;
mod original_weights;
mod patching;
mod probes;
mod steering;
mod storage_troubles;
mod threads;
mod training;
mod untrusted_text;
mod vectors;
