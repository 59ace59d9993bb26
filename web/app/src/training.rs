//! Training a sparse autoencoder, in words and in points of a chart.

use crate::figures::grouped;
use tiller_protocol::{MOST_TRAINING_TOKENS, TrainStep, TrainedQuality, TrainingText};

/// Points of the chart; of a longer training every second is kept, again and again.
const MOST_POINTS: usize = 400;
/// Of English, about.
const LETTERS_A_TOKEN: usize = 4;

/// Adds a step; the last always stays.
pub fn push(steps: &mut Vec<TrainStep>, step: TrainStep) {
    // A training that begins again begins with the first step.
    steps.retain(|known| known.step < step.step);
    if steps.len() >= MOST_POINTS {
        let mut place = 0;
        steps.retain(|_| {
            place += 1;
            place % 2 == 1
        });
    }
    steps.push(step);
}

/// What is left unexplained, and how many features are dead, over all steps that are to be made: as markup, of numbers
/// alone. Nothing where there is no step.
pub fn chart(steps: &[TrainStep]) -> String {
    const WIDTH: f64 = 600.0;
    const HEIGHT: f64 = 120.0;
    let Some(last) = steps.last() else { return String::new() };
    let points = |of: fn(&TrainStep) -> f32| -> String {
        let point = |step: &TrainStep| {
            let x = f64::from(step.step) / f64::from(step.steps.max(1)) * WIDTH;
            // What is worse than the mean is at the top.
            let y = (1.0 - f64::from(of(step).clamp(0.0, 1.0))) * HEIGHT;
            format!("{x:.1},{y:.1} ")
        };
        steps.iter().map(point).collect()
    };
    let (unexplained, dead) =
        (points(|step| step.unexplained), points(|step| step.dead as f32 / step.features.max(1) as f32));
    let (words, all) = (of_step(last), grouped(last.steps.into()));
    format!(
        r#"<div class="plot"><div class="ends soft" aria-hidden="true"><span>100 %</span><span>0 %</span></div>
<svg viewBox="0 -3 {WIDTH} {}" preserveAspectRatio="none" data-testid="training-chart" role="img" aria-label="{words}">
<polyline class="dead" stroke-dasharray="2 3" points="{dead}"/><polyline class="unexplained" points="{unexplained}"/></svg></div>
<div class="scale" aria-hidden="true"><span>0</span><span>{all} steps</span></div>
<ul class="lines"><li title="Of the variance of the batch's activations"><svg viewBox="0 0 28 8" aria-hidden="true"><polyline class="unexplained" points="0,4 28,4"/></svg>unexplained</li>
<li title="Features that were not active for a thirtieth of the training"><svg viewBox="0 0 28 8" aria-hidden="true"><polyline class="dead" stroke-dasharray="2 3" points="0,4 28,4"/></svg>dead features</li></ul>"#,
        HEIGHT + 6.0
    )
}

/// How long a text is.
pub fn length(text: &str) -> String {
    let letters = text.chars().count();
    match letters {
        0 => format!("At most {} tokens are read: a hundred pages.", grouped(MOST_TRAINING_TOKENS.into())),
        _ => format!(
            "{} letters, about {} tokens; at most {} are read.",
            grouped(letters as u64),
            grouped(letters.div_ceil(LETTERS_A_TOKEN) as u64),
            grouped(MOST_TRAINING_TOKENS.into())
        ),
    }
}

/// What was made of the texts.
pub fn of_text(text: &TrainingText) -> String {
    let rest = if text.cut { ", the first of a longer text" } else { "" };
    format!("{} tokens{rest}.", grouped(text.tokens.into()))
}

