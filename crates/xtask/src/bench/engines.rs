//! What is measured: a row of the table each.

use serde::Serialize;

/// One way to run the model in a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine {
    /// Also what `--only` looks for.
    pub name: &'static str,
    /// A file in `bench/peers/pages`, without its ending.
    pub page: &'static str,
    /// Its package, if it is not Tiller itself.
    pub package: Option<&'static str>,
    pub weights: Weights,
    pub threads: Threads,
    /// On WebGPU, else on the CPU.
    pub gpu: bool,
}

/// All are made of one file, whose matrices are in Q4_1. Not every engine can read that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// The file as it is.
    Q4_1,
    /// The file with its weights rounded again, to Q8_0.
    Q8_0,
    /// An ONNX model of this type, by its name in transformers.js.
    Onnx(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Threads {
    One,
    /// As many as the machine has cores. A page may share memory between threads only where its server sends the
    /// headers that isolate it from other pages.
    All,
}

const TILLER: Engine =
    Engine { name: "", page: "tiller", package: None, weights: Weights::Q4_1, threads: Threads::One, gpu: false };
const WLLAMA: Engine = Engine { page: "wllama", package: Some("@wllama/wllama"), ..TILLER };
const TRANSFORMERS: Engine =
    Engine { page: "transformers", package: Some("@huggingface/transformers"), weights: Weights::Onnx("q8"), ..TILLER };
const FLARE: Engine = Engine { page: "flare", package: Some("@sauravpanda/flare"), weights: Weights::Q8_0, ..TILLER };

/// Tiller first, on the same browser as the others.
pub const ENGINES: &[Engine] = &[
    Engine { name: "Tiller, WebGPU", gpu: true, ..TILLER },
    Engine { name: "Tiller, CPU, 1 thread", ..TILLER },
    Engine { name: "Tiller, CPU, all threads", threads: Threads::All, ..TILLER },
    Engine { name: "wllama, WebGPU", gpu: true, ..WLLAMA },
    Engine { name: "wllama, CPU, 1 thread", ..WLLAMA },
    Engine { name: "wllama, CPU, all threads", threads: Threads::All, ..WLLAMA },
    Engine { name: "transformers.js, WebGPU, q4", gpu: true, weights: Weights::Onnx("q4"), ..TRANSFORMERS },
    Engine { name: "transformers.js, WebGPU, fp32", gpu: true, weights: Weights::Onnx("fp32"), ..TRANSFORMERS },
    Engine { name: "transformers.js, CPU, q8, 1 thread", ..TRANSFORMERS },
    Engine { name: "transformers.js, CPU, q8, all threads", threads: Threads::All, ..TRANSFORMERS },
    Engine {
        name: "transformers.js, CPU, q4, all threads",
        threads: Threads::All,
        weights: Weights::Onnx("q4"),
        ..TRANSFORMERS
    },
    Engine { name: "flare, WebGPU", gpu: true, ..FLARE },
    Engine { name: "flare, CPU", ..FLARE },
];

/// The engines of which a name contains one of the words, or all if there are no words; the others' only with `peers`.
pub fn chosen(peers: bool, only: &[String]) -> Vec<Engine> {
    let wanted = |engine: &&Engine| {
        let name = engine.name.to_lowercase();
        (peers || engine.package.is_none())
            && (only.is_empty() || only.iter().any(|word| name.contains(&word.to_lowercase())))
    };
    ENGINES.iter().filter(wanted).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_run_only_when_they_are_asked_for() {
        assert!(chosen(false, &[]).iter().all(|engine| engine.package.is_none()));
        assert_eq!(chosen(true, &[]).len(), ENGINES.len());
    }

    #[test]
    fn a_word_chooses_by_part_of_a_name_whatever_its_case() {
        let names = |only: &str| chosen(true, &[only.to_owned()]).iter().map(|engine| engine.name).collect::<Vec<_>>();
        assert_eq!(names("FLARE"), ["flare, WebGPU", "flare, CPU"]);
        assert_eq!(names("abacus"), [""; 0]);
    }

    #[test]
    fn no_two_rows_have_one_name() {
        let mut names: Vec<_> = ENGINES.iter().map(|engine| engine.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ENGINES.len());
    }
}
