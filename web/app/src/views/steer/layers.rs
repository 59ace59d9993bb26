//! The layer: how well held-out pairs separate at each, as bars to choose from.

use crate::figures;
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::LayerDirection;

const HEIGHT: f64 = 56.0;
const BAR: f64 = 9.0;

#[component]
pub fn Layers() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looked = RwSignal::new(None::<u32>);
    let chosen = Memo::new(move |_| bench.experiment.with(|experiment| experiment.vector.clone()));
    let choose = move |layer: u32| {
        bench.change("layer", |experiment| {
            if let Some(chosen) = &mut experiment.vector {
                chosen.layer = layer;
            }
        });
        bench.write_again_soon();
    };
    let step = move |key: web_sys::KeyboardEvent| {
        let Some(chosen) = chosen.get_untracked() else { return };
        let layers: Vec<u32> = chosen.directions.layers.iter().map(|at| at.layer).collect();
        let Some(at) = layers.iter().position(|&layer| layer == chosen.layer) else { return };
        let to = match key.key().as_str() {
            "ArrowLeft" | "ArrowDown" => at.saturating_sub(1),
            "ArrowRight" | "ArrowUp" => (at + 1).min(layers.len() - 1),
            "Home" => 0,
            "End" => layers.len() - 1,
            _ => return,
        };
        key.prevent_default();
        choose(layers[to]);
    };
    let caption = move || {
        let chosen = chosen.get()?;
        let layer = looked.get().unwrap_or(chosen.layer);
        let at = chosen.directions.layers.iter().find(|at| at.layer == layer)?;
        let suggested = if chosen.directions.suggested == Some(layer) { ", suggested" } else { "" };
        let is_component = chosen.directions.method.starts_with("pca");
        Some(format!("Layer {layer}{suggested}: {}", describe(at, is_component)))
    };
    view! {
        <div data-testid="layer-chart">
            <h2 title="Each pair is scored along the direction built from the other pairs: d′ is the distance of the two sides' means over their spread">
                "Layer: how well the pairs separate"
            </h2>
            {move || match chosen.get() {
                None => view! { <p class="soft small">"Build a vector to see at which layers the two sides lie apart."</p> }.into_any(),
                Some(vector) if vector.directions.layers.len() == 1 => view! {
                    <p class="soft small">{format!("The vector is of layer {}. Build it again from the pairs to compare layers.", vector.layer)}</p>
                }.into_any(),
                Some(vector) => {
                    let layers = vector.directions.layers.clone();
                    let most = layers.iter().map(height).fold(f64::MIN_POSITIVE, f64::max);
                    let width = BAR * layers.len() as f64;
                    let last = layers.last().map_or(0, |at| at.layer);
                    view! {
                        <svg class="layers" viewBox=format!("0 0 {width} {}", HEIGHT + 4.0) preserveAspectRatio="none"
                            role="slider" tabindex="0" aria-label="Layer" aria-valuemin="0" aria-valuemax=last
                            aria-valuenow=vector.layer aria-valuetext=move || caption().unwrap_or_default()
                            on:keydown=step on:mouseleave=move |_| looked.set(None)>
                            {layers.into_iter().enumerate().map(|(i, at)| {
                                let tall = (height(&at) / most * HEIGHT).max(1.5);
                                let layer = at.layer;
                                let suggested = vector.directions.suggested == Some(layer);
                                view! {
                                    <g class="bar" class:chosen=layer == vector.layer class:suggested=suggested
                                        on:mouseenter=move |_| looked.set(Some(layer)) on:click=move |_| choose(layer)>
                                        <rect class="reach" x=i as f64 * BAR y="0" width=BAR height=HEIGHT + 4.0/>
                                        <rect class="tall" x=i as f64 * BAR + 1.0 y=HEIGHT - tall width=BAR - 2.0 height=tall/>
                                    </g>
                                }
                            }).collect_view()}
                        </svg>
                        <div class="scale" aria-hidden="true"><span>"0"</span><span>{last}</span></div>
                    }.into_any()
                }
            }}
            <p class="soft small caption" aria-live="polite">{caption}</p>
        </div>
    }
}

/// A bar shows d', or where that is not known, the vector's length in units of the stream's.
fn height(at: &LayerDirection) -> f64 {
    let value = match at.separability {
        Some(separability) => f64::from(separability.d_prime),
        None => f64::from(at.norm / at.typical_norm),
    };
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

fn describe(at: &LayerDirection, is_component: bool) -> String {
    let stream = figures::quantity(at.typical_norm.into());
    // A component has length one, which says nothing of the pairs.
    let lengths = match is_component {
        true => format!("stream {stream} long"),
        false => format!("difference {} long, stream {stream}", figures::quantity(at.norm.into())),
    };
    match at.separability {
        Some(s) => format!(
            "{:.0} % of held-out pairs right, d′ {}; {lengths}",
            s.accuracy * 100.0,
            figures::quantity(s.d_prime.into())
        ),
        None => lengths,
    }
}
