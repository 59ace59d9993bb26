//! What a written token and a map of patches cost on the GPU, counted: dispatches, passes, submits, bytes read back and
//! written.

use std::sync::Arc;
use tiller_engine::{
    BackendKind, DECODE_ROWS, Edit, Generation, Lane, LaneEnd, LaneResult, PatchDirection, PatchPlace, Sampling, Site,
    StepCost,
};
use tiller_experiment::Session;
use tiller_interp::patch::{Metric, PatchStep, Patching, activation_patching};
use tiller_tests::load;

/// The cost of a decode step with these edits, on one lane.
fn cost(session: &mut Session, edits: Vec<Edit>) -> StepCost {
    let what = Generation {
        lanes: vec![Lane { prompt: vec![504, 3575], edits: (0..edits.len()).collect() }],
        edits,
        sampling: Sampling::GREEDY,
        max_tokens: 2,
        end_tokens: Vec::new(),
        alternatives: false,
        features: None,
    };
    pollster::block_on(session.engine.generate(&what, &(), || 0.0, |_| {})).expect("it writes");
    session.engine.step_cost(DECODE_ROWS).expect("a decode plan was recorded")
}

fn add(site: Site) -> Edit {
    let vector: Arc<[f32]> = vec![0.1; 576].into();
    Edit::add(site, vector, 1.0)
}

#[test]
fn a_token_is_one_pass_one_submit_and_few_dispatches() {
    let mut session = load(BackendKind::Gpu, 64);
    let layers = session.engine.config().layers as usize;

    let plain = cost(&mut session, Vec::new());
    assert_eq!((plain.passes, plain.submits), (1, 1));
    assert!(plain.dispatches <= 7 * layers + 6, "{} dispatches for {layers} layers", plain.dispatches);
    assert!(plain.readback_bytes <= 16, "{} bytes read back", plain.readback_bytes);

    // An edit of the residual stream is one dispatch more, whatever the number of layers.
    let steered = cost(&mut session, vec![add(Site::ResidPost(12))]);
    assert_eq!(steered.dispatches, plain.dispatches + 1);
    assert_eq!((steered.passes, steered.submits, steered.readback_bytes), (1, 1, plain.readback_bytes));

    // Where the stream is not a whole, what is added to it has to be computed apart: two dispatches more.
    let steered = cost(&mut session, vec![add(Site::MlpOut(3))]);
    assert_eq!(steered.dispatches, plain.dispatches + 2);
}

#[test]
fn weights_stay_quantised_on_the_gpu() {
    let session = load(BackendKind::Gpu, 64);
    let file = std::fs::metadata(tiller_tests::model_file()).unwrap().len();
    let kv = 64 * 30 * 2 * 192 * 4;
    let weights = session.engine.device_bytes() - kv;
    assert!(weights as f64 <= 1.05 * file as f64, "{weights} bytes of weights from a file of {file}");
}

/// The capitals of `golden/patching.json`: prompts of five tokens that differ at the fourth.
const CLEAN: [u32; 5] = [504, 3575, 282, 4649, 314];
const CORRUPT: [u32; 5] = [504, 3575, 282, 4521, 314];

/// Activations that are patched go from run to run on the device: what comes back is one sum of each layer, and of each run
/// the metric's logits; what goes there besides steps and plans is the random controls' directions.
#[test]
fn a_map_of_patches_moves_no_activation_through_the_host() {
    let mut session = load(BackendKind::Gpu, 256);
    let gpu = session.engine.gpu().expect("it runs on the GPU").clone();
    let (layers, width, vocabulary) = (30u64, 576u64, u64::from(session.engine.config().vocab));
    let what = Patching {
        clean: &CLEAN,
        corrupt: &CORRUPT,
        metric: Metric::LogitDifference { answer: 7042, wrong: 11452 },
        place: PatchPlace::ResidPost,
        direction: PatchDirection::Denoise,
        seeds: &[1],
        unrelated: &[],
    };
    let before = gpu.work();
    let mut cells = 0;
    let sink = |step| cells += u64::from(matches!(step, PatchStep::Cell(_)));
    pollster::block_on(activation_patching(&mut session.engine, &what, &(), |_, _| {}, sink)).expect("it patches");
    let cost = gpu.work() - before;
    // Two positions differ; each cell has a control; and two runs are the baselines.
    let (positions, runs) = (2, 2 * cells + 2);
    assert_eq!(cells, layers * positions);
    println!("{cost:?}");

    let sums = layers * width * 4;
    assert_eq!(cost.readback_bytes, sums + runs * 3 * 4);
    // Through the host there came back every token of both prompts at each layer, and all logits of each run.
    let through_host = 2 * CLEAN.len() as u64 * sums + runs * vocabulary * 4;
    assert!(cost.readback_bytes * 300 < through_host, "{} of {through_host}", cost.readback_bytes);

    // Steps and plans take the rest, 334 KB; the activations of the patches alone would be as many as the directions.
    let directions = layers * positions * width * 4;
    assert!(cost.upload_bytes < directions + 400_000, "{} written, {directions} for directions", cost.upload_bytes);
}

