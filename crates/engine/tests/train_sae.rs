//! Autoencoders trained on the device beside the same ones trained on the CPU.
//!
//! Both start from one seed and read the same batches. They sum in another order, so a sum differs by some 2^-24 of its
//! terms; a step of Adam divides a gradient by its own size, so what a step moves is known about as well as the gradient
//! is. What is compared is how far weights moved. While the rate warms up a step moves them by 2e-4, and the largest, a
//! threshold's logarithm of -2.3, is stored to 2.4e-7, which is 1.2e-3 of that where it rounds the other way once; they
//! are many. Where a pre-activation is as close to its neighbour or threshold as sums differ, one side takes a feature
//! that the other does not; and a gradient that is 0 but for rounding is a step of either sign, as where a feature is
//! alone at its only activation and still reads along what it writes: hence several features at once.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use pollster::block_on;
use tiller_engine::{Gpu, SaeTraining};
use tiller_sae::Sae;
use tiller_sae::train::{
    Auxiliary, Batches, Device, Method, Progress, RowsInMemory, Setup, TrainError, TrainOptions, train,
};

/// splitmix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Of length 1: sums of six uniform numbers are as even as Gaussian ones.
    fn direction(&mut self, width: usize) -> Vec<f32> {
        let x: Vec<f32> = (0..width).map(|_| (0..6).map(|_| self.uniform() - 0.5).sum()).collect();
        let length = x.iter().map(|x| x * x).sum::<f32>().sqrt();
        x.into_iter().map(|x| x / length).collect()
    }
}

/// Directions, and activations that are sums of three of them on average, each times a number between 1 and 3, off the
/// origin.
fn planted(width: usize, directions: usize, rows: usize, seed: u64) -> (Vec<Vec<f32>>, Vec<f32>) {
    let mut random = Random(seed);
    let planted: Vec<Vec<f32>> = (0..directions).map(|_| random.direction(width)).collect();
    let middle: Vec<f32> = random.direction(width).iter().map(|x| 5.0 * x).collect();
    let mut values = Vec::with_capacity(rows * width);
    for _ in 0..rows {
        let mut row = middle.clone();
        for direction in &planted {
            if random.uniform() < 3.0 / directions as f32 {
                let size = 1.0 + 2.0 * random.uniform();
                row.iter_mut().zip(direction).for_each(|(x, d)| *x += size * d);
            }
        }
        values.extend(row);
    }
    (planted, values)
}

fn gpu() -> Gpu {
    let gpu = block_on(Gpu::open()).unwrap_or_else(|error| panic!("{error}"));
    println!("on {} ({})", gpu.adapter().name, gpu.adapter().backend);
    gpu
}

fn device(gpu: &Gpu) -> impl FnMut(&Setup) -> Result<Box<dyn Device>, TrainError> {
    let gpu = gpu.clone();
    move |setup| Ok(Box::new(SaeTraining::new(&gpu, setup)?))
}

/// How far from each other two that moved may be, by how far they moved.
const APART: f64 = 1e-3;

/// What a few steps come to, how the last went, and how many features were found dead on the way, each time that was told.
fn after(
    values: &[f32],
    width: usize,
    options: &TrainOptions,
    steps: usize,
    gpu: Option<&Gpu>,
) -> (Sae, Progress, usize) {
    let rows = RowsInMemory { values, width };
    let (mut trainer, mut batches) = Batches::begin(&rows, options).unwrap();
    if let Some(gpu) = gpu {
        trainer.move_to(&mut device(gpu)).unwrap();
        assert!(trainer.is_on_device());
    }
    let mut told: Vec<Progress> = Vec::new();
    for step in 1..=steps {
        told.extend(block_on(trainer.step(&batches.next(&rows), step == steps)).unwrap());
    }
    block_on(trainer.bring_back()).unwrap();
    let last = *told.last().unwrap();
    assert_eq!(last.step, steps);
    (trainer.finish(), last, told.iter().map(|progress| progress.dead).sum())
}

/// The length of the difference over that of what `from` became.
fn moved_apart(a: &[f32], b: &[f32], from: &[f32]) -> f64 {
    let length = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    length(a, b) / length(b, from).max(1e-12)
}

fn threshold(sae: &Sae) -> Vec<f32> {
    match &sae.activation {
        tiller_sae::Activation::JumpRelu { threshold } => threshold.clone(),
        _ => Vec::new(),
    }
}

/// Odd widths, a batch that is no multiple of anything.
fn cpu_and_device_agree(method: Method, auxiliary: Option<Auxiliary>, learning_rate: f32, features_die: bool) {
    let (width, features, batch) = (37, 131, 90);
    let (_, values) = planted(width, 60, 2000, 3);
    let mut options = TrainOptions { learning_rate, ..TrainOptions::new(method, features, batch, 200) };
    options.auxiliary = auxiliary;
    // Where features die within the fifty steps, they are revived, or made anew.
    options.dead_after = 2 * batch as u64;
    let gpu = gpu();
    let start = {
        let rows = RowsInMemory { values: &values, width };
        Batches::begin(&rows, &options).unwrap().0.finish()
    };
    for steps in [1, 50] {
        let (own, own_progress, dead) = after(&values, width, &options, steps, None);
        let (found, progress, _) = after(&values, width, &options, steps, Some(&gpu));
        let apart = [
            ("encoder", moved_apart(&found.w_enc, &own.w_enc, &start.w_enc)),
            ("directions", moved_apart(&found.w_dec, &own.w_dec, &start.w_dec)),
            ("biases", moved_apart(&found.b_enc, &own.b_enc, &start.b_enc)),
            ("middle", moved_apart(&found.b_dec, &own.b_dec, &start.b_dec)),
            ("thresholds", moved_apart(&threshold(&found), &threshold(&own), &threshold(&start))),
        ];
        println!("{method:?}, {steps} steps: {apart:?}, {progress:?} for {own_progress:?}, {dead} dead");
        assert!(apart.iter().all(|(_, apart)| *apart < APART), "{method:?}, {steps} steps: {apart:?}");
        assert_eq!((progress.step, progress.dead), (own_progress.step, own_progress.dead));
        assert!((progress.l0 - own_progress.l0).abs() < 0.05, "{progress:?} for {own_progress:?}");
        assert!((progress.unexplained / own_progress.unexplained - 1.0).abs() < 1e-3);
        if steps == 50 {
            let moved = moved_apart(&found.w_dec, &start.w_dec, &vec![0.0; start.w_dec.len()]);
            assert!(moved > 0.03, "there is something to compare: {moved}");
            assert_eq!(dead > 0, features_die, "{dead}");
        }
    }
}

