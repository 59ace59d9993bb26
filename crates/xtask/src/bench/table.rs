//! All runs of all engines as one table, for people and for programs.

use super::engines::{Engine, Weights};
use super::native::Native;
use super::row::{Reading, Run};
use super::text::Text;
use serde::Serialize;
use serde_json::{Value, json};

/// A machine, a browser, a text: what all rows share.
#[derive(Debug, Clone, Serialize)]
pub struct Setting {
    pub processor: String,
    pub cores: usize,
    pub browser: String,
    pub gpu_flags: Vec<String>,
    pub model: String,
    pub repeat: u32,
    /// Tokens that are written at each reading of the prompt, and readings in a run after the one to warm up.
    pub tokens: u32,
    pub readings: u32,
}

/// One engine's line.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub engine: String,
    pub version: Option<String>,
    pub weights: String,
    /// Medians over all readings of all runs.
    pub load_s: Option<f64>,
    pub prefill_tokens_per_s: Option<f64>,
    pub decode_tokens_per_s: Option<f64>,
    /// The fastest reading less the slowest, over the median.
    pub decode_spread: Option<f64>,
    /// The most of all runs. Of the native program: its memory, and what it has allocated on its GPU.
    pub page_peak_bytes: Option<u64>,
    pub gpu_peak_bytes: Option<u64>,
    /// Whether every reading continued the prompt as the model does in f32.
    pub text_is_right: Option<bool>,
    pub other_cores: Option<f64>,
    /// What must be known to read the line.
    pub notes: Vec<String>,
    /// All that was seen.
    pub runs: Value,
}

impl Row {
    pub fn of_engine(engine: &Engine, version: Option<String>, runs: &[Run], text: &Text) -> Self {
        let readings: Vec<&Reading> = runs.iter().flat_map(|run| &run.report.readings).collect();
        let over =
            |of: fn(&Reading) -> Option<f64>| readings.iter().filter_map(|reading| of(reading)).collect::<Vec<_>>();
        let decode = over(|reading| reading.decode);
        // Where only the warm-up was reached, its text still tells whether the engine is right.
        let texts: Vec<&str> = runs
            .iter()
            .flat_map(|run| run.report.warm_up.iter().chain(&run.report.readings))
            .map(|r| r.text.as_str())
            .collect();
        let wrong = texts.iter().find(|written| !text.is_continued_by(written));
        let mut notes: Vec<String> = runs.iter().filter_map(|run| run.error.clone()).collect();
        notes.dedup();
        notes.extend(wrong.map(|written| format!("it went on: {:?}", beginning(written))));
        Self {
            engine: engine.name.into(),
            version,
            weights: match engine.weights {
                Weights::Q4_1 => "Q4_1".into(),
                Weights::Q8_0 => "Q8_0".into(),
                Weights::Onnx(kind) => format!("ONNX {kind}"),
            },
            load_s: median(runs.iter().filter_map(|run| run.report.load_s).collect()),
            prefill_tokens_per_s: median(over(|reading| reading.prefill)),
            decode_tokens_per_s: median(decode.clone()),
            decode_spread: spread(&decode),
            page_peak_bytes: runs.iter().filter_map(|run| run.renderer_peak_bytes).max(),
            gpu_peak_bytes: runs.iter().filter_map(|run| run.gpu_peak_bytes).max(),
            text_is_right: (!texts.is_empty()).then_some(wrong.is_none()),
            other_cores: runs.iter().filter_map(|run| run.other_cores).reduce(f64::max),
            notes,
            runs: json!(runs),
        }
    }

    /// `runs`: with the cores that were busy with something else.
    pub fn of_native(runs: &[(Native, Option<f64>)]) -> Option<Self> {
        let (first, _) = runs.first()?;
        let over = |of: fn(&Native) -> f64| runs.iter().map(|(native, _)| of(native)).collect::<Vec<_>>();
        let decode = over(|native| native.decode_tokens_per_s);
        let on_gpu = first.peak_gpu_bytes > 0;
        let steered = median(over(|native| native.decode_steered_ratio)).unwrap_or_default();
        let mut notes = vec![format!("steered text is written at {steered:.3} times the speed of plain text")];
        if on_gpu {
            let weights = mebibytes(first.bytes_moved_per_token);
            notes.push(format!(
                "on {}; a token is {} dispatches in {} passes and {} submits, which read {weights} MiB of weights and \
                 give {} bytes back",
                first.adapter,
                first.dispatches_per_token,
                first.passes_per_token,
                first.submits_per_token,
                first.readback_bytes_per_token
            ));
        }
        Some(Self {
            engine: format!("Tiller, native, {}", if on_gpu { "GPU" } else { "CPU" }),
            version: None,
            weights: "Q4_1".into(),
            load_s: median(over(|native| native.load_s)),
            prefill_tokens_per_s: median(over(|native| native.prefill_tokens_per_s)),
            decode_tokens_per_s: median(decode.clone()),
            decode_spread: spread(&decode),
            page_peak_bytes: runs.iter().map(|(native, _)| native.peak_host_bytes).max().filter(|&bytes| bytes > 0),
            gpu_peak_bytes: on_gpu.then(|| runs.iter().map(|(native, _)| native.peak_gpu_bytes).max()).flatten(),
            text_is_right: None,
            other_cores: runs.iter().filter_map(|(_, others)| *others).reduce(f64::max),
            notes,
            runs: json!(runs.iter().map(|(native, _)| native).collect::<Vec<_>>()),
        })
    }

