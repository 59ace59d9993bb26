//! How tokens are drawn.

use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::Sampling;

#[component]
pub fn SamplingControls() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let sampling = move || bench.experiment.with(|experiment| experiment.sampling);
    let greedy = move || sampling().temperature == 0.0;
    let set = move |kind: &'static str, change: &dyn Fn(&mut Sampling)| {
        bench.change(kind, |experiment| {
            change(&mut experiment.sampling);
            experiment.sampling = experiment.sampling.clamped();
        });
    };
    let summary = move || {
        let Sampling { temperature, seed, .. } = sampling();
        let max = bench.experiment.with(|experiment| experiment.max_tokens);
        match greedy() {
            true => format!("greedy, {max} tokens"),
            false => format!("temperature {temperature}, seed {seed}, {max} tokens"),
        }
    };
    let number = move |label: &'static str,
                       id: &'static str,
                       help: &'static str,
                       [min, max, step]: [&'static str; 3],
                       value: Signal<String>,
                       changed: Callback<String>| {
        view! {
            <label class="labelled" title=help>{label}
                <input class="field mono" type="number" data-testid=id min=min max=max step=step prop:value=move || value.get()
                    on:change=move |change| changed.run(event_target_value(&change))/>
            </label>
        }
    };
    view! {
        <details class="sampling" open>
            <summary>"Sampling"<span class="soft small">" "{summary}</span></summary>
            <div class="numbers">
                {number("Tokens", "max-tokens", "Tokens to write at most", ["1", "1000", "1"],
                    Signal::derive(move || bench.experiment.with(|experiment| experiment.max_tokens).to_string()),
                    Callback::new(move |text: String| if let Ok(tokens) = text.parse::<u32>() {
                        bench.change("max tokens", |experiment| experiment.max_tokens = tokens.clamp(1, 1000));
                    }))}
                {number("Seed", "seed", "Chance: the same seed writes the same text, and the plain and the steered text share it", ["0", "4294967295", "1"],
                    Signal::derive(move || sampling().seed.to_string()),
                    Callback::new(move |text: String| if let Ok(seed) = text.parse() { set("seed", &|sampling| sampling.seed = seed); }))}
                {number("Temperature", "temperature", "0 always takes the most probable token; 1 draws from the model's own distribution", ["0", "5", "0.1"],
                    Signal::derive(move || sampling().temperature.to_string()),
                    Callback::new(move |text: String| if let Ok(value) = text.parse() { set("temperature", &|sampling| sampling.temperature = value); }))}
                {number("Top-k", "top-k", "Only the k most probable tokens are drawn; 0 means no limit", ["0", "1000", "1"],
                    Signal::derive(move || sampling().top_k.to_string()),
                    Callback::new(move |text: String| if let Ok(value) = text.parse() { set("top-k", &|sampling| sampling.top_k = value); }))}
                {number("Top-p", "top-p", "Only the most probable tokens that together reach this probability are drawn; 1 means no limit", ["0", "1", "0.05"],
                    Signal::derive(move || sampling().top_p.to_string()),
                    Callback::new(move |text: String| if let Ok(value) = text.parse() { set("top-p", &|sampling| sampling.top_p = value); }))}
                <label class="check" title="Always the most probable token: no chance at all">
                    <input type="checkbox" prop:checked=greedy
                        on:change=move |change| {
                            let temperature = if event_target_checked(&change) { 0.0 } else { Sampling::default().temperature };
                            set("temperature", &|sampling| sampling.temperature = temperature);
                        }/>
                    "Greedy"
                </label>
            </div>
        </details>
    }
}
