//! What the edit does and what it costs, each beside random directions of equal length.

use crate::figures;
use crate::views::progress;
use crate::workbench::{EvidenceState, ModelState, Workbench};
use leptos::prelude::*;
use tiller_protocol::{Controlled, Evidence, LabelWords};

#[component]
pub fn EvidenceRow() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let can_measure = move || {
        matches!(bench.model.get(), ModelState::Ready(_))
            && bench.experiment.with(|experiment| experiment.steers())
            && !bench.writing()
    };
    // Only the progress changes while it measures: a button that is replaced while it is pressed is never clicked.
    let state = Memo::new(move |_| match bench.evidence.get() {
        EvidenceState::Measuring { job, .. } => EvidenceState::Measuring { job, progress: None },
        state => state,
    });
    let measuring = move || match bench.evidence.get() {
        EvidenceState::Measuring { progress: Some(shown), .. } => progress::sentence(&shown, 0.0),
        _ => String::new(),
    };
    // A changed feature is held against others of its own kind.
    let beside = move || match bench.experiment.with(|experiment| experiment.feature_edits.is_empty()) {
        true => "random directions of equal length",
        false => "steps as long along other features of the same autoencoder",
    };
    view! {
        <div class="evidence" data-testid="evidence">
            {move || match state.get() {
                EvidenceState::Measured(evidence) => view! { <Figures evidence/> }.into_any(),
                EvidenceState::Measuring { job, .. } => view! {
                    <p class="soft small">
                        {move || format!("Measuring the effect and its cost, beside {}. ", beside())}
                        {measuring}" "
                        <button class="plain" on:click=move |_| bench.cancel(job)>"Cancel"</button>
                    </p>
                }.into_any(),
                EvidenceState::None => view! {
                    <p class="soft small">
                        {move || format!("Evidence: how far the next word shifts and what it costs, beside {}. ", beside())}
                        <button class="plain" prop:disabled=move || !can_measure() on:click=move |_| bench.measure()>"Measure"</button>
                    </p>
                }.into_any(),
            }}
        </div>
    }
}

#[component]
fn Figures(evidence: Evidence) -> impl IntoView {
    let Evidence { shift, perplexity_plain, perplexity, neutral_tokens, words } = evidence;
    let seeds = shift.random.len();
    let random_cost = figures::mean_and_deviation(&perplexity.random);
    let verdict = verdict(&shift);
    let shift_strip = view! { <Strip measured=shift.clone() from=0.0/> };
    let cost_strip = view! { <Strip measured=perplexity.clone() from=perplexity_plain/> };
    view! {
        <div class="figure">
            <h3>"Shift in the next word"</h3>
            <p>"Kullback-Leibler divergence from the plain model after the prompt."</p>
            <div class="number">{figures::quantity(shift.value)}" nats"</div>
            {shift_strip}
            <div class="control">{control(&shift, seeds)}</div>
            <div class="soft small">{verdict}</div>
        </div>
        <div class="figure">
            <h3>"Cost"</h3>
            <p>{format!("Perplexity of a neutral text, {neutral_tokens} tokens, before and after.")}</p>
            <div class="number">{figures::quantity(perplexity_plain)}" → "{figures::quantity(perplexity.value)}</div>
            {cost_strip}
            <div class="control">
                {figures::change(perplexity_plain, perplexity.value)}
                {random_cost.map(|(mean, _)| format!(", random {}", figures::change(perplexity_plain, mean)))}
            </div>
        </div>
        {words.map(|words| view! { <Words words/> })}
    }
}

/// What changes of features do to the words of a label, with their sign.
#[component]
fn Words(words: LabelWords) -> impl IntoView {
    let LabelWords { label, rise, interval, prompts } = words;
    let interval_text = interval.map(|(low, high)| format!(" [{low:+.2}, {high:+.2}]")).unwrap_or_default();
    let others = figures::mean_and_deviation(&rise.random);
    let verdict = words_verdict(&rise, interval);
    let strip = view! { <Strip measured=rise.clone() from=0.0/> };
    view! {
        <div class="figure" data-testid="label-words">
            <h3>{format!("Odds of {label}")}</h3>
            <p>{format!("By how much its log odds as the next word rise, mean over {prompts} beginnings of sentences, with the 95 % interval.")}</p>
            <div class="number">{format!("{:+.2} nats{interval_text}", rise.value)}</div>
            {strip}
            <div class="control">
                {others.map(|(mean, deviation)| format!("other features {mean:+.2} ± {deviation:.2} ({} seeds)", rise.random.len()))}
            </div>
            <div class="soft small">{verdict}</div>
        </div>
    }
}

/// What other features do too, either way, is said to show nothing.
fn words_verdict(rise: &Controlled, interval: Option<(f64, f64)>) -> &'static str {
    let furthest = rise.random.iter().fold(0.0, |furthest, other| f64::max(furthest, other.abs()));
    match interval {
        Some((low, _)) if low > furthest => "Likelier, beyond every other feature either way.",
        Some((_, high)) if high < -furthest => "Less likely, beyond every other feature either way.",
        _ => "Not beyond other features: this shows no effect on these words.",
    }
}

/// The number and its controls on one line, which begins at `from` (where nothing is changed).
#[component]
fn Strip(measured: Controlled, from: f64) -> impl IntoView {
    let all = || measured.random.iter().copied().chain([measured.value, from]).filter(|value| value.is_finite());
    let least = all().fold(f64::INFINITY, f64::min);
    let most = all().fold(f64::NEG_INFINITY, f64::max);
    let place = move |value: f64| {
        let share = if most > least { (value - least) / (most - least) } else { 0.0 };
        format!("left:{:.2}%", 100.0 * share.clamp(0.0, 1.0))
    };
    let random = measured.random.iter().map(|&value| {
        view! { <span class="dot-random" style=place(value) title=format!("A random direction: {}", figures::quantity(value))></span> }
    });
    view! {
        <div class="strip" aria-hidden="true">
            <span class="tick" style=place(from) title=format!("No edit: {}", figures::quantity(from))></span>
            {random.collect_view()}
            <span class="dot-own" style=place(measured.value) title=format!("This edit: {}", figures::quantity(measured.value))></span>
        </div>
    }
}

fn control(measured: &Controlled, seeds: usize) -> String {
    match figures::mean_and_deviation(&measured.random) {
        Some((mean, deviation)) => {
            format!("random {} ± {} ({seeds} seeds)", figures::quantity(mean), figures::quantity(deviation))
        }
        None => "no control".into(),
    }
}

/// A shift that random directions reach too is said to show nothing.
fn verdict(shift: &Controlled) -> &'static str {
    let most = shift.random.iter().copied().fold(0.0, f64::max);
    if shift.value > most {
        "More than every random direction."
    } else {
        "No more than random directions: this number alone shows no effect of the concept."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_moved_only_where_the_whole_interval_is_beyond_other_features() {
        let of = |value, interval| words_verdict(&Controlled { value, random: vec![0.3, -0.6] }, interval);
        assert!(of(1.0, Some((0.8, 1.2))).starts_with("Likelier"));
        assert!(of(-1.0, Some((-1.2, -0.8))).starts_with("Less likely"));
        for (value, interval) in [(1.0, Some((0.5, 1.5))), (-1.0, Some((-1.5, -0.5))), (5.0, None)] {
            assert!(of(value, interval).starts_with("Not beyond"), "{value} {interval:?}");
        }
    }
}
