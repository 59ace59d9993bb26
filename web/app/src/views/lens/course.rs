//! How tokens come up through the layers at the position that is looked at, as lines.

use super::Looking;
use crate::figures;
use crate::lens::{Course, Scale, most_rank, visible};
use leptos::prelude::*;

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 120.0;

#[component]
pub fn CourseChart() -> impl IntoView {
    let looking = expect_context::<Looking>();
    let column = Memo::new(move |_| looking.place().map(|place| place.column));
    let row = Memo::new(move |_| looking.place().map(|place| place.row));
    let courses = Memo::new(move |_| {
        let scale = looking.scale.get();
        column.get().map(|column| looking.found.with(|found| Course::at(found, column, scale))).unwrap_or_default()
    });
    let title = move || {
        let token = column.get().map(|column| looking.found.with(|found| visible(found.token(column))));
        format!("After {}, layer by layer", token.unwrap_or_default())
    };
    let ends = move || match looking.scale.get() {
        Scale::Probability => ("100 %".to_string(), "0 %".to_string()),
        Scale::Rank => {
            let most = column.get().map_or(1, |column| looking.found.with(|found| most_rank(found, column)));
            ("rank 1".to_string(), format!("rank {}", figures::grouped(u64::from(most))))
        }
    };
    // Where the place that is looked at stands on the way.
    let here = move || {
        let rows = looking.found.with(|found| found.layers.len());
        row.get().filter(|_| rows > 1).map(|row| (rows - 1 - row) as f64 / (rows - 1) as f64 * WIDTH)
    };
    let scale = move |scale: Scale, name: &'static str, title: &'static str| {
        view! {
            <label title=title>
                <input type="radio" name="lens-scale" prop:checked=move || looking.scale.get() == scale
                    on:change=move |_| looking.scale.set(scale)/>
                <span>{name}</span>
            </label>
        }
    };
    view! {
        <section class="course" data-testid="lens-course" aria-label="Course through the layers">
            <div class="row between">
                <h3>{title}</h3>
                <div class="segmented" role="radiogroup" aria-label="Scale">
                    {scale(Scale::Probability, "Probability", "From 0 to 100 %")}
                    {scale(Scale::Rank, "Rank", "Place among all tokens, by powers of ten")}
                </div>
            </div>
            <div class="plot">
                <div class="ends soft" aria-hidden="true"><span>{move || ends().0}</span><span>{move || ends().1}</span></div>
                <svg viewBox=format!("0 -2 {WIDTH} {}", HEIGHT + 4.0) preserveAspectRatio="none" role="img" aria-label=title>
                    {move || here().map(|x| view! { <line class="here" x1=x x2=x y1="0" y2=HEIGHT/> })}
                    {move || courses.get().into_iter().map(|course| {
                        let (_, dashes) = course.line();
                        view! { <polyline class=course.of.name() points=course.points(WIDTH, HEIGHT) stroke-dasharray=dashes/> }
                    }).collect_view()}
                </svg>
            </div>
            <div class="scale" aria-hidden="true"><span>"embedding"</span><span>"last block"</span></div>
            <ul class="lines">
                {move || courses.get().into_iter().map(|course| {
                    let (_, dashes) = course.line();
                    view! {
                        <li><svg viewBox="0 0 28 8" aria-hidden="true"><polyline class=course.of.name() points="0,4 28,4" stroke-dasharray=dashes/></svg>{course.name}</li>
                    }
                }).collect_view()}
            </ul>
        </section>
    }
}