#[test]
fn after_a_warm_up_no_token_waits_for_a_shader() {
    let mut session = load(BackendKind::Gpu, 256);
    let gpu = session.engine.gpu().expect("it runs on the GPU").clone();
    assert!(gpu.compiled().is_empty(), "nothing is compiled before it is needed");
    pollster::block_on(session.warm_up(&(), || 0.0)).expect("it warms up");
    let warm = gpu.compiled();
    let what = Generation {
        lanes: [vec![], vec![0]].map(|edits| Lane { prompt: (504..544).collect(), edits }).to_vec(),
        edits: vec![add(Site::ResidPost(12))],
        sampling: Sampling::default(),
        max_tokens: 3,
        end_tokens: Vec::new(),
        alternatives: true,
        features: None,
    };
    pollster::block_on(session.engine.generate(&what, &(), || 0.0, |_| {})).expect("it writes");
    let late: Vec<_> = gpu.compiled().into_iter().filter(|kernel| !warm.contains(kernel)).collect();
    assert!(late.is_empty(), "compiled while writing: {late:?}");
}

#[test]
fn tokens_that_come_back_together_are_the_same_and_take_fewer_mappings() {
    let mut session = load(BackendKind::Gpu, 256);
    let gpu = session.engine.gpu().expect("it runs on the GPU").clone();
    let mut what = Generation {
        lanes: [vec![], vec![0]].map(|edits| Lane { prompt: vec![504, 3575, 282, 4649, 314], edits }).to_vec(),
        edits: vec![Edit::add(Site::ResidPost(12), (0..576).map(|n| (n % 7) as f32).collect::<Vec<f32>>(), 3.0)],
        sampling: Sampling { temperature: 0.8, seed: 5, repetition_penalty: 1.2, ..Sampling::default() },
        max_tokens: 9,
        end_tokens: Vec::new(),
        alternatives: true,
        features: None,
    };
    let mut write = |together: usize, what: &Generation| {
        session.engine.read_together(together);
        let before = gpu.work();
        let mut told = Vec::new();
        let on_token = |written: tiller_engine::Written| told.push((written.lane, written.index, written.drawn));
        let (lanes, _) = pollster::block_on(session.engine.generate(what, &(), || 0.0, on_token)).expect("it writes");
        (lanes, told, (gpu.work() - before).readbacks)
    };

    let (alone, told_alone, mappings) = write(1, &what);
    assert_eq!(mappings, 9);
    for (together, expected) in [(3, 1 + 3), (4, 1 + 2), (8, 1 + 1)] {
        let (lanes, told, mappings) = write(together, &what);
        assert_eq!((&lanes, mappings), (&alone, expected), "{together} at a time");
        assert_eq!(told, told_alone, "{together} at a time");
    }

    // A lane that ends in the middle of a reading is handed nothing of what was drawn after its end.
    let end = alone[0].tokens.iter().position(|token| !alone[1].tokens.contains(token)).expect("the edit changes it");
    what.end_tokens = vec![alone[0].tokens[end]];
    let ended = LaneResult { tokens: alone[0].tokens[..=end].to_vec(), end: LaneEnd::EndToken };
    for together in [1, 4] {
        let (lanes, told, _) = write(together, &what);
        assert_eq!(lanes, [ended.clone(), alone[1].clone()], "{together} at a time");
        assert_eq!(told.len(), end + 1 + 9);
    }
}
