//! What was found, for people: as text, and as the table in the documentation.

use super::{Report, Steered};
use std::fmt::Write;
use tiller_interp::sae::SteeredChoice;

/// Features of the documentation's table that raise their words.
const RAISED: usize = 10;

/// What is said of one feature at its chosen strength.
struct Line {
    strength: String,
    effect: String,
    others: String,
    random: String,
    perplexity: String,
    verdict: &'static str,
}

impl Line {
    fn of(chosen: &SteeredChoice) -> Line {
        let (low, high) = chosen.words.effect.interval.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        let range = |controls: &[f64]| {
            let least = controls.iter().copied().fold(f64::INFINITY, f64::min);
            let most = controls.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if controls.is_empty() { "not finite".into() } else { format!("{least:+.2} to {most:+.2}") }
        };
        Line {
            strength: format!("{:.1} ({} × largest)", chosen.value, chosen.strength),
            effect: format!("{:+.2} [{low:+.2}, {high:+.2}]", chosen.words.effect.mean),
            others: range(&chosen.words.others),
            random: range(&chosen.words.random),
            perplexity: format!("{:+.0} %", 100.0 * (chosen.perplexity / chosen.perplexity_plain - 1.0)),
            verdict: verdict(chosen),
        }
    }
}

fn verdict(chosen: &SteeredChoice) -> &'static str {
    match (chosen.words.is_above_controls(), chosen.words.is_below_controls()) {
        (true, _) => "raised",
        (_, true) => "lowered",
        _ => "null",
    }
}

pub fn text(report: &Report) -> String {
    let mut table = counts(report) + "\n";
    for Steered { label, words, found } in &report.features {
        // Writing to a string does not fail.
        let _ = writeln!(table, "feature {}: {} (F1 {:.2}; {words} tokens)", found.feature, label.text, label.f1);
        let _ = match &found.chosen {
            Some(chosen) => {
                let Line { strength, effect, others, random, perplexity, verdict } = Line::of(chosen);
                let divergence = chosen.divergence;
                writeln!(
                    table,
                    "    {verdict}: {effect} nats at {strength}; other features {others}; random {random}; perplexity \
                     {perplexity}, divergence {divergence:.3} nats"
                )
            }
            None => writeln!(table, "    null: no strength is within the cost"),
        };
    }
    table
}

/// How many stand out, of how many.
fn counts(report: &Report) -> String {
    let chosen: Vec<&SteeredChoice> = report.features.iter().filter_map(|of| of.found.chosen.as_ref()).collect();
    let of = |what: &str| chosen.iter().filter(|chosen| verdict(chosen) == what).count();
    let too_costly = report.features.len() - chosen.len();
    let too_costly = match too_costly {
        0 => String::new(),
        _ => format!("; {too_costly} cost too much at every strength"),
    };
    format!(
        "Of {} features tried, {} raise the words of their label beyond every control, {} lower them so, and of {} the\n\
         interval does not leave the controls{too_costly}.\n{} were left out, as their label names no tokens of \
         its own.\n",
        report.features.len(),
        of("raised"),
        of("lowered"),
        of("null"),
        report.left_out.len()
    )
}

/// The features by how much they raise their words on the prompts that choose, descending, as far as the tenth that
/// raises them beyond its controls on the others: those that do not are passed on the way.
fn furthest(report: &Report) -> Vec<(&Steered, &SteeredChoice)> {
    let mut features: Vec<(&Steered, &SteeredChoice)> =
        report.features.iter().filter_map(|of| Some((of, of.found.chosen.as_ref()?))).collect();
    features.sort_by(|a, b| b.1.choosing.total_cmp(&a.1.choosing));
    let raised = |(n, (_, chosen)): (usize, &(_, &SteeredChoice))| (verdict(chosen) == "raised").then_some(n);
    if let Some(tenth) = features.iter().enumerate().filter_map(raised).nth(RAISED - 1) {
        features.truncate(tenth + 1);
    }
    features
}

pub fn markdown(report: &Report) -> String {
    let each = report.prompts / 2;
    let shown = furthest(report);
    let failed = shown.iter().filter(|(_, chosen)| verdict(chosen) != "raised").count();
    let Report { model, site, backend, controls, .. } = report;
    let mut page = format!(
        "# What features do\n\n\
         Whether holding a feature raises the words of its label, on {model}\n\
         (`{site}`, {backend}). A label says on which tokens a feature is active; that it also makes the model say them\n\
         does not follow. `tiller sae steer --model .. --sae public/sae/.. --labelled {} --markdown docs/features.md` writes\n\
         this page, and a test holds the first and the last of its features against a new run.\n\n\
         Of each label the feature that it fits best is tried, the best labels first. It is held at a share of its largest\n\
         value ({}), at every token. On {each} beginnings of sentences the share is chosen that moves the words\n\
         furthest and adds at most {:.0} % to the perplexity of neutral text; the effect is measured on {each} others: by how\n\
         many nats the log odds that the next token is one of the label's words rise, with the 95 % interval of the mean.\n\
         Beside it, {controls} steps as long along other features of the same SAE, and {controls} along random directions: the least and\n\
         the greatest mean for the same words. A feature raises its words where all of the interval is further up than any\n\
         control goes either way, and lowers them where it is further down.\n\n",
        report.features.len(),
        list(&report.strengths),
        100.0 * report.most_cost,
    );
    page += &counts(report);
    let _ = write!(
        page,
        "\nThe {} that raised their words most on the choosing half, as far as the tenth that also does on the other; {failed} of\n\
         them do not. Perplexity is that of the neutral text, KL its next-token distributions' divergence.\n\n\
         | feature | label | F1 | precision | recall | held at | effect, nats | other features | random | perplexity | KL | |\n\
         | ---: | --- | ---: | ---: | ---: | --- | --- | --- | --- | ---: | ---: | --- |\n",
        shown.len(),
    );
    for (Steered { label, found, .. }, chosen) in shown {
        let Line { strength, effect, others, random, perplexity, verdict } = Line::of(chosen);
        // A word may be a bar, which ends a cell.
        let name = label.text.replace('|', "\\|");
        let _ = writeln!(
            page,
            "| {} | {name} | {:.2} | {:.2} | {:.2} | {strength} | {effect} | {others} | {random} | {perplexity} | {:.2} | \
             {verdict} |",
            found.feature, label.f1, label.precision, label.recall, chosen.divergence
        );
    }
    page
}

fn list(strengths: &[f32]) -> String {
    strengths.iter().map(|strength| strength.to_string()).collect::<Vec<_>>().join(", ")
}
