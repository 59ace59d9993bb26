//! What one checkpoint has become of another: on small models, one of which is the other with a known change.

use std::path::Path;
use tiller_experiment::Session;
use tiller_formats::{Gguf, Quant};
use tiller_interp::InterpError;
use tiller_interp::steer::{DifferencePlan, ModelDifference, model_difference, random_direction};
use tiller_model::TinyLlama;

fn load(model: &TinyLlama) -> Session {
    let file = model.to_gguf().expect("it is whole blocks wide");
    pollster::block_on(Session::load(&file, None, 512, &(), |_, _| {})).expect("it loads")
}

fn prompts() -> Vec<Vec<u32>> {
    (0..12u32).map(|n| (0..6).map(|i| 3 + (7 * n + 11 * i) % 250).collect()).collect()
}

const LAYERS: [u32; 2] = [0, 1];

/// The model with the same vector added to every token's embedding.
fn shifted(model: &TinyLlama) -> Session {
    let mut file = model.to_gguf().expect("it is whole blocks wide");
    let header = pollster::block_on(Gguf::read(&file)).expect("it was just written");
    let embedding = header.tensor("token_embd.weight").expect("every model has one");
    let (start, width) = (embedding.offset as usize, embedding.shape[1]);
    let shift = random_direction(5, width);
    for (n, number) in file[start..start + embedding.bytes as usize].chunks_exact_mut(4).enumerate() {
        let value = f32::from_le_bytes(number.try_into().expect("four bytes"));
        number.copy_from_slice(&(value + SHIFT * shift[n % width]).to_le_bytes());
    }
    pollster::block_on(Session::load(&file, None, 512, &(), |_, _| {})).expect("it loads")
}

/// About as long as the stream.
const SHIFT: f32 = 6.0;

fn compare(base: &mut Session, tuned: &mut Session) -> ModelDifference {
    let (prompts, neutral) = (prompts(), (0..16).map(|i| 5 + 13 * i % 240).collect::<Vec<u32>>());
    let plan =
        DifferencePlan { prompts: &prompts, layers: &LAYERS, strength: 1.0, neutral: &neutral, seeds: &[1, 2, 3, 4] };
    let found = model_difference(&mut base.engine, &mut tuned.engine, &plan, &(), |_, _| {});
    pollster::block_on(found).expect("they are of one shape")
}

#[test]
fn a_change_that_all_prompts_share_is_found_and_random_vectors_do_not_replace_it() {
    let model = TinyLlama { quant: Quant::F32, tied_embeddings: false, ..TinyLlama::default() };
    let mut base = load(&model);
    let found = compare(&mut base, &mut shifted(&model));
    assert_eq!(found.layers.iter().map(|at| at.made.layer).collect::<Vec<_>>(), LAYERS);
    let best = found.layers.iter().find(|at| Some(at.made.layer) == found.best).unwrap();
    let random = best.random.iter().copied().fold(f64::INFINITY, f64::min);
    let (plain, with_it) = (found.divergence_plain.mean, best.divergence.mean);
    assert!(best.random.len() == 4 && with_it < 0.5 * plain && with_it < 0.5 * random, "{with_it}, {plain}, {random}");
    assert!(found.layers[0].shared > 0.5 && found.gained.unwrap().interval.unwrap().0 > 0.0);
    assert!(found.layers.iter().all(|at| at.perplexity.is_finite()));
}

#[test]
fn two_models_that_have_nothing_in_common_share_no_change_and_a_model_with_itself_has_none() {
    let model = TinyLlama { quant: Quant::F32, ..TinyLlama::default() };
    let mut base = load(&model);
    let unrelated = compare(&mut base, &mut load(&TinyLlama { seed: 2, ..model.clone() }));
    assert!(unrelated.layers.iter().all(|at| at.made.norm > 0.0 && at.shared < 0.5));
    let same = compare(&mut base, &mut load(&model));
    assert!(same.layers.iter().all(|at| at.made.norm == 0.0 && at.shared == 0.0 && at.divergence.mean == 0.0));
    assert_eq!(same.divergence_plain.mean, 0.0);
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
