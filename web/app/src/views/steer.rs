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
use leptos::prelude::*;

#[component]
pub fn Steer() -> impl IntoView {
    view! {
        <div class="steer">
            <aside aria-label="The experiment">
                <strength::Strength/>
                <layers::Layers/>
                <pairs::Pairs/>
                <sampling::SamplingControls/>
            </aside>
            <section class="said" aria-label="What the model says">
                <PromptBox><write_buttons::WriteButtons/></PromptBox>
                <texts::Texts/>
                <evidence::EvidenceRow/>
                <grid::GridRow/>
            </section>
        </div>
    }
}