/// How a step went, and how long the rest will take.
pub fn of_step(step: &TrainStep) -> String {
    let left =
        f64::from(step.seconds) / f64::from(step.step.max(1)) * f64::from(step.steps - step.step.min(step.steps));
    format!(
        "Step {} of {} by the {}: {:.1} % of the variance unexplained, {:.1} features at once, {} of {} dead; {} left",
        grouped(step.step.into()),
        grouped(step.steps.into()),
        if step.on_gpu { "GPU" } else { "CPU" },
        100.0 * step.unexplained,
        step.l0,
        grouped(step.dead.into()),
        grouped(step.features.into()),
        crate::figures::duration(left)
    )
}

/// How good it is, beside what would be as sparse.
pub fn judged(quality: &TrainedQuality) -> String {
    let percent = |share: f32| format!("{:.1} %", 100.0 * share);
    // It is to be better than the first directions that come to mind.
    let null = match quality.explained <= quality.by_components.max(quality.by_random) {
        true => {
            " It is no better than these: with more text or more steps it may be; as it is, its features mean little."
        }
        false => "",
    };
    format!(
        "On {} tokens that were held back it explains {} of the variance with {:.1} features at once. As many principal \
         components of the text explain {}, and random directions in the place of its own {}.{null} Of {} features, {} are \
         active nowhere in the text, and {} not on what was held back. It made {} steps on {} tokens.",
        grouped(quality.held_out_tokens.into()),
        percent(quality.explained),
        quality.l0,
        percent(quality.by_components),
        percent(quality.by_random),
        grouped(quality.features.into()),
        grouped(quality.dead_everywhere.into()),
        grouped(quality.dead.into()),
        grouped(quality.steps.into()),
        grouped(quality.training_tokens.into())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u32) -> TrainStep {
        TrainStep {
            step,
            steps: 2000,
            unexplained: 0.25,
            l0: 8.0,
            dead: 64,
            features: 512,
            on_gpu: false,
            seconds: step as f32 / 10.0,
        }
    }

    #[test]
    fn a_long_training_keeps_few_points_and_the_last() {
        let mut steps = Vec::new();
        (1..=2000).for_each(|n| push(&mut steps, step(n)));
        assert!(steps.len() <= MOST_POINTS && steps.len() > MOST_POINTS / 3, "{}", steps.len());
        assert_eq!(steps.last().unwrap().step, 2000);
        assert!(steps.is_sorted_by_key(|step| step.step));
        push(&mut steps, step(1));
        assert_eq!(steps.len(), 1, "it began again");
    }

    #[test]
    fn points_lie_within_the_chart() {
        let wild = TrainStep { unexplained: 7.0, ..step(1000) };
        let drawn = chart(&[step(500), wild]);
        assert!(drawn.contains(r#"class="unexplained" points="150.0,90.0 300.0,0.0 ""#), "{drawn}");
        assert!(drawn.contains(r#"points="150.0,105.0 300.0,105.0 ""#), "{drawn}");
        assert_eq!(chart(&[]), "");
    }

    #[test]
    fn a_null_result_is_said_to_be_one() {
        let good = TrainedQuality {
            training_tokens: 9000,
            held_out_tokens: 1000,
            steps: 1000,
            features: 512,
            explained: 0.7,
            l0: 16.0,
            dead: 40,
            dead_everywhere: 3,
            by_components: 0.5,
            by_random: 0.1,
        };
        assert!(judged(&good).contains("70.0 % of the variance with 16.0"));
        assert!(!judged(&good).contains("mean little"));
        assert!(judged(&TrainedQuality { explained: 0.4, ..good }).contains("no better than these"));
    }

    #[test]
    fn a_text_says_how_long_it_is() {
        assert!(length("").starts_with("At most 32,768"));
        assert!(length(&"a".repeat(4001)).starts_with("4,001 letters, about 1,001 tokens"));
        assert!(of_text(&TrainingText { tokens: 32_700, cut: true }).contains("of a longer text"));
        assert!(of_step(&step(500)).contains("Step 500 of 2,000 by the CPU: 25.0 %"), "{}", of_step(&step(500)));
    }
}
