//! Erasing what the probe reads, and measuring again.

use crate::figures;
use crate::probes::percent;
use crate::views::progress;
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::{AfterErasure, ProbeErasure};

#[component]
pub fn Erasure() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let busy = move || bench.probes.with(|work| work.erasing.is_some());
    let erased = move || bench.probes.with(|work| work.erased.clone());
    let blocked = move || bench.probes_are_stale() || bench.probes.with(|work| work.found.summary.is_none());
    let going = move || {
        bench.probes.with(|work| match (&work.erasing, &work.progress) {
            (Some(_), Some(shown)) => progress::sentence(shown, 0.0),
            (Some(_), None) => "Waiting for the model to be free".into(),
            _ => String::new(),
        })
    };
    let state = move || {
        if busy() {
            "erasing"
        } else if erased().is_some() {
            "erased"
        } else {
            "none"
        }
    };
    view! {
        <section class="card probe-erasure" data-testid="probe-erasure" data-state=state aria-label="Erase and measure again">
            <h3>"Is it gone when it is erased?"</h3>
            <p class="soft small">
                "Takes away at this layer, at every token, all that a straight cut can read of the label (LEACE), fits new probes here and after the last block, and measures what it costs the model on a neutral text."
            </p>
            <Show when=busy fallback=move || view! {
                <button class="btn" data-testid="erase-probe" prop:disabled=blocked on:click=move |_| bench.erase_probe()>"Erase and measure again"</button>
            }>
                <button class="btn" on:click=move |_| bench.stop_probes()>"Stop"</button>
            </Show>
            <p class="soft small status" role="status">{going}</p>
            {move || erased().map(|erased| view! { <Result erased/> })}
        </section>
    }
}

#[component]
fn Result(erased: ProbeErasure) -> impl IntoView {
    let list = |shares: &[f32]| shares.iter().map(|&share| percent(share)).collect::<Vec<_>>().join(", ");
    let row = move |at: AfterErasure| {
        let random = list(&at.random);
        view! {
            <tr>
                <th scope="row">{format!("block {}", at.block)}</th>
                <td class="mono">{percent(at.before)}</td><td class="mono">{percent(at.after)}</td><td class="mono">{random}</td>
            </tr>
        }
    };
    let random: Vec<String> =
        erased.perplexity.random.iter().map(|&p| figures::change(erased.perplexity_plain, p)).collect();
    let cost = format!(
        "Perplexity of the neutral text {}, {} (erasing shuffled labels: {}).",
        figures::quantity(erased.perplexity.value),
        figures::change(erased.perplexity_plain, erased.perplexity.value),
        random.join(", ")
    );
    view! {
        <div data-testid="probe-erased" data-block=erased.block>
            <p class="small">{format!("Erased after block {}. New probes get right, of the test texts:", erased.block)}</p>
            <table class="decisions">
                <thead><tr><td></td><th scope="col">"before"</th><th scope="col">"after"</th><th scope="col">"shuffled labels erased"</th></tr></thead>
                <tbody>{erased.after.into_iter().map(row).collect_view()}</tbody>
            </table>
            <p class="small">{cost}</p>
        </div>
    }
}
