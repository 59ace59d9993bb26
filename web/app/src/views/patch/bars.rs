//! What each part adds to the logit difference.

use super::Looking;
use crate::lens::visible;
use crate::patching::largest;
use leptos::prelude::*;
use tiller_protocol::AttributionShare;

#[component]
pub fn Bars() -> impl IntoView {
    let looking = expect_context::<Looking>();
    let shown = Memo::new(move |_| {
        looking.found.with(|found| {
            let attribution = found.attribution.as_ref()?;
            let answers = [&found.of.answer, &found.of.wrong].map(|answer| visible(answer));
            let (shares, rest) = largest(&attribution.shares);
            Some((answers, attribution.difference, attribution.shares.len(), shares, rest))
        })
    });
    view! {
        <section class="bars" data-testid="patch-bars" aria-label="What each part adds">
            {move || shown.get().map(|([answer, wrong], difference, parts, shares, rest)| {
                let most = shares.first().map_or(1.0, |share| share.value.abs()).max(1e-9);
                view! {
                    <p class="small soft explained">
                        "After the clean prompt, "<span class="mono">{answer}</span>" leads "<span class="mono">{wrong}</span>" by "
                        <b>{format!("{difference:.2}")}</b>" logits. That is the sum of what "{parts}" parts add by their direct path to the output; what they do through later parts is not in it. Heads are named layer.head: press one to see where it looks."
                    </p>
                    <ul>
                        {shares.into_iter().map(|share| view! { <Bar share most/> }).collect_view()}
                        {rest.map(|(count, value)| {
                            let share = AttributionShare { part: format!("{count} smaller ones"), head: None, value };
                            view! { <Bar share most=most.max(value.abs())/> }
                        })}
                    </ul>
                }
            })}
        </section>
    }
}

#[component]
fn Bar(share: AttributionShare, most: f64) -> impl IntoView {
    let looking = expect_context::<Looking>();
    let AttributionShare { part, head, value } = share;
    let name = match head {
        Some(head) => view! {
            <button class="plain" title="Where this head looks" on:click=move |_| looking.head.set(Some(head))>{part}</button>
        }.into_any(),
        None => view! { <span>{part}</span> }.into_any(),
    };
    let (side, width) = (if value < 0.0 { "away" } else { "toward" }, 50.0 * value.abs() / most);
    view! {
        <li>
            <span class="part">{name}</span>
            <span class="signed" aria-hidden="true"><span class=side style=format!("width:{width:.2}%")></span></span>
            <span class="mono amount">{format!("{value:+.2}")}</span>
        </li>
    }
}
