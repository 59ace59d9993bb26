//! Features of an MLP without a dictionary that was trained before: its neurons in a few sparse combinations.
//!
//! Semi-nonnegative matrix factorisation (Ding, Li and Jordan 2010, "Convex and Semi-Nonnegative Matrix Factorizations"), on
//! the activations of an MLP's neurons over a few thousand tokens, each combination of few neurons (Shafran et al. 2025,
//! "Decomposing MLP Activations into Interpretable Features via Semi-Nonnegative Matrix Factorization").

mod factorise;
mod mlp_components;
mod steer_component;

pub use factorise::{Factors, SnmfOptions, factorise};
pub use mlp_components::{Component, ComponentContext, MlpComponents, mlp_components};
pub use steer_component::{ComponentSteering, SteeredComponent, steer_component};
