//! The vector: its strength, where it acts, and the control in its place.

use crate::experiment::FurtherEdit;
use crate::figures;
use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::Positions;

/// The slider's ends. At 1 the vector is as long as the residual stream itself; beyond 2 there is only noise to see.
const REACH: f32 = 2.0;

#[component]
pub fn Strength() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let strength = move || bench.experiment.with(|experiment| experiment.strength);
    let control = move || bench.experiment.with(|experiment| experiment.control);
    let name = move || match control() {
        None => bench.experiment.with(|experiment| experiment.name.clone()),
        Some(seed) => format!("Random direction {seed}"),
    };
    let place = move || {
        bench.experiment.with(|experiment| match experiment.vector.as_ref().and_then(|chosen| chosen.at_layer()) {
            Some(at) => {
                let place = format!("added to blocks.{}.hook_resid_post", at.layer);
                let off = at.direction.code().map(|(code, error)| (code.title(), figures::code_error(error)));
                off.map_or_else(|| place.clone(), |(title, off)| format!("{place}; the link held it in {title}: {off}"))
            }
            None => "no vector yet: build one from the pairs".into(),
        })
    };
    let reach = move || strength().abs().max(REACH);
    let scale = move || {
        let reach = figures::strength(reach());
        [reach.replace('+', "−"), "0".into(), reach]
    };
    // The filled part of the track lies between 0 and the strength.
    let filled = move || {
        let at = 0.5 + strength() / reach() / 2.0;
        format!("--from:{:.4};--to:{:.4}", at.min(0.5), at.max(0.5))
    };
    let set_control = move |seed: Option<u32>| {
        bench.change("control", |experiment| experiment.control = seed);
        bench.write_again_soon();
    };
    let another = move |_| set_control(Some((js_sys::Math::random() * 1e4) as u32));
    view! {
        <div class="card edit">
            <div class="row between">
                <b class="name" class:random=move || control().is_some()>{name}</b>
                <span class="value">{move || figures::strength(strength())}</span>
            </div>
            <p class="soft small">{place}</p>
            <input type="range" class="signed" style=filled data-testid="strength" aria-label="Strength" step="0.05" list="no-strength"
                title="In multiples of the typical length of the residual stream at this layer: at 1×, what is added is as long as what is there"
                min=move || -reach() max=reach
                aria-valuetext=move || figures::strength(strength())
                prop:value=move || strength().to_string()
                on:input=move |input| {
                    if let Ok(strength) = event_target_value(&input).parse() {
                        bench.set_strength(strength);
                    }
                }/>
            <datalist id="no-strength"><option value="0"></option></datalist>
            <div class="scale" aria-hidden="true">{move || scale().into_iter().map(|mark| view! { <span>{mark}</span> }).collect_view()}</div>
            <div class="row between">
                <label class="check" title="The control: a random direction of the same length, at the same place. What it does too is not the vector's doing.">
                    <input type="checkbox" prop:checked=move || control().is_some()
                        on:change=move |change| set_control(event_target_checked(&change).then_some(1))/>
                    "Random direction instead"
                </label>
                <Show when=move || control().is_some()>
                    <button class="plain" on:click=another>"Another"</button>
                </Show>
            </div>
            <PositionsChoice/>
            {move || {
                let said = |further: &FurtherEdit| further.edit.in_words(&further.vectors);
                let further: Vec<String> = bench.experiment.with(|experiment| experiment.further.iter().map(said).collect());
                (!further.is_empty()).then(|| view! {
                    <p class="soft small">"What else came with the link:"</p>
                    <ul class="soft small" data-testid="further-edits">{further.into_iter().map(|said| view! { <li>{said}</li> }).collect_view()}</ul>
                })
            }}
        </div>
    }
}

#[component]
fn PositionsChoice() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let positions = move || bench.experiment.with(|experiment| experiment.positions.clone());
    let chosen = move || match positions() {
        Positions::All => "all",
        Positions::Prompt => "prompt",
        Positions::Generated => "generated",
        Positions::Last => "last",
        Positions::Listed(_) => "listed",
    };
    let listed = move || match positions() {
        Positions::Listed(listed) => listed.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    };
    let set = move |positions: Positions| {
        bench.change("positions", |experiment| experiment.positions = positions);
        bench.write_again_soon();
    };
    let choose = move |change| {
        set(match event_target_value(&change).as_str() {
            "prompt" => Positions::Prompt,
            "generated" => Positions::Generated,
            "last" => Positions::Last,
            "listed" => Positions::Listed(vec![0]),
            _ => Positions::All,
        });
    };
    let list = move |change| {
        let listed = event_target_value(&change)
            .split(',')
            .filter_map(|position| position.trim().parse().ok())
            .take(256)
            .collect();
        set(Positions::Listed(listed));
    };
    let options = [
        ("all", "Every token"),
        ("prompt", "The prompt's tokens"),
        ("generated", "Written tokens"),
        ("last", "The prompt's last token"),
        ("listed", "Listed positions"),
    ];
    view! {
        <label class="labelled" title="The tokens at which the vector is added">"Acts on"
            <select class="field" data-testid="positions" on:change=choose>
                {options.into_iter().map(|(value, name)| view! {
                    <option value=value selected=move || chosen() == value>{name}</option>
                }).collect_view()}
            </select>
        </label>
        <Show when=move || chosen() == "listed">
            <input class="field mono" aria-label="Positions, from 0" placeholder="0, 3, 5" prop:value=listed on:change=list/>
        </Show>
    }
}
