//! `tiller sae`: sparse autoencoders.

pub mod harvest;
pub mod train;

use clap::Subcommand;

#[derive(Subcommand)]
pub enum Sae {
    /// Read the activations of many texts at one layer into a file, to train on.
    Harvest(harvest::Flags),
    /// Train a sparse autoencoder on activations that were harvested.
    Train(Box<train::Flags>),
}

pub async fn run(sae: Sae) -> anyhow::Result<()> {
    match sae {
        Sae::Harvest(flags) => harvest::run(flags).await,
        Sae::Train(flags) => train::run(*flags).await,
    }
}
