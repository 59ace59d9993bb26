//! The probe on every token of a text.

use crate::figures;
use crate::lens::visible;
use crate::views::prompt::PromptBox;
use crate::workbench::Workbench;
use leptos::prelude::*;

#[component]
pub fn OnAText() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let shown = Memo::new(move |_| bench.probes.with(|work| work.text.clone()));
    let busy = move || bench.probes.with(|work| work.reading.is_some());
    let of_others = move || {
        let block = bench.probed_block();
        let prompt = bench.experiment.with(|experiment| experiment.read().prompt);
        shown.with(|shown| shown.as_ref().is_some_and(|(own, of, _)| Some(*own) != block || *of != prompt))
    };
    let positive = move || {
        bench.probes.with(|work| work.found.summary.as_ref().map_or_else(String::new, |s| s.classes[0].clone()))
    };
    view! {
        <section class="probe-text" aria-label="The probe on a text">
            <h2>"On any text, token by token"</h2>
            <PromptBox>
                <button class="btn" data-testid="probe-text" prop:disabled=move || busy() || bench.probes_are_stale()
                    on:click=move |_| bench.probe_text()>"Read"</button>
            </PromptBox>
            {move || shown.get().map(|(block, _, text)| {
                let stale = of_others();
                view! {
                    <p class="probed mono" class:stale=stale data-testid="probed" data-block=block>
                        {text.tokens.into_iter().map(|token| {
                            let words = format!(
                                "{}: {} {}, score {}",
                                visible(&token.text),
                                figures::probability(token.probability.ln()),
                                positive(),
                                figures::quantity(token.score.into())
                            );
                            view! { <span style=tint(token.probability) title=words data-probability=format!("{:.4}", token.probability)>{visible(&token.text)}</span> }
                        }).collect_view()}
                    </p>
                }
            })}
            <p class="soft small">
                {move || match (busy(), of_others()) {
                    (true, _) => "Reading".to_string(),
                    (false, true) => "This was read by another probe, or is of another text: read again.".into(),
                    (false, false) if shown.with(Option::is_some) => {
                        format!("Green: {}; red: the other. It was fitted at {}; what it says elsewhere is its word, not evidence.", positive(), fitted_at(bench))
                    }
                    _ => "The prompt that all views share, tinted by what the probe reads at each token.".into(),
                }}
            </p>
        </section>
    }
}

fn fitted_at(bench: Workbench) -> &'static str {
    match bench.experiment.with(|experiment| experiment.probe.read) {
        tiller_recipe::ReadAt::Last => "texts' last tokens",
        tiller_recipe::ReadAt::Mean => "means over texts",
    }
}

/// The surer, the deeper: one colour to each side.
fn tint(probability: f32) -> String {
    let side = if probability >= 0.5 { "accent" } else { "plain-tint" };
    let share = 55.0 * (2.0 * probability - 1.0).abs();
    format!("background:color-mix(in srgb, var(--{side}) {share:.1}%, transparent)")
}
