//! What can be wrong with a sparse autoencoder.

/// Every message says what happened and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaeError {
    #[error(
        "the SAE reads {d_in} numbers, has {d_sae} features and writes {d_out} numbers: choose a file that holds one"
    )]
    Empty { d_in: usize, d_sae: usize, d_out: usize },
    #[error(
        "the SAE's {name} holds {found} numbers, where an SAE of {d_in} numbers and {d_sae} features has {expected}: choose \
         the files of one SAE"
    )]
    Shape { name: &'static str, found: usize, expected: usize, d_in: usize, d_sae: usize },
    #[error("the SAE's {name} holds numbers that are not finite: download its file again")]
    NotFinite { name: &'static str },
    #[error(
        "the SAE keeps the {k} largest of {d_sae} features: its k has to be at least 1, and no more than there are"
    )]
    K { k: usize, d_sae: usize },
    #[error(
        "the SAE's matching pursuit takes no finite number of steps: its max_iterations has to be from 1 to {most}, and its \
         residual_threshold a number"
    )]
    Pursuit { most: usize },
    #[error(
        "the SAE is a transcoder that subtracts its decoder's bias from what it reads, or that pursues: neither is defined; \
         set apply_b_dec_to_input to false, or choose another file"
    )]
    Transcoder,
    #[error("one SAE writes {first} numbers and the other {second}: compare two of the same activation")]
    Unlike { first: usize, second: usize },
}
