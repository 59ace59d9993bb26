//! What the numbers of an ablation are.

use super::Looking;
use leptos::prelude::*;

#[component]
pub fn AblationNote() -> impl IntoView {
    let looking = expect_context::<Looking>();
    let words = move || {
        let (difference, perplexity) = looking.found.with(|found| found.whole).unwrap_or_default();
        let cost = perplexity.map(|perplexity| format!(" The neutral text's perplexity is {perplexity:.1}."));
        format!(
            "The whole model leads by {difference:.2} logits.{} Controls: for a head as many random units of its layer, \
             for an MLP a random direction as long as the change.",
            cost.unwrap_or_default()
        )
    };
    view! { <p class="soft small explained">{words}</p> }
}
