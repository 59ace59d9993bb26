//! The prompt, which all views share.

use crate::workbench::{ModelState, Workbench};
use leptos::prelude::*;

#[component]
pub fn PromptBox(
    /// The buttons beside it.
    children: Children,
) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let chat = move || bench.experiment.with(|experiment| experiment.prompt.chat);
    let has_template = move || match bench.model.get() {
        ModelState::Ready(model) => model.has_chat_template,
        _ => true,
    };
    let ready = move || matches!(bench.model.get(), ModelState::Ready(_));
    let earlier = move || bench.experiment.with(|experiment| experiment.prompt.earlier.clone());
    let system =
        move || bench.experiment.with(|experiment| experiment.prompt.system.chars().take(60).collect::<String>());
    view! {
        <div class="promptbox" data-part="prompt">
            <div class="row between">
                <div class="segmented" role="radiogroup" aria-label="Kind of prompt">
                    <label title="The text is rendered with the model's own chat template">
                        <input type="radio" name="kind" prop:checked=chat prop:disabled=move || !has_template()
                            on:change=move |_| bench.change("prompt", |experiment| experiment.prompt.chat = true)/>
                        <span>"Chat"</span>
                    </label>
                    <label title="The model goes on from the text as it stands">
                        <input type="radio" name="kind" prop:checked=move || !chat()
                            on:change=move |_| bench.change("prompt", |experiment| experiment.prompt.chat = false)/>
                        <span>"Raw text"</span>
                    </label>
                </div>
                <Show when=move || bench.queued.get() && !ready()>
                    <span class="soft small" role="status">"Will write when the model is ready."</span>
                </Show>
            </div>
            <Show when=chat>
                <details class="system">
                    <summary>"System message "<span class="soft">{system}</span></summary>
                    <textarea class="field" rows="2" aria-label="System message" placeholder="None: the model's own is used"
                        prop:value=move || bench.experiment.with(|experiment| experiment.prompt.system.clone())
                        on:input=move |input| {
                            let text = event_target_value(&input);
                            bench.change("system", |experiment| experiment.prompt.system = text);
                        }></textarea>
                </details>
            </Show>
            {move || earlier().into_iter().map(|turn| view! { <p class="turn"><b>{turn.role}</b>" "{turn.content}</p> }).collect_view()}
            <div class="row prompt">
                <textarea class="field" rows="2" data-testid="prompt" aria-label="Prompt" maxlength="20000"
                    prop:value=move || bench.experiment.with(|experiment| experiment.prompt.text.clone())
                    on:input=move |input| {
                        let text = event_target_value(&input);
                        bench.change("prompt", |experiment| experiment.prompt.text = text);
                    }></textarea>
                <div class="buttons">
                    {children()}
                </div>
            </div>
        </div>
    }
}