#[test]
fn topk_is_trained_on_the_device_as_on_the_cpu() {
    cpu_and_device_agree(Method::TopK { k: 4 }, None, 2e-3, true);
}

#[test]
fn dead_features_are_revived_on_the_device_as_on_the_cpu() {
    cpu_and_device_agree(Method::TopK { k: 3 }, Some(Auxiliary { k: 12, weight: 1.0 / 32.0 }), 2e-3, true);
}

#[test]
fn batch_topk_is_trained_on_the_device_as_on_the_cpu() {
    cpu_and_device_agree(Method::BatchTopK { k: 8 }, Some(Auxiliary { k: 12, weight: 1.0 / 32.0 }), 2e-3, true);
}

#[test]
fn a_penalty_trains_and_makes_dead_features_anew_on_the_device_as_on_the_cpu() {
    cpu_and_device_agree(Method::Standard { sparsity: 60.0 }, None, 3e-2, true);
}

#[test]
fn jumprelu_is_trained_on_the_device_as_on_the_cpu() {
    cpu_and_device_agree(Method::JumpRelu { sparsity: 0.5, bandwidth: 0.2 }, None, 2e-3, false);
}

#[test]
fn matching_pursuit_is_refused_by_the_device() {
    let (_, values) = planted(16, 8, 200, 3);
    let rows = RowsInMemory { values: &values, width: 16 };
    let options = TrainOptions::new(Method::MatchingPursuit { k: 4 }, 32, 64, 10);
    let (mut trainer, _) = Batches::begin(&rows, &options).unwrap();
    let refused = trainer.move_to(&mut device(&gpu())).unwrap_err();
    assert!(refused.to_string().contains("on the CPU alone"), "{refused}");
    assert!(!trainer.is_on_device() && trainer.can_go_on());
}

#[test]
fn topk_on_the_device_finds_planted_features() {
    const WIDTH: usize = 24;
    const PLANTED: usize = 32;
    const BATCH: usize = 96;
    let (directions, values) = planted(WIDTH, PLANTED, 10_000, 1);
    let method = Method::TopK { k: 4 };
    let options = TrainOptions { learning_rate: 3e-3, ..TrainOptions::new(method, 2 * PLANTED, BATCH, 700) };
    let rows = RowsInMemory { values: &values, width: WIDTH };
    let gpu = gpu();
    let before = gpu.work();
    let mut said = BTreeSet::new();
    let sae = block_on(train(&rows, &options, Some(&mut device(&gpu)), |progress| {
        said.insert(progress.step);
        ControlFlow::Continue(())
    }));
    let sae = sae.unwrap();
    sae.check().unwrap();
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let is_found = |p: &&Vec<f32>| (0..sae.d_sae).any(|i| cosine(p, sae.direction(i)) > 0.9);
    let share = directions.iter().filter(is_found).count() as f64 / PLANTED as f64;
    // A submit a step, and one for each time that the device was asked: 71 times for figures, once for four vectors.
    let work = gpu.work() - before;
    println!("{:.1} % found; {work:?}", 100.0 * share);
    assert!(share >= 0.95, "{share}");
    assert_eq!((said.len(), said.first(), said.last()), (71, Some(&1), Some(&700)));
    assert_eq!(work.submits, 700 + 71 + 4);
    let figures = 4 * (1 + 2 * 2 * PLANTED as u64 + BATCH as u64);
    let weights = 4 * (2 * 2 * PLANTED * WIDTH + 2 * 2 * PLANTED + WIDTH) as u64;
    assert_eq!(work.readback_bytes, 71 * figures + weights);
}

#[test]
fn a_lost_device_ends_training_and_what_was_brought_back_stays() {
    let (_, values) = planted(16, 8, 400, 3);
    let rows = RowsInMemory { values: &values, width: 16 };
    let options = TrainOptions::new(Method::TopK { k: 4 }, 32, 64, 100);
    let (mut trainer, mut batches) = Batches::begin(&rows, &options).unwrap();
    let start = Batches::begin(&rows, &options).unwrap().0.finish();
    let gpu = gpu();
    trainer.move_to(&mut device(&gpu)).unwrap();
    for _ in 0..10 {
        block_on(trainer.step(&batches.next(&rows), false)).unwrap();
    }
    block_on(trainer.bring_back()).unwrap();
    gpu.lose();
    let lost = block_on(trainer.step(&batches.next(&rows), true)).unwrap_err();
    assert!(matches!(&lost, TrainError::Device(reason) if reason.contains("lost")), "{lost}");
    assert!(!trainer.can_go_on());
    assert!(block_on(trainer.bring_back()).is_err());
    let kept = trainer.finish();
    kept.check().unwrap();
    let moved = moved_apart(&kept.w_dec, &start.w_dec, &vec![0.0; start.w_dec.len()]);
    assert!((0.001..1.0).contains(&moved), "{moved}");
}
