//! The gallery: what a visitor sees first, and what stands above an experiment that was opened from it.

use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_recipe::{Exhibit, Finding, GALLERY, findings, to_fragment};

#[component]
pub fn Gallery() -> impl IntoView {
    let mut found = findings();
    let cards: Vec<_> = GALLERY.iter().map(|exhibit| card(exhibit, found.remove(exhibit.name))).collect();
    view! {
        <div class="gallery" data-testid="gallery">
            <div class="welcome">
                <h1>"See what a language model does inside, and change it"</h1>
                <p>"A small model runs in this tab: nothing is computed elsewhere, and no text leaves it. "
                    "Each of these experiments opens with everything it needs. Move something, and send what you get on as a link."</p>
            </div>
            <ul>{cards}</ul>
            <p class="soft small">"The figures are those of one run on the CPU. Open an experiment to get your own."</p>
        </div>
    }
}

fn card(exhibit: &'static Exhibit, finding: Option<Finding>) -> impl IntoView {
    let recipe = exhibit.recipe();
    // A test makes sure that every one of them fits a link.
    let address = to_fragment(&recipe).unwrap_or_default();
    view! {
        <li>
            <a class="card exhibit" href=address data-testid="exhibit" data-name=exhibit.name>
                <span class="soft small">{recipe.view.title()}</span>
                <h2>{exhibit.title}</h2>
                <p>{exhibit.about}</p>
                {finding.map(found)}
            </a>
        </li>
    }
}

fn found(finding: Finding) -> impl IntoView {
    let (verdict, class) = match finding.holds {
        Some(true) => ("Stands out from its control", "verdict holds"),
        Some(false) => ("Does not stand out from its control", "verdict null"),
        None => ("What it shows", "verdict"),
    };
    view! { <p class="small finding"><b class=class>{verdict}</b>" "<span class="soft">{finding.sentence}</span></p> }
}

/// What the experiment that was opened is about, and the way to the next one.
#[component]
pub fn Exhibited() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let shown = move || bench.exhibit.get().filter(|_| !bench.at_gallery.get());
    let next = |exhibit: &Exhibit| {
        let place = GALLERY.iter().position(|other| other == exhibit)?;
        let next = GALLERY.get(place + 1)?;
        let address = to_fragment(&next.recipe()).ok()?;
        Some(
            view! { <a class="plain" href=address data-testid="next-exhibit" title=next.about>{format!("Next: {}", next.title)}</a> },
        )
    };
    move || {
        shown().map(|exhibit| {
            view! {
                <div class="note about" data-part="about" data-testid="about" role="note">
                    <p><b>{exhibit.title}</b>" "{exhibit.about}</p>
                    <div class="row">
                        {next(exhibit)}
                        <button class="plain" on:click=move |_| bench.exhibit.set(None)>"Close"</button>
                    </div>
                </div>
            }
        })
    }
}
