//! The buttons that write.

use crate::workbench::Workbench;
use leptos::prelude::*;

#[component]
pub fn WriteButtons() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let greedy = move || bench.experiment.with(|experiment| experiment.sampling.temperature == 0.0);
    let again = move |_| {
        bench.change("seed", |experiment| experiment.sampling.seed = (js_sys::Math::random() * 1e6) as u32);
        bench.write();
    };
    view! {
        <Show when=move || bench.writing() fallback=move || view! {
            <button class="btn go" data-testid="write" title="Ctrl+Enter"
                on:click=move |_| bench.write()>"Write"</button>
        }>
            <button class="btn go" data-testid="stop" title="Esc" on:click=move |_| bench.stop()>"Stop"</button>
        </Show>
        <button class="btn" prop:disabled=greedy on:click=again
            title="Write again with another seed: other chance, same experiment. Greedy writing knows no chance.">"Again"</button>
    }
}
