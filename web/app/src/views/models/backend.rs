//! What computes, and the choice of it.

use crate::figures;
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::BackendChoice;

#[component]
pub fn Backend() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let in_use = move || match bench.backend.get() {
        None => "Starting".to_string(),
        Some(report) if report.backend == "gpu" => match report.adapter.as_str() {
            "" => "WebGPU computes.".into(),
            adapter => format!("WebGPU computes, on {adapter}."),
        },
        Some(report) => format!("The CPU computes, in WebAssembly, {}.", figures::threads(report.threads)),
    };
    let option = move |choice: BackendChoice, name: &'static str, help: &'static str| {
        view! {
            <label class="radio" title=help>
                <input type="radio" name="backend" prop:checked=move || bench.choice.get() == choice
                    on:change=move |_| bench.choose_backend(choice)/>
                {name}
            </label>
        }
    };
    view! {
        <section class="card" aria-label="Backend">
            <h2>"What computes"</h2>
            <p>{in_use}" "<span class="soft">{move || bench.backend.get().and_then(|report| report.note)}</span></p>
            <div class="row" role="radiogroup" aria-label="Backend">
                {option(BackendChoice::Auto, "Choose for me", "WebGPU where there is a real one, else the CPU")}
                {option(BackendChoice::Gpu, "WebGPU", "Even where it is only software")}
                {option(BackendChoice::Cpu, "CPU", "Slower, and the same numbers")}
            </div>
        </section>
    }
}
