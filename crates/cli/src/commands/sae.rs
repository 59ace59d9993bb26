//! `tiller sae`: sparse autoencoders.

pub mod ablate;
pub mod bias;
pub mod card;
pub mod compare;
pub mod contrast;
pub mod cost;
pub mod describe;
pub mod facets;
pub mod feature;
pub mod features;
pub mod harvest;
pub mod rows;
pub mod sentences;
pub mod steer;
pub mod train;

use clap::Subcommand;

#[derive(Subcommand)]
pub enum Sae {
    /// The features of a text, token by token.
    Features(features::Flags),
    /// What one feature writes: the tokens it makes likelier, and the features that point its way.
    Feature(feature::Flags),
    /// The features in which two texts differ most.
    Contrast(contrast::Flags),
    /// What it costs to read features while the model writes.
    Cost(cost::Flags),
    /// How far an autoencoder can be trusted, beside principal components and random directions.
    Card(Box<card::Flags>),
    /// How far two autoencoders of one activation hold the same features, beside random directions.
    Compare(compare::Flags),
    /// What the model loses without a feature, on texts in which it is active, beside random features.
    Ablate(ablate::Flags),
    /// Whether holding a labelled feature raises the words of its label, beside other features and random directions.
    Steer(Box<steer::Flags>),
    /// The groups of contexts in which a feature is strongest.
    Facets(facets::Flags),
    /// The texts of a file that make the same features fire as some examples do.
    Rows(rows::Flags),
    /// To which of two concepts others are tied, read from features, beside what the model says.
    Bias(Box<bias::Flags>),
    /// One vector for each sentence, to train on, and what features know of sentences.
    Sentences(sentences::Flags),
    /// Read the activations of many texts at one layer into a file, to train on.
    Harvest(harvest::Flags),
    /// Train a sparse autoencoder on activations that were harvested.
    Train(Box<train::Flags>),
    /// Label features, and find the passages at which they are strongest.
    Describe(Box<describe::Flags>),
}

pub async fn run(sae: Sae) -> anyhow::Result<()> {
    match sae {
        Sae::Features(flags) => features::run(flags).await,
        Sae::Feature(flags) => feature::run(flags).await,
        Sae::Contrast(flags) => contrast::run(flags).await,
        Sae::Cost(flags) => cost::run(flags).await,
        Sae::Card(flags) => card::run(*flags).await,
        Sae::Compare(flags) => compare::run(flags).await,
        Sae::Ablate(flags) => ablate::run(flags).await,
        Sae::Steer(flags) => steer::run(*flags).await,
        Sae::Facets(flags) => facets::run(flags).await,
        Sae::Rows(flags) => rows::run(flags).await,
        Sae::Bias(flags) => bias::run(*flags).await,
        Sae::Sentences(flags) => sentences::run(flags).await,
        Sae::Harvest(flags) => harvest::run(flags).await,
        Sae::Train(flags) => train::run(*flags).await,
        Sae::Describe(flags) => describe::run(*flags).await,
    }
}
