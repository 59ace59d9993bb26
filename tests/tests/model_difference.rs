//! What one checkpoint has become of another: on small models, one of which is the other with a known change.

use std::path::Path;
use tiller_experiment::Session;
use tiller_formats::Quant;
use tiller_interp::InterpError;
use tiller_interp::steer::{DifferencePlan, model_difference};
use tiller_model::TinyLlama;

fn load(model: &TinyLlama) -> Session {
    let file = model.to_gguf().expect("it is whole blocks wide");
    pollster::block_on(Session::load(&file, None, 512, &(), |_, _| {})).expect("it loads")
}

fn prompts() -> Vec<Vec<u32>> {
    (0..12u32).map(|n| (0..6).map(|i| 3 + (7 * n + 11 * i) % 250).collect()).collect()
}

const LAYERS: [u32; 2] = [0, 1];

#[test]
fn adding_the_difference_brings_the_base_nearer_to_the_other_checkpoint_and_random_vectors_do_not() {
    let model = TinyLlama { quant: Quant::F32, ..TinyLlama::default() };
    let (mut base, mut tuned) = (load(&model), load(&TinyLlama { seed: 2, ..model }));
    let prompts = prompts();
    let neutral: Vec<u32> = (0..16).map(|i| 5 + 13 * i % 240).collect();
    let plan =
        DifferencePlan { prompts: &prompts, layers: &LAYERS, strength: 1.0, neutral: &neutral, seeds: &[1, 2, 3, 4] };
    let found = model_difference(&mut base.engine, &mut tuned.engine, &plan, &(), |_, _| {});
    let found = pollster::block_on(found).expect("they are of one shape");
    assert_eq!(found.layers.iter().map(|at| at.made.layer).collect::<Vec<_>>(), LAYERS);
    for at in &found.layers {
        assert!(at.made.norm > 0.0 && (0.0..=1.0).contains(&at.shared) && at.random.len() == 4, "{at:?}");
    }
    println!("{:?} {:?} {:?}", found.divergence_plain, found.gained, found.layers);
    let best = found.layers.iter().find(|at| Some(at.made.layer) == found.best).unwrap();
    let random = best.random.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(best.divergence.mean < random && best.divergence.mean < found.divergence_plain.mean, "{best:?}");
    assert!(found.layers.iter().all(|at| at.perplexity.is_finite()) && found.best.is_some());

    // A checkpoint differs from itself by nothing, and nothing is what the vector does.
    let mut same = load(&TinyLlama { quant: Quant::F32, ..TinyLlama::default() });
    let found = model_difference(&mut base.engine, &mut same.engine, &plan, &(), |_, _| {});
    let found = pollster::block_on(found).expect("they are of one shape");
    assert!(found.layers.iter().all(|at| at.made.norm == 0.0 && at.shared == 0.0 && at.divergence.mean == 0.0));
    assert_eq!(found.divergence_plain.mean, 0.0);
}

#[test]
fn models_of_different_shapes_are_refused() {
    let (mut base, mut deeper) = (load(&TinyLlama::default()), load(&TinyLlama { layers: 3, ..TinyLlama::default() }));
    let prompts = prompts();
    let plan = DifferencePlan { prompts: &prompts, layers: &LAYERS, strength: 1.0, neutral: &[5; 8], seeds: &[] };
    let refused = pollster::block_on(model_difference(&mut base.engine, &mut deeper.engine, &plan, &(), |_, _| {}));
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("2 layers") && message.contains("3 layers"), "{message}");
    let few = DifferencePlan { prompts: &prompts[..3], ..plan };
    let refused = pollster::block_on(model_difference(&mut base.engine, &mut deeper.engine, &few, &(), |_, _| {}));
    assert!(matches!(refused, Err(InterpError::UnlikeModels { .. })));
    let mut other = load(&TinyLlama { seed: 9, ..TinyLlama::default() });
    let refused = pollster::block_on(model_difference(&mut base.engine, &mut other.engine, &few, &(), |_, _| {}));
    assert!(matches!(refused, Err(InterpError::TooFewPrompts { given: 3, needed: 4 })));
}

#[test]
fn the_planted_organism_and_itself_do_not_differ() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("organisms/planted.gguf");
    let [mut base, mut same] = [0, 1].map(|_| tiller_tests::load_file(&file, None, 512));
    let prompts: Vec<Vec<u32>> = (0..4u32).map(|n| vec![n + 4, n + 5, n + 6]).collect();
    let plan = DifferencePlan { prompts: &prompts, layers: &[0, 3], strength: 1.0, neutral: &[5; 8], seeds: &[1] };
    let found =
        pollster::block_on(model_difference(&mut base.engine, &mut same.engine, &plan, &(), |_, _| {})).unwrap();
    assert!(found.layers.iter().all(|at| at.made.norm == 0.0 && at.random == [0.0]));
}
