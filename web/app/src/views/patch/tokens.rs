//! The two prompts, token under token.

use super::Looking;
use crate::figures;
use crate::lens::visible;
use leptos::prelude::*;
use tiller_protocol::PromptToken;

#[component]
pub fn Tokens() -> impl IntoView {
    let looking = expect_context::<Looking>();
    let prompts = Memo::new(move |_| looking.found.with(|found| found.prompts.clone()));
    let leads = move |clean: bool| {
        looking.found.with(|found| {
            let lead = found.baseline.map(|baseline| if clean { baseline.clean } else { baseline.corrupt })?;
            let title = "Logit of the answer less logit of the wrong answer, after this prompt";
            Some(view! { <span class="mono lead" title=title>{figures::quantity(lead)}</span> })
        })
    };
    view! {
        <div class="aligned" data-testid="patch-tokens">
            <table>
                <tbody>
                    <tr>
                        <th scope="row">"clean"</th>
                        {move || prompts.with(|prompts| line(&prompts.clean, &prompts.corrupt))}
                        <td class="end">{move || leads(true)}</td>
                    </tr>
                    <tr>
                        <th scope="row">"corrupt"</th>
                        {move || prompts.with(|prompts| line(&prompts.corrupt, &prompts.clean))}
                        <td class="end">{move || leads(false)}</td>
                    </tr>
                </tbody>
            </table>
        </div>
    }
}

/// Tokens of one prompt; those that the other has not at the same place are marked.
fn line(tokens: &[PromptToken], others: &[PromptToken]) -> impl IntoView + use<> {
    let cells = tokens.iter().enumerate().map(|(at, token)| {
        let differs = others.get(at).is_none_or(|other| other.id != token.id);
        let title = format!("token {at}{}", if differs { ", differs" } else { "" });
        view! { <td class="mono" class:differs=differs title=title>{visible(&token.text)}</td> }
    });
    // A shorter prompt is filled up, so that the ends stand apart.
    let missing = others.len().saturating_sub(tokens.len());
    let filling = (0..missing).map(|_| view! { <td class="missing" title="no token here">"–"</td> });
    (cells.collect_view(), filling.collect_view())
}
