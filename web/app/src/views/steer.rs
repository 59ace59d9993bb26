//! The Steer view: the experiment on the left, what the model says on the right, the evidence under it.

mod evidence;
mod layers;
mod pairs;
mod prompt;
mod sampling;
mod strength;
mod texts;

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
                <prompt::PromptBox/>
                <texts::Texts/>
                <evidence::EvidenceRow/>
            </section>
        </div>
    }
}
