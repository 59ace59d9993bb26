//! The prompt, tinted by the feature that is looked at.

use super::Looking;
use crate::features::{share, title};
use crate::lens::visible;
use crate::workbench::Workbench;
use leptos::prelude::*;

#[component]
pub fn Tokens() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = expect_context::<Looking>();
    let text = Memo::new(move |_| bench.features.with(|work| work.text.clone()));
    // By position, the values of the feature that is looked at; `None` where it does not occur among the strongest.
    let values = Memo::new(move |_| {
        let feature = looking.feature.get()?;
        text.with(|text| {
            text.features.iter().find(|found| found.feature == feature).map(|found| (found.values.clone(), found.max))
        })
    });
    let words = move |position: usize| {
        let value =
            values.with(|values| values.as_ref().and_then(|(values, _)| values.get(position).copied())).unwrap_or(0.0);
        text.with(|text| {
            let Some(token) = text.tokens.get(position) else { return String::new() };
            let name = looking.feature.get().map(|feature| looking.names.with(|names| title(feature, names)));
            format!(
                "{}: {} {value:.4}; {} features, {:.0} % left out. Press to list them.",
                visible(&token.text),
                name.unwrap_or_default(),
                token.active,
                100.0 * token.error
            )
        })
    };
    let tint = move |position: usize| {
        let depth = values.with(|values| match values {
            // The first token's activation is many times as long as any other, and counts nowhere.
            Some((values, max)) if position > 0 || values.len() == 1 => {
                share(values.get(position).copied().unwrap_or(0.0), *max)
            }
            _ => 0.0,
        });
        format!("background:color-mix(in srgb, var(--accent) {:.1}%, transparent)", 60.0 * depth)
    };
    let choose = move |position: usize| {
        looking.token.update(|token| *token = if *token == Some(position) { None } else { Some(position) });
    };
    let tokens =
        move || text.with(|text| text.tokens.iter().map(|token| visible(&token.text)).enumerate().collect::<Vec<_>>());
    view! {
        <p class="feature-tokens mono" data-testid="feature-tokens" aria-label="The prompt, tinted by the feature that is looked at">
            {move || tokens().into_iter().map(|(position, token)| view! {
                <button style=move || tint(position) title=move || words(position)
                    aria-pressed=move || (looking.token.get() == Some(position)).to_string()
                    on:click=move |_| choose(position)>{token}</button>
            }).collect_view()}
        </p>
    }
}
