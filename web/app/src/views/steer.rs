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
            <aside aria-label="The experiment" data-part="controls">
                <strength::Strength/>
                <layers::Layers/>
                <pairs::Pairs/>
                <sampling::SamplingControls/>
            </aside>
            <section class="said" aria-label="What the model says">
                <PromptBox><write_buttons::WriteButtons/></PromptBox>
                <texts::Texts/>
                <div data-part="evidence"><evidence::EvidenceRow/></div>
                <div data-part="search"><grid::GridRow/></div>
            </section>
        </div>
    }
}
