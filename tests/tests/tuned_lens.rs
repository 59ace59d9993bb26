//! The tuned lens against torch, and on the real model.
//!
//! Losses and gradients are those of the formula in f64; ours go through f32 logits, which differ by parts in 1e5. Adam
//! divides by the gradient's own size, so where a gradient is near 0 its sign may differ: the trained numbers are held to
//! a tenth of a step, and the loss they reach to a thousandth.

use serde::Deserialize;
use tiller_engine::{BackendKind, Controls, Gpu};
use tiller_experiment::lens_texts;
use tiller_interp::InterpError;
use tiller_interp::lens::{
    LensData, LensReading, Translator, TuneOptions, TunedLens, fit_lens, judge_lens, lens_gradients, logit_lens,
    tune_lens,
};
use tiller_tests::architectures::{load_repository, reference};
use tiller_tests::load;

#[derive(Deserialize)]
struct Golden {
    steps: usize,
    learning_rate: f64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    model: String,
    places: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    site: String,
    plain: f64,
    loss: f64,
    by_scale: Vec<f64>,
    by_shift: Vec<f64>,
    trained: TrainedPlace,
}

#[derive(Deserialize)]
struct TrainedPlace {
    loss: f64,
    scale: Vec<f64>,
    shift: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/tuned_lens.json")).unwrap()
}

