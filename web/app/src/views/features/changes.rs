//! A feature turned up, down or off while the model writes; and what is written, tinted by the feature that is looked at.

use super::Looking;
use crate::features::title;
use crate::figures;
use crate::views::steer::{EvidenceRow, Texts, Tint, WriteButtons};
use crate::workbench::{Run, Workbench};
use leptos::prelude::*;
use tiller_recipe::{FeatureChange, FeatureEdit, FeatureMode};

/// What can be done to a feature: how it is called, whether it takes a number, what is proposed.
const CHANGES: [(&str, &str); 4] =
    [("off", "Turn it off"), ("times", "Multiply it by"), ("set", "Hold it at"), ("add", "Add to it")];
const MODES: [(&str, &str); 3] =
    [("constant", "at every token"), ("fires", "where it fires"), ("once", "once it has fired in the prompt")];

/// The controls on the card of a feature.
#[component]
pub fn ChangeIt(feature: u32) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let change = RwSignal::new("set".to_string());
    let mode = RwSignal::new("constant".to_string());
    // As strong as it ever is, on what is known of it.
    let largest = move || {
        bench.features.with(|work| {
            let seen = work.card.as_ref().filter(|card| card.feature == feature)?.seen.as_ref()?.largest;
            (seen > 0.0).then_some(seen)
        })
    };
    let value = RwSignal::new(None::<f32>);
    let proposed = move || match change.get().as_str() {
        "times" => 2.0,
        _ => (largest().unwrap_or(10.0) * 10.0).round() / 10.0,
    };
    let number = move || value.get().unwrap_or_else(proposed);
    let apply = move |submit: web_sys::SubmitEvent| {
        submit.prevent_default();
        let number = untrack(number);
        let change = match change.get_untracked().as_str() {
            "off" => FeatureChange::Scale(0.0),
            "times" => FeatureChange::Scale(number),
            "set" => FeatureChange::Set(number),
            _ => FeatureChange::Add(number),
        };
        let mode = match mode.get_untracked().as_str() {
            "fires" => FeatureMode::WhereItFires { above: 0.0 },
            "once" => FeatureMode::OnceInPrompt { above: 0.0 },
            _ => FeatureMode::Constant,
        };
        bench.change_feature(feature, change, mode);
    };
    let choice = |options: &'static [(&'static str, &'static str)], chosen: RwSignal<String>| {
        options
            .iter()
            .map(|&(value, name)| view! { <option value=value selected=move || chosen.get() == value>{name}</option> })
            .collect_view()
    };
    view! {
        <form class="row change" on:submit=apply aria-label="Change this feature while the model writes">
            <select class="field small" data-testid="feature-change" aria-label="What is done to it"
                on:change=move |chosen| { change.set(event_target_value(&chosen)); value.set(None); }>{choice(&CHANGES, change)}</select>
            <Show when=move || change.get() != "off">
                <input class="field small" type="number" step="any" min="-100000" max="100000" data-testid="feature-value" aria-label="Number"
                    title="In the feature's own units; the most that it reached on a corpus is proposed" prop:value=move || number().to_string()
                    on:input=move |input| value.set(event_target_value(&input).parse().ok().filter(|number: &f32| number.is_finite()))/>
            </Show>
            <select class="field small" data-testid="feature-mode" aria-label="Where"
                on:change=move |chosen| mode.set(event_target_value(&chosen))>{choice(&MODES, mode)}</select>
            <button class="btn" type="submit" data-testid="change-feature"
                title="Changes it in every activation, what the autoencoder leaves out kept as it is, and writes on">"Write with that"</button>
        </form>
    }
}

/// The changes there are, and what is written with them.
#[component]
pub fn Writing() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = expect_context::<Looking>();
    let edits = Memo::new(move |_| bench.experiment.with(|experiment| experiment.feature_edits.clone()));
    let any_text = move || bench.steered.with(|run| run.spec.is_some());
    let most = Memo::new(move |_| {
        let Some(feature) = looking.feature.get() else { return 0.0 };
        let of_run = |run: RwSignal<Run>| {
            run.with(|run| {
                let values = run.tokens.iter().flat_map(|token| &token.features);
                values.filter(|(found, _)| *found == feature).fold(0.0, |most, (_, value)| f32::max(most, *value))
            })
        };
        of_run(bench.plain).max(of_run(bench.steered))
    });
    provide_context(Tint { feature: looking.feature, most });
    view! {
        <section class="writing" aria-label="What the model writes" data-testid="feature-writing">
            <div class="row between">
                <h2>"What it writes"</h2>
                <div class="row"><WriteButtons/></div>
            </div>
            <ul class="changes" data-testid="feature-edits">
                {move || edits.get().into_iter().enumerate().map(|(index, edit)| view! { <Change index edit looking/> }).collect_view()}
            </ul>
            <Show when=any_text fallback=|| view! {
                <p class="soft small">"Write, and watch the feature that is looked at light up on the way; change it on its card, and see what else is said."</p>
            }>
                <Texts/>
                <EvidenceRow/>
            </Show>
        </section>
    }
}

#[component]
fn Change(index: usize, edit: FeatureEdit, looking: Looking) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let feature = edit.feature;
    let what = described(&edit);
    let name = move || looking.names.with(|names| title(feature, names));
    let strength = edit.strength;
    view! {
        <li class="row">
            <b>{name}</b><span class="small">{what}</span>
            <input type="range" min="0" max="1" step="0.05" aria-label="How much of this change" title="How much of the change is made" prop:value=strength.to_string()
                on:change=move |input| {
                    if let Ok(strength) = event_target_value(&input).parse() {
                        bench.set_feature_strength(index, strength);
                    }
                }/>
            <button class="plain" aria-label="Leave it as it is" data-testid="leave-feature" on:click=move |_| bench.leave_feature(feature)>"×"</button>
        </li>
    }
}

fn described(edit: &FeatureEdit) -> String {
    let number = |value: f32| figures::quantity(value.into());
    let what = match edit.change {
        FeatureChange::Scale(0.0) => "turned off".into(),
        FeatureChange::Scale(by) => format!("times {}", number(by)),
        FeatureChange::Set(to) => format!("held at {}", number(to)),
        FeatureChange::Add(by) => format!("plus {}", number(by)),
        FeatureChange::Clamp { low, high } => format!("kept between {} and {}", number(low), number(high)),
    };
    let place = match edit.mode {
        FeatureMode::Constant => "at every token".into(),
        FeatureMode::WhereItFires { above: 0.0 } => "where it fires".into(),
        FeatureMode::WhereItFires { above } => format!("where it is above {}", number(above)),
        FeatureMode::OnceInPrompt { above: 0.0 } => "once it has fired in the prompt".into(),
        FeatureMode::OnceInPrompt { above } => format!("once it was above {} in the prompt", number(above)),
    };
    format!("{what}, {place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_said_in_words() {
        let edit = |change, mode| FeatureEdit { feature: 3, change, mode, strength: 1.0 };
        let constant = FeatureMode::Constant;
        assert_eq!(described(&edit(FeatureChange::Scale(0.0), constant)), "turned off, at every token");
        assert_eq!(
            described(&edit(FeatureChange::Set(4.0), FeatureMode::WhereItFires { above: 0.0 })),
            format!("held at {}, where it fires", figures::quantity(4.0))
        );
        assert!(
            described(&edit(FeatureChange::Add(1.0), FeatureMode::OnceInPrompt { above: 2.0 })).contains("was above")
        );
    }
}
