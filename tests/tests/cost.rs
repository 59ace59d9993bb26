//! What a written token costs on the GPU, counted: dispatches, passes, submits, bytes read back.

use std::sync::Arc;
use tiller_engine::{BackendKind, DECODE_ROWS, Edit, Generation, Lane, Sampling, Site, StepCost};
use tiller_experiment::Session;
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
