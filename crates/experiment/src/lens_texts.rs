//! The texts on which the page's tuned lens is trained.

use crate::Session;
use tiller_recipe::{DATASETS, Prompt};

/// The texts of every dataset that comes with the program, in the model's tokens: the same for whoever opens a link. A
/// text that the tokenizer cannot take is left out.
pub fn lens_texts(session: &Session) -> Vec<Vec<u32>> {
    let rows = DATASETS.iter().flat_map(|dataset| dataset.rows());
    rows.filter_map(|row| session.tokens(&Prompt::Text(row.text)).ok()).collect()
}
