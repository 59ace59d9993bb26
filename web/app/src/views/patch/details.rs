//! The cell that is looked at.

use super::Looking;
use crate::figures::quantity;
use crate::patching::{Map, MapCell, percent};
use crate::views::cells::Place;
use leptos::prelude::*;
use tiller_recipe::PatchQuestion;

#[component]
pub fn Details() -> impl IntoView {
    let looking = expect_context::<Looking>();
    let shown = Memo::new(move |_| {
        looking.found.with(|found| {
            let map = found.map()?;
            let Place { row, column } = looking.chosen.get().or_else(|| strongest(&map))?;
            let (layer, cells) = map.rows.get(row)?;
            let cell = cells.get(column)?.clone()?;
            let title = format!("block {layer}, {}", map.heads.get(column)?);
            let effect = map.effect_text(&cell);
            Some((title, effect, found.of.question == PatchQuestion::Ablation, cell))
        })
    });
    view! {
        <section class="details" data-testid="patch-details" aria-label="What is looked at">
            {move || shown.get().map(|(title, effect, ablated, cell)| view! {
                <h3>{title}</h3>
                <Numbers effect ablated cell/>
            })}
        </section>
    }
}

/// The largest effect that is beyond its controls: what is shown before the user looks at something.
fn strongest(map: &Map) -> Option<Place> {
    let cells = map.rows.iter().enumerate().flat_map(|(row, (_, cells))| {
        cells.iter().enumerate().filter_map(move |(column, cell)| Some((Place { row, column }, cell.as_ref()?)))
    });
    let by_size = |a: &(Place, &MapCell), b: &(Place, &MapCell)| a.1.effect.abs().total_cmp(&b.1.effect.abs());
    cells.max_by(by_size).map(|(place, _)| place)
}

#[component]
fn Numbers(effect: String, ablated: bool, cell: MapCell) -> impl IntoView {
    let controls: Vec<String> = cell
        .controls
        .iter()
        .map(|control| match ablated {
            true => format!("{control:+.2}"),
            false => percent(*control),
        })
        .collect();
    let verdict = match cell.is_within_controls() {
        true => "No larger than a random change of the same size: nothing is shown by it.",
        false => "Larger than every random control.",
    };
    let what = if ablated { "Change of the lead" } else { "Effect" };
    let title = if ablated {
        "Logit of the answer less logit of the wrong one, with the part taken away less without"
    } else {
        "How far the patch moved the lead, as a share of the distance between the two prompts"
    };
    view! {
        <dl class="standing">
            <dt title=title>{what}</dt><dd class="mono" data-testid="patch-effect">{effect}</dd>
            <dt title="Logit of the answer less logit of the wrong answer, in this run">"Lead that is left"</dt>
            <dd class="mono">{quantity(cell.difference)}</dd>
            <dt title="Effects of random changes of the same size at the same place">"Random controls"</dt>
            <dd class="mono">{controls.join(", ")}</dd>
            {cell.perplexity.map(|factor| view! {
                <dt title="Of a neutral text: what the rest of the model's work loses">"Perplexity"</dt>
                <dd class="mono">{format!("× {}", quantity(factor))}</dd>
            })}
        </dl>
        <p class="small soft verdict">{verdict}</p>
    }
}