/// How far `found` is from `expected`, beside the length of that.
fn off(found: &[f64], expected: &[f64]) -> f64 {
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let apart = squares(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    apart / squares(&mut expected.iter().copied())
}

#[test]
fn losses_and_gradients_are_the_references_on_both_backends() {
    for case in golden().cases {
        for on_gpu in [false, true] {
            let gpu = on_gpu.then(|| pollster::block_on(Gpu::open()).expect("a Vulkan driver"));
            let mut session = load_repository(&case.model, gpu, None);
            let engine = &mut session.engine;
            let (layers, width) = (engine.config().layers, engine.config().width as usize);
            let mut given = TunedLens::identity(layers, width).translators().to_vec();
            for (place, translator) in given.iter_mut().enumerate() {
                for i in 0..width {
                    translator.scale[i] = (1.0 + 0.2 * ((i + place) as f64).sin()) as f32;
                    translator.shift[i] = (0.1 * ((2 * i + place) as f64).cos()) as f32;
                }
            }
            let lens = TunedLens::new(given, layers, width).unwrap();
            let texts = [reference(&case.model).prompt];
            let data = pollster::block_on(LensData::read(engine, &texts, usize::MAX, &())).unwrap();
            let found = pollster::block_on(lens_gradients(engine, &data, &lens, &())).unwrap();
            assert_eq!(found.len(), case.places.len());
            for (n, (found, expected)) in found.iter().zip(&case.places).enumerate() {
                let what = format!("{} {}, on the GPU: {on_gpu}", case.model, expected.site);
                assert_eq!(lens.translators()[n].site.to_string(), expected.site);
                assert!((found.loss - expected.loss).abs() < 1e-4, "{what}: {} {}", found.loss, expected.loss);
                let (scale, shift) =
                    (off(&found.by_scale, &expected.by_scale), off(&found.by_shift, &expected.by_shift));
                assert!(scale < 5e-4 && shift < 5e-4, "{what}: {scale:e} {shift:e}");
            }
        }
    }
}

#[test]
fn training_takes_the_references_steps() {
    let Golden { steps, learning_rate, cases } = golden();
    for case in cases {
        let mut session = load_repository(&case.model, None, None);
        let engine = &mut session.engine;
        let texts = [reference(&case.model).prompt];
        let data = pollster::block_on(LensData::read(engine, &texts, usize::MAX, &())).unwrap();
        let options = TuneOptions { batch: data.positions(), steps, learning_rate, ..TuneOptions::default() };
        let lens = pollster::block_on(fit_lens(engine, &data, &options, &(), |_, _| {})).unwrap();
        let judged = pollster::block_on(judge_lens(engine, &data, &lens, &options, &(), |_, _| {})).unwrap();
        for ((found, translator), expected) in judged.iter().zip(lens.translators()).zip(&case.places) {
            let what = format!("{} {}", case.model, expected.site);
            assert!((found.plain - expected.plain).abs() < 1e-4, "{what}: {} {}", found.plain, expected.plain);
            let reached = expected.trained.loss;
            assert!((found.tuned - reached).abs() < 1e-3 * expected.plain, "{what}: {} {reached}", found.tuned);
            let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
            let moved = |values: &[f64]| values.iter().map(|x| x - 1.0).collect::<Vec<f64>>();
            let scale = off(&moved(&wide(&translator.scale)), &moved(&expected.trained.scale));
            let shift = off(&wide(&translator.shift), &expected.trained.shift);
            assert!(scale < 0.01 && shift < 0.01, "{what}: {scale:e} {shift:e}");
        }
    }
}

#[test]
fn a_tuned_lens_loses_less_on_unseen_text_than_the_logit_lens_and_a_permuted_one_more() {
    let mut session = load(BackendKind::Cpu, 1024);
    let texts = lens_texts(&session);
    let options = TuneOptions { steps: 24, positions: 192, held_out: 48, ..TuneOptions::default() };
    let tuned = pollster::block_on(tune_lens(&mut session.engine, &texts, &options, &(), |_, _| {})).unwrap();
    assert_eq!((tuned.layers.len(), tuned.trained_on, tuned.held_out), (30, 192, 48));
    let better = tuned.layers.iter().filter(|layer| layer.saved.interval.is_some_and(|(low, _)| low > 0.0)).count();
    assert!(better >= 25, "{better} of 30: {:?}", tuned.layers);
    for layer in &tuned.layers {
        assert!(layer.permuted.iter().all(|&permuted| permuted > layer.tuned), "{layer:?}");
    }
    let what =
        LensReading { tokens: &texts[0], positions: 1..2, watched: &[], top: 1, edits: &[], tuned: Some(&tuned.lens) };
    let mut layers = Vec::new();
    pollster::block_on(logit_lens(&mut session.engine, &what, &(), |_, _| {}, |layer| layers.push(layer))).unwrap();
    let plain = LensReading { tuned: None, ..what };
    let mut untuned = Vec::new();
    pollster::block_on(logit_lens(&mut session.engine, &plain, &(), |_, _| {}, |layer| untuned.push(layer))).unwrap();
    assert_eq!(layers[0], untuned[0], "the model itself is not translated");
    assert!(layers[1..].iter().zip(&untuned[1..]).all(|(tuned, plain)| tuned.cells != plain.cells));
}

/// Stops the work after so many looks.
struct Impatient(std::cell::Cell<u32>);

impl Controls for Impatient {
    fn cancelled(&self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() == 0
    }
}

#[test]
fn training_stops_when_asked_and_refuses_what_does_not_fit() {
    let mut session = load_repository("llama3", None, None);
    let prompt = reference("llama3").prompt;
    let texts = vec![prompt.clone(), prompt.clone()];
    let options = TuneOptions::default();
    for patience in [1, 5, 20] {
        let controls = Impatient(std::cell::Cell::new(patience));
        let stopped = pollster::block_on(tune_lens(&mut session.engine, &texts, &options, &controls, |_, _| {}));
        let stopped = stopped.unwrap_err();
        assert!(matches!(stopped, InterpError::Engine(tiller_engine::EngineError::Cancelled)), "{stopped}");
    }
    let mut refusal = |texts: &[Vec<u32>], options: &TuneOptions| {
        let tuned = pollster::block_on(tune_lens(&mut session.engine, texts, options, &(), |_, _| {}));
        tuned.unwrap_err().to_string()
    };
    assert!(refusal(&[], &options).contains("give more text"));
    assert!(refusal(&[vec![1, 2, 3]], &options).contains("give more text"));
    assert!(refusal(&texts, &TuneOptions { steps: 0, ..options }).contains("at least one step"));
    let other = TunedLens::new(vec![Translator::identity(tiller_engine::Site::ResidPre(0), 4)], 1, 4).unwrap();
    let what = LensReading { tokens: &prompt, positions: 0..1, watched: &[], top: 1, edits: &[], tuned: Some(&other) };
    let refused = pollster::block_on(logit_lens(&mut session.engine, &what, &(), |_, _| {}, |_| {})).unwrap_err();
    assert!(refused.to_string().contains("not made for this model"), "{refused}");
}
