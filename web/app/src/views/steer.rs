//! The Steer view: the experiment on the left, what the model says on the right, the evidence under it.

mod evidence;
mod grid;
mod layers;
mod pairs;
mod sampling;
mod strength;
mod texts;
mod write_buttons;

use crate::views::prompt::PromptBox;
pub use evidence::EvidenceRow;
use leptos::prelude::*;
pub use texts::{Texts, Tint};
pub use write_buttons::WriteButtons;

#[component]
pub fn Steer() -> impl IntoView {
    view! {
        <div class="steer">
            <aside aria-label="The experiment">
                <div data-part="slider"><strength::Strength/></div>
                <div class="pairs-part" data-part="pairs"><layers::Layers/><pairs::Pairs/></div>
                <div data-part="sampling"><sampling::SamplingControls/></div>
            </aside>
            <section class="said" aria-label="What the model says">
                <PromptBox><WriteButtons/></PromptBox>
                <Texts/>
                <div data-part="evidence"><EvidenceRow/></div>
                <div data-part="search"><grid::GridRow/></div>
            </section>
        </div>
    }
}
