//! What is summed where it was computed: a mean difference of two classes, without their activations being read back.

use tiller_engine::{BackendKind, EngineError, Harvest, Site, TapRows};
use tiller_interp::steer::{Contrast, Separability, TokenPair, VectorMethod, extract};
use tiller_tests::load;
use tiller_tests::running::distance;

const LAYERS: [u32; 3] = [3, 14, 27];

fn pairs() -> Vec<TokenPair> {
    let text = |seed: u32| (0..4 + seed % 3).map(|n| 1000 + (seed * 7919 + n * 104_729) % 20_000).collect();
    (0..12).map(|pair| TokenPair { positive: text(2 * pair), negative: text(2 * pair + 1) }).collect()
}

#[test]
fn a_mean_difference_is_summed_on_the_device_and_only_the_sum_comes_back() {
    let pairs = pairs();
    let prompts: Vec<Vec<u32>> = pairs.iter().flat_map(|pair| [pair.positive.clone(), pair.negative.clone()]).collect();
    let sites = LAYERS.map(Site::ResidPost);
    let what = Harvest { prompts: &prompts, sites: &sites, rows: TapRows::Picks, edits: &[] };
    let signs = [1.0, -1.0].into_iter().cycle().take(prompts.len());
    let weights: Vec<f32> = signs.map(|sign: f32| sign / pairs.len() as f32).collect();
    for backend in [BackendKind::Cpu, BackendKind::Gpu] {
        let mut session = load(backend, 256);
        let engine = &mut session.engine;
        let gpu = engine.gpu().cloned();
        let bytes = || gpu.as_ref().map_or(0, |gpu| gpu.work().readback_bytes);
        let before = bytes();
        let made = extract(engine, VectorMethod::MeanDifference, &pairs, &LAYERS, &(), |_, _| {});
        let made = pollster::block_on(made).expect("the pairs are read");
        if backend == BackendKind::Gpu {
            // Of each layer a sum, and three numbers a text.
            assert_eq!(bytes() - before, 3 * (576 + 24 * 3) * 4);
        }
        let contrasts = pollster::block_on(Contrast::read(engine, &pairs, &LAYERS, &(), |_, _| {}));
        for (contrast, layer) in contrasts.expect("the pairs are read").iter().zip(&made.layers) {
            let expected = Separability::held_out(VectorMethod::MeanDifference, contrast).expect("enough pairs");
            let found = layer.separability.expect("enough pairs");
            println!("{backend:?}, layer {}: {found:?}, from the activations {expected:?}", layer.layer);
            assert_eq!(found.accuracy, expected.accuracy);
            assert!((found.d_prime - expected.d_prime).abs() < 1e-3 * expected.d_prime.abs().max(1.0));
            let norm = contrast.typical_norm() as f32;
            assert!((layer.typical_norm / norm - 1.0).abs() < 1e-5, "{} and {norm}", layer.typical_norm);
        }
        let cache = pollster::block_on(engine.capture(&what, &(), |_, _| {})).expect("it captures");
        for (layer, site) in made.layers.iter().zip(sites) {
            let before = bytes();
            let sum = pollster::block_on(cache.weighted_sum(site, &weights)).expect("it was captured");
            let of_sum = bytes() - before;
            pollster::block_on(cache.read(site, 0..cache.rows())).expect("it was captured");
            let of_rows = bytes() - before - of_sum;
            let off = distance(&sum, &layer.direction);
            println!("{backend:?}, {site}: off by {off:.1e}; {of_sum} bytes read back, {of_rows} for all rows");
            assert!(off < 1e-5, "{backend:?}, {site}: off by {off:e}");
            if backend == BackendKind::Gpu {
                assert_eq!((of_sum, of_rows), (576 * 4, 24 * 576 * 4));
            }
        }
        let short = pollster::block_on(cache.weighted_sum(sites[0], &weights[1..]));
        assert!(matches!(short, Err(EngineError::NotCaptured(_))), "{short:?}");
    }
}
