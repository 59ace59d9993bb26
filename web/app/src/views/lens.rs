//! The Lens view: what each layer would say next, at every token of the prompt.

mod course;
mod details;
mod followed;
mod grid;
mod tuned;

use crate::lens::{Findings, Of, Scale, course_figure, csv, grid_figure};
use crate::views::cells::Place;
use crate::views::progress;
use crate::views::prompt::PromptBox;
use crate::views::save::{SavePng, SaveText};
use crate::workbench::{ModelState, Workbench};
use leptos::prelude::*;

/// What the parts of the view share.
#[derive(Clone, Copy)]
struct Looking {
    found: Memo<Findings>,
    /// `None` until the user looks at something: then the last token is shown.
    chosen: RwSignal<Option<Place>>,
    colour: RwSignal<Of>,
    scale: RwSignal<Scale>,
}

impl Looking {
    /// What is shown: what was chosen, if it is still there, else the model's answer to the whole text.
    fn place(self) -> Option<Place> {
        self.found.with(|found| {
            let columns = found.layers.first().map(|layer| layer.cells.len()).filter(|&columns| columns > 0)?;
            let last = Place { row: 0, column: columns - 1 };
            Some(self.chosen.get().filter(|at| at.column < columns && at.row < found.layers.len()).unwrap_or(last))
        })
    }
}

#[component]
pub fn Lens() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let looking = Looking {
        found: Memo::new(move |_| bench.lens.with(|lens| lens.found.clone())),
        chosen: RwSignal::new(None),
        colour: RwSignal::new(Of::Own),
        scale: RwSignal::new(Scale::default()),
    };
    provide_context(looking);
    // Whoever opens this view, or changes what it shows, wants it read; a training of minutes begins when asked for.
    Effect::new(move |_| {
        let ready = matches!(bench.model.get(), ModelState::Ready(_));
        bench.experiment.track();
        if ready && !bench.lens_needs_training() {
            bench.read_lens_soon();
        }
    });
    let state = move || {
        bench.lens.with(|lens| match (&lens.job, lens.whole) {
            (Some(_), _) => "reading",
            (None, true) => "read",
            (None, false) => "none",
        })
    };
    let reading = move || bench.lens.with(|lens| lens.job.is_some());
    let steers = move || bench.experiment.with(|experiment| experiment.steers());
    let edited = move || bench.experiment.with(|experiment| experiment.lens.edited);
    view! {
        <div class="lens" data-testid="lens" data-state=state>
            <PromptBox>
                <Show when=reading fallback=move || view! {
                    <button class="btn go" data-testid="read" title="Ctrl+Enter"
                        prop:disabled=move || !matches!(bench.model.get(), ModelState::Ready(_))
                        on:click=move |_| bench.read_lens()>{move || if bench.lens_needs_training() { "Train and read" } else { "Read" }}</button>
                }>
                    <button class="btn go" data-testid="stop-reading" title="Esc" on:click=move |_| bench.stop_lens()>"Stop"</button>
                </Show>
            </PromptBox>
            <div class="row between">
                <p class="soft small explained">
                    "Each row is the model cut off after one block: what it would write next, if it had to answer there. The top row is its real answer. "
                    "The output layer was trained for the top row alone: what the lowest rows say may mean little."
                </p>
                <div class="row">
                    <tuned::WhichLens/>
                    <label class="check" title="Add the vector of the Steer view, with its layer and strength, while the prompt is read">
                        <input type="checkbox" data-testid="lens-edited" prop:checked=edited prop:disabled=move || !steers() && !edited()
                            on:change=move |input| {
                                let on = event_target_checked(&input);
                                bench.change("lens", |experiment| experiment.lens.edited = on);
                            }/>
                        "Steered"
                    </label>
                </div>
            </div>
            <tuned::Judged/>
            <followed::FollowedTokens/>
            <p class="soft small status" role="status" aria-live="polite">{move || status(bench)}</p>
            <Show when=move || looking.found.with(|found| !found.layers.is_empty()) fallback=move || view! { <Empty/> }>
                <div class="seen">
                    <div class="gridded"><grid::Grid/></div>
                    <div class="beside">
                        <details::Details/>
                        <course::CourseChart/>
                    </div>
                </div>
                <Saving/>
            </Show>
        </div>
    }
}

/// What is going on, and what is left out.
fn status(bench: Workbench) -> String {
    bench.lens.with(|lens| match (&lens.progress, &lens.job) {
        (Some(shown), _) => progress::sentence(shown, 0.0),
        (None, Some(_)) => "Reading".into(),
        (None, None) if lens.found.text.first > 0 => {
            let (all, first) = (lens.found.text.tokens.len(), lens.found.text.first as usize);
            format!("The last {} of {all} tokens are shown.", all - first)
        }
        (None, None) => String::new(),
    })
}

#[component]
fn Empty() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let words = move || match bench.model.get() {
        ModelState::Ready(_) if bench.lens.with(|lens| lens.job.is_some()) => "The first layer comes in a moment.",
        ModelState::Ready(_) => "Write something above, and read it.",
        _ => "It will be read when the model is here.",
    };
    view! { <p class="soft nothing">{words}</p> }
}

/// What the view shows, as files.
#[component]
fn Saving() -> impl IntoView {
    let looking = expect_context::<Looking>();
    let found = move || looking.found.get_untracked();
    let colour_name = move |found: &Findings| {
        let chosen = looking.colour.get_untracked();
        let named = found.choices().into_iter().find(|(of, _)| *of == chosen);
        named.map_or_else(|| "the layer's own guess".to_string(), |(_, name)| name)
    };
    let grid = Callback::new(move |()| {
        let found = found();
        grid_figure(&found, looking.colour.get_untracked(), &colour_name(&found))
    });
    let course = Callback::new(move |()| {
        let column = untrack(|| looking.place()).map_or(0, |place| place.column);
        course_figure(&found(), column, looking.scale.get_untracked())
    });
    let table = Callback::new(move |()| csv(&found()));
    let json = Callback::new(move |()| serde_json::to_string_pretty(&found()).unwrap_or_default());
    view! {
        <p class="soft small saving">
            "Save: grid "
            <SaveText label="SVG" title="The grid as a picture that can be scaled" name="lens.svg" content=grid/>
            <SavePng title="The grid as a picture of dots" name="lens.png" svg=grid/>
            <SaveText label="CSV" title="Every cell as a line of a table" name="lens.csv" content=table/>
            <SaveText label="JSON" title="Everything that was found" name="lens.json" content=json/>
            " course "
            <SaveText label="SVG" title="The course of the tokens as a picture that can be scaled" name="course.svg" content=course/>
            <SavePng title="The course of the tokens as a picture of dots" name="course.png" svg=course/>
        </p>
    }
}