    fn cells(&self) -> [String; 10] {
        let number = |value: Option<f64>, digits: usize| value.map_or("-".into(), |value| format!("{value:.digits$}"));
        let memory = |bytes: Option<u64>| bytes.map_or("-".into(), mebibytes);
        [
            self.engine.clone(),
            self.weights.clone(),
            number(self.load_s, 2),
            number(self.prefill_tokens_per_s, 1),
            number(self.decode_tokens_per_s, 2),
            self.decode_spread.map_or("-".into(), |spread| format!("{:.0} %", 100.0 * spread)),
            memory(self.page_peak_bytes),
            memory(self.gpu_peak_bytes),
            self.text_is_right.map_or("-", |right| if right { "yes" } else { "no" }).into(),
            number(self.other_cores, 2),
        ]
    }
}

const HEADINGS: [&str; 10] = [
    "engine",
    "weights",
    "load, s",
    "prefill, tokens/s",
    "decode, tokens/s",
    "spread",
    "page, MiB",
    "GPU process, MiB",
    "text is right",
    "other load, cores",
];

/// The first columns hold words, which begin at the left.
const WORDS: usize = 2;

/// The table in Markdown, its columns aligned, with what must be known to read it.
pub fn markdown(setting: &Setting, rows: &[Row], text: &Text) -> String {
    let cells: Vec<[String; 10]> = rows.iter().map(Row::cells).collect();
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|at| cells.iter().map(|row| row[at].chars().count()).chain([HEADINGS[at].len()]).max().unwrap_or(0))
        .collect();
    let line = |row: &[String]| {
        let padded = row.iter().enumerate().map(|(at, cell)| {
            let width = widths[at];
            if at < WORDS { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths
        .iter()
        .enumerate()
        .map(|(at, &width)| if at < WORDS { "-".repeat(width + 2) } else { "-".repeat(width + 1) + ":" });
    let mut page = format!(
        "{} on {} cores of {}; {} {}.\n{} tokens are written after the prompt, {} times in a run after one to warm up; \
         {} runs. Rates are medians.\nMemory is the most that was resident. The text is right where it goes on {:?}.\n\n",
        setting.model,
        setting.cores,
        setting.processor,
        setting.browser,
        setting.gpu_flags.join(" "),
        setting.tokens,
        setting.readings,
        setting.repeat,
        text.continuation
    );
    page += &line(&HEADINGS.map(str::to_owned));
    page += &format!("|{}|\n", rule.collect::<Vec<_>>().join("|"));
    for row in &cells {
        page += &line(row);
    }
    let noted: Vec<&Row> = rows.iter().filter(|row| !row.notes.is_empty()).collect();
    if !noted.is_empty() {
        page.push('\n');
    }
    for row in noted {
        page += &format!("- {}: {}\n", row.engine, row.notes.join("; "));
    }
    page
}

fn beginning(text: &str) -> String {
    const SHOWN: usize = 80;
    text.chars().take(SHOWN).collect()
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.0}", bytes as f64 / f64::from(1 << 20))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

fn spread(values: &[f64]) -> Option<f64> {
    let (least, most) = (values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?);
    Some((most - least) / median(values.to_vec())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::engines::ENGINES;
    use crate::bench::row::Report;

    fn run(texts: &[&str]) -> Run {
        let reading = |(at, text): (usize, &&str)| Reading {
            text: (*text).into(),
            prompt_tokens: 9,
            tokens: 3,
            prefill: Some(10.0),
            decode: Some(1.0 + at as f64),
        };
        let report = Report { readings: texts.iter().enumerate().map(reading).collect(), ..Report::default() };
        Run { report, ..Run::impossible(String::new()) }
    }

    fn text() -> Text {
        Text { prompt: "a".into(), continuation: " was".into() }
    }

    #[test]
    fn one_wrong_text_makes_the_row_wrong_and_is_shown() {
        let row = |texts: &[&str]| Row::of_engine(&ENGINES[0], None, &[run(texts)], &text());
        assert_eq!(row(&[" was so", " was so"]).text_is_right, Some(true));
        let wrong = row(&[" was so", " is so"]);
        assert_eq!(wrong.text_is_right, Some(false));
        assert!(wrong.notes.iter().any(|note| note.contains("is so")));
        assert_eq!(row(&[]).text_is_right, None);
    }

    #[test]
    fn figures_are_medians_over_the_readings_of_all_runs() {
        let row = Row::of_engine(&ENGINES[0], None, &[run(&["a", "b"]), run(&["a", "b", "c"])], &text());
        assert_eq!(row.decode_tokens_per_s, Some(2.0));
        assert_eq!(row.decode_spread, Some(1.0));
    }

    #[test]
    fn an_engine_that_could_not_be_tried_has_its_reason_and_no_figures() {
        let row = Row::of_engine(&ENGINES[0], None, &[Run::impossible("no npm".into())], &text());
        assert_eq!((row.load_s, row.decode_tokens_per_s, row.page_peak_bytes), (None, None, None));
        let setting = Setting {
            processor: "P".into(),
            cores: 2,
            browser: "B".into(),
            gpu_flags: Vec::new(),
            model: "M".into(),
            repeat: 1,
            tokens: 3,
            readings: 1,
        };
        let page = markdown(&setting, &[row], &text());
        assert!(page.contains("Tiller, WebGPU: no npm"), "{page}");
        let lines: Vec<_> = page.lines().filter(|line| line.starts_with('|')).collect();
        assert!(lines.len() == 3 && lines.iter().all(|line| line.len() == lines[0].len()), "{page}");
    }
}
