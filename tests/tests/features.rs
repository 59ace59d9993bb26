//! Features of sparse autoencoders in the pass, on both backends: edits, conditions and readings against what
//! `tiller-sae` makes of the same activations on the host.
//!
//! Tolerances: an edited activation is within 2e-5 of its length, as other edits are (`edits.rs`). Features are within
//! 1e-5 of the length of all of a token's features on the CPU, which sums in another order than `tiller-sae`, and within
//! 1e-4 on the GPU, whose activations are read back in another step than they are encoded in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tiller_engine::{
    BackendKind, Condition, Dictionary, Edit, EncoderWeights, Engine, FeatureChange, FeatureHarvest, FeatureReading,
    Generation, Gpu, Harvest, Lane, Operation, Part, Positions, Sampling, Site, TapRows, Test,
};
use tiller_formats::{DiskFolder, Quant, ReadOptions, SaeFile};
use tiller_model::{ModelFiles, TinyLlama};
use tiller_sae::{Activation, Normalisation, Sae};
use tiller_tests::load;

const BACKENDS: [BackendKind; 2] = [BackendKind::Cpu, BackendKind::Gpu];
const PROMPT: [u32; 12] = [40, 7, 133, 90, 7, 201, 33, 18, 250, 7, 66, 121];
const SITE: Site = Site::ResidPost(0);

fn tiny(backend: BackendKind, model: TinyLlama) -> Engine {
    let bytes = model.to_gguf().expect("the tiny model is whole");
    pollster::block_on(async {
        let ModelFiles { config, checkpoint, .. } = ModelFiles::from_gguf(&bytes[..]).await.expect("it reads");
        match backend {
            BackendKind::Cpu => Engine::on_cpu(config, &checkpoint, 128, &(), |_, _| {}).await,
            BackendKind::Gpu => {
                let gpu = Gpu::open().await.expect("a Vulkan driver, if only a software one");
                Engine::on_gpu(gpu, config, &checkpoint, 128, &(), |_, _| {}).await
            }
        }
        .expect("it loads")
    })
}

/// The activation of every token.
fn read(engine: &mut Engine, tokens: &[u32], site: Site, edits: &[Edit]) -> Vec<Vec<f32>> {
    let what = Harvest { prompts: &[tokens.to_vec()], sites: &[site], rows: TapRows::All, edits };
    let mut rows = Vec::new();
    pollster::block_on(engine.harvest(&what, &(), |_, _| {}, |reading| rows.push(reading.values.to_vec()))).unwrap();
    rows
}

/// The strongest features of every token.
fn strongest(engine: &mut Engine, tokens: &[u32], reading: &FeatureReading, edits: &[Edit]) -> Vec<Vec<(u32, f32)>> {
    let what = FeatureHarvest { prompts: &[tokens.to_vec()], reading, edits };
    let mut rows = Vec::new();
    let sink = |read: tiller_engine::FeaturesRead| {
        assert_eq!((read.prompt, read.position as usize), (0, rows.len()));
        rows.push(read.features);
    };
    pollster::block_on(engine.harvest_features(&what, &(), |_, _| {}, sink)).unwrap();
    rows
}

fn numbers(count: usize, seed: f64) -> Vec<f32> {
    (0..count).map(|i| ((i as f64 + 1.0) * seed).sin() as f32).collect()
}

const FEATURES: usize = 80;

/// An SAE of 64 numbers; about half of its features are active on any token.
fn sae(activation: Activation, normalisation: Normalisation) -> Sae {
    let directions = |seed| numbers(64 * FEATURES, seed).into_iter().map(|w| 0.15 * w).collect();
    Sae {
        d_in: 64,
        d_sae: FEATURES,
        w_enc: directions(0.7),
        b_enc: numbers(FEATURES, 1.1).into_iter().map(|b| 0.1 * b).collect(),
        w_dec: directions(1.9),
        b_dec: numbers(64, 0.3).into_iter().map(|b| 0.1 * b).collect(),
        apply_b_dec_to_input: true,
        activation,
        normalisation,
        transcoder: None,
    }
}

fn architectures() -> Vec<Activation> {
    let few = |seed| numbers(FEATURES, seed).into_iter().map(|n| 0.02 * n.abs()).collect::<Vec<f32>>();
    vec![
        Activation::Relu,
        Activation::JumpRelu { threshold: few(0.4) },
        Activation::Gated { r_mag: numbers(FEATURES, 0.6), b_mag: few(0.8) },
        Activation::TopK { k: 9 },
    ]
}

/// Activations as an SAE sees them.
fn seen(x: &[f32], centred: bool) -> Vec<f32> {
    let mean = if centred { x.iter().sum::<f32>() / x.len() as f32 } else { 0.0 };
    x.iter().map(|x| x - mean).collect()
}

fn off(found: &[f64], expected: &[f64]) -> f64 {
    let square: f64 = found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum();
    (square / expected.iter().map(|b| b * b).sum::<f64>().max(1e-12)).sqrt()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// How far the features of a token are from those expected, of the length of these. Fewer may have been asked for.
fn features_off(found: &[(u32, f32)], expected: &[(u32, f32)], most: usize) -> f64 {
    let mut strongest = expected.to_vec();
    strongest.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    strongest.truncate(most);
    assert_eq!(found.len(), strongest.len(), "{found:?}, expected {strongest:?}");
    assert!(found.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{found:?}");
    // Neighbours that are nearly equal may change places; of the last, one may be another.
    let all: BTreeMap<u32, f32> = expected.iter().copied().collect();
    let by_number: f64 = found.iter().map(|(i, v)| f64::from(v - all.get(i).unwrap_or(&0.0)).powi(2)).sum();
    let by_rank: f64 = found.iter().zip(&strongest).map(|(a, b)| f64::from(a.1 - b.1).powi(2)).sum();
    let length: f64 = strongest.iter().map(|(_, value)| f64::from(*value).powi(2)).sum();
    (by_number.max(by_rank) / length.max(1e-12)).sqrt()
}

fn changes() -> Arc<[(u32, FeatureChange)]> {
    let all = [
        FeatureChange::Set(0.5),
        FeatureChange::Add(-0.25),
        FeatureChange::Scale(0.0),
        FeatureChange::Clamp { low: 0.05, high: 0.1 },
        FeatureChange::Scale(3.0),
    ];
    (0..40).map(|n| ((n * 7 + 3) % FEATURES as u32, all[n as usize % 5])).collect()
}

fn changed(change: FeatureChange, f: f64) -> f64 {
    match change {
        FeatureChange::Set(value) => f64::from(value),
        FeatureChange::Add(value) => f + f64::from(value),
        FeatureChange::Scale(factor) => f64::from(factor) * f,
        FeatureChange::Clamp { low, high } => f.clamp(low.into(), high.into()),
    }
}

#[test]
fn every_architecture_is_edited_as_its_formula_says_and_what_it_leaves_out_stays() {
    for backend in BACKENDS {
        let mut engine = tiny(backend, TinyLlama::default());
        let before = read(&mut engine, &PROMPT, SITE, &[]);
        for activation in architectures() {
            for normalisation in [Normalisation::None, Normalisation::LayerNorm, Normalisation::ConstantNorm] {
                for centred in [false, true] {
                    let sae = sae(activation.clone(), normalisation);
                    let what = format!("{activation:?}, {normalisation:?}, centred {centred}, {}", backend.name());
                    let operation = Operation::Features {
                        sae: Dictionary::new(Arc::new(sae.clone()), centred),
                        changes: changes(),
                        directions: None,
                        coefficient: 0.75,
                    };
                    let even = Positions::Listed((0..12).step_by(2).collect());
                    let after = read(&mut engine, &PROMPT, SITE, &[Edit::new(SITE, operation).at(even)]);
                    let mut moved = 0;
                    for (position, (x, after)) in before.iter().zip(&after).enumerate() {
                        if position % 2 == 1 {
                            // Tokens that are not edited may still see those that are, in later blocks alone.
                            assert_eq!(x, after, "{what}, token {position}");
                            continue;
                        }
                        let seen = seen(x, centred);
                        let found: BTreeMap<u32, f32> = sae.encode(&seen).into_iter().collect();
                        let unit = f64::from(sae.unit_of(&seen));
                        let mut expected = wide(x);
                        for &(feature, change) in changes().iter() {
                            let f = f64::from(found.get(&feature).copied().unwrap_or(0.0));
                            let amount = 0.75 * unit * (changed(change, f) - f);
                            let direction = sae.direction(feature as usize);
                            expected.iter_mut().zip(direction).for_each(|(x, &d)| *x += amount * f64::from(d));
                        }
                        moved += usize::from(off(&wide(x), &expected) > 0.01);
                        let off = off(&wide(after), &expected);
                        assert!(off < 2e-5, "{what}, token {position}: off by {off:e}");
                    }
                    assert!(moved >= 5, "{what}: the edit does something");
                }
            }
        }
    }
}

#[test]
fn an_edit_acts_where_a_feature_fires_and_a_latched_one_from_there_on() {
    for backend in BACKENDS {
        let mut engine = tiny(backend, TinyLlama::default());
        let before = read(&mut engine, &PROMPT, SITE, &[]);
        for activation in [Activation::Relu, Activation::TopK { k: 9 }] {
            let sae = Arc::new(sae(activation.clone(), Normalisation::None));
            let dictionary = Dictionary::new(sae.clone(), true);
            let value = |feature: u32| -> Vec<f32> {
                let of = |x: &Vec<f32>| sae.encode(&seen(x, true)).iter().find(|f| f.0 == feature).map_or(0.0, |f| f.1);
                before.iter().map(of).collect()
            };
            // One, and a threshold, above which it is at some tokens, and not at the first.
            let split = |feature: u32| {
                let values = value(feature);
                let mut sorted = values.clone();
                sorted.sort_by(f32::total_cmp);
                let pair = sorted[3..10].windows(2).max_by(|a, b| (a[1] - a[0]).total_cmp(&(b[1] - b[0])))?;
                let threshold = (pair[0] + pair[1]) / 2.0;
                (pair[1] - pair[0] > 0.002 && values[0] < threshold).then_some((feature, threshold))
            };
            let (feature, threshold) = (0..FEATURES as u32).find_map(split).expect("there is one");
            for latched in [false, true] {
                let condition = Condition::Activation {
                    site: SITE,
                    test: Test::Feature { sae: dictionary.clone(), feature },
                    above: true,
                    threshold,
                    positions: Positions::All,
                    latched,
                };
                let operation = Operation::Features {
                    sae: dictionary.clone(),
                    changes: [(feature, FeatureChange::Add(1.0))].into(),
                    directions: None,
                    coefficient: 1.0,
                };
                let after = read(&mut engine, &PROMPT, SITE, &[Edit::new(SITE, operation).when(condition)]);
                let mut held = false;
                for (position, value) in value(feature).into_iter().enumerate() {
                    held = value > threshold || (latched && held);
                    assert_eq!(before[position] != after[position], held, "{activation:?}, token {position}");
                }
            }
        }
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/saes")
}

fn golden_sae(name: &str) -> Sae {
    let text = std::fs::read_to_string(golden().join(name).join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let options = ReadOptions {
        site: expected["options"]["site"].as_str().map(str::to_owned),
        input_scale: expected["options"]["input_scale"].as_f64().map(|scale| scale as f32),
        ..ReadOptions::default()
    };
    pollster::block_on(SaeFile::read(&DiskFolder::new(golden().join(name)), &options)).unwrap().sae
}

#[test]
fn the_features_of_every_kind_of_file_are_read_as_on_the_host_or_refused_by_name() {
    let mut names: Vec<String> =
        std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    for backend in BACKENDS {
        let (mut engines, mut refused): (BTreeMap<usize, Engine>, _) = (BTreeMap::new(), Vec::new());
        for name in &names {
            let sae = golden_sae(name);
            let width = sae.d_in;
            let engine = engines.entry(width).or_insert_with(|| {
                let model =
                    TinyLlama { width: width as u32, heads: 2, kv_heads: 1, quant: Quant::F32, ..TinyLlama::default() };
                tiny(backend, model)
            });
            for centred in [false, true] {
                let dictionary = Dictionary::new(Arc::new(sae.clone()), centred);
                let reading = FeatureReading { site: Site::ResidPost(1), sae: dictionary, most: 7 };
                let what = FeatureHarvest { prompts: &[PROMPT.to_vec()], reading: &reading, edits: &[] };
                if sae.transcoder.is_some() || matches!(sae.activation, Activation::MatchingPursuit { .. }) {
                    let found = pollster::block_on(engine.harvest_features(&what, &(), |_, _| {}, |_| {}));
                    let error = found.unwrap_err().to_string();
                    assert!(error.contains("transcoder") || error.contains("matching pursuit"), "{error}");
                    refused.push(name.clone());
                    continue;
                }
                let found = strongest(engine, &PROMPT, &reading, &[]);
                let streams = read(engine, &PROMPT, Site::ResidPost(1), &[]);
                let tolerance = if backend == BackendKind::Cpu { 1e-5 } else { 1e-4 };
                for (position, (found, x)) in found.iter().zip(&streams).enumerate() {
                    let off = features_off(found, &sae.encode(&seen(x, centred)), 7);
                    assert!(off < tolerance, "{name}, {}, token {position}: off by {off:e}", backend.name());
                }
                assert!(found.iter().any(|features| features.len() > 1), "{name}");
            }
        }
        refused.dedup();
        assert_eq!(refused.len(), 7, "{refused:?}");
    }
}

#[test]
fn what_comes_with_each_token_is_what_the_whole_text_reads() {
    for backend in BACKENDS {
        let mut engine = tiny(backend, TinyLlama::default());
        let sae = Dictionary::new(Arc::new(sae(Activation::TopK { k: 9 }, Normalisation::None)), false);
        let reading = FeatureReading { site: Site::ResidPost(1), sae: sae.clone(), most: 5 };
        let operation = Operation::Features { sae, changes: changes(), directions: None, coefficient: 2.0 };
        let edits = vec![Edit::new(SITE, operation)];
        let prompts = [PROMPT.to_vec(), PROMPT[..5].to_vec()];
        let what = Generation {
            lanes: vec![
                Lane { prompt: prompts[0].clone(), edits: Vec::new() },
                Lane { prompt: prompts[1].clone(), edits: vec![0] },
            ],
            edits: edits.clone(),
            sampling: Sampling::GREEDY,
            max_tokens: 9,
            end_tokens: Vec::new(),
            alternatives: false,
            features: Some(reading.clone()),
        };
        let mut found = [Vec::new(), Vec::new()];
        let on_token = |written: tiller_engine::Written| {
            let read = if written.index == 0 { prompts[written.lane].len() } else { 1 };
            assert_eq!(written.features.len(), read);
            found[written.lane].extend(written.features);
        };
        let (lanes, _) = pollster::block_on(engine.generate(&what, &(), || 0.0, on_token)).unwrap();
        for (n, lane) in lanes.iter().enumerate() {
            // The last token that was drawn is read by nobody.
            let text = [&prompts[n][..], &lane.tokens[..lane.tokens.len() - 1]].concat();
            let edits = if n == 1 { &edits[..] } else { &[] };
            let expected = strongest(&mut engine, &text, &reading, edits);
            assert_eq!(found[n].len(), expected.len());
            for (position, (found, expected)) in found[n].iter().zip(&expected).enumerate() {
                let off = features_off(found, expected, 5);
                assert!(off < 1e-4, "lane {n}, token {position} on {}: off by {off:e}", backend.name());
            }
        }
        assert_ne!(lanes[0].tokens, lanes[1].tokens);
    }
}

#[test]
fn a_coefficient_is_changed_without_recording_anything_again() {
    let mut engine = tiny(BackendKind::Gpu, TinyLlama::default());
    let sae = Dictionary::new(Arc::new(sae(Activation::TopK { k: 9 }, Normalisation::None)), false);
    let mut write = |coefficient: f32| {
        let operation = Operation::Features { sae: sae.clone(), changes: changes(), directions: None, coefficient };
        let what = Generation {
            lanes: vec![Lane { prompt: PROMPT.to_vec(), edits: vec![0] }],
            edits: vec![Edit::new(SITE, operation)],
            sampling: Sampling::GREEDY,
            max_tokens: 6,
            end_tokens: Vec::new(),
            alternatives: false,
            features: None,
        };
        let (lanes, _) = pollster::block_on(engine.generate(&what, &(), || 0.0, |_| {})).unwrap();
        (lanes[0].tokens.clone(), engine.device_bytes())
    };
    let (plain, bytes) = write(0.0);
    let (edited, after) = write(4.0);
    assert_ne!(plain, edited);
    assert_eq!(bytes, after, "a plan that is recorded takes memory");
}

#[test]
fn feature_edits_that_cannot_be_made_are_refused_by_a_sentence() {
    let mut engine = tiny(BackendKind::Cpu, TinyLlama::default());
    let plain = Arc::new(sae(Activation::Relu, Normalisation::None));
    let refusal = |engine: &mut Engine, edit: Edit| {
        let what = Harvest { prompts: &[PROMPT.to_vec()], sites: &[Site::Embed], rows: TapRows::All, edits: &[edit] };
        pollster::block_on(engine.harvest(&what, &(), |_, _| {}, |_| {})).expect_err("it is refused").to_string()
    };
    let edit = |sae: &Arc<Sae>, site, changes: &[(u32, FeatureChange)], directions: Option<Arc<[f32]>>| {
        let sae = Dictionary::new(sae.clone(), false);
        Edit::new(site, Operation::Features { sae, changes: changes.into(), directions, coefficient: 1.0 })
    };
    let one = [(3, FeatureChange::Scale(0.0))];
    let mut says = |edit: Edit, said: &str| {
        let error = refusal(&mut engine, edit);
        assert!(error.contains(said), "{error}");
    };
    says(edit(&plain, Site::Z(0), &one, None).on(Part::Head(1)), "not of a part");
    says(edit(&plain, Site::MlpPost(0), &one, None), "reads 64 numbers, and the activation there has 96");
    says(edit(&plain, Site::FinalNorm, &one, None), "within the blocks");
    says(edit(&plain, SITE, &[(80, FeatureChange::Scale(0.0))], None), "features there are 0 to 79");
    says(edit(&plain, SITE, &[], None), "no feature");
    says(edit(&plain, SITE, &[one[0], one[0]], None), "twice");
    let many: Vec<(u32, FeatureChange)> = (0..65).map(|feature| (feature, FeatureChange::Set(0.0))).collect();
    says(edit(&plain, SITE, &many, None), "more than 64");
    says(edit(&plain, SITE, &[(3, FeatureChange::Set(f32::NAN))], None), "finite");
    says(edit(&plain, SITE, &[(3, FeatureChange::Clamp { low: 1.0, high: 0.0 })], None), "bound");
    says(edit(&plain, SITE, &one, Some([1.0; 63].into())), "directions");
    let pursuit =
        Activation::MatchingPursuit { residual_threshold: 0.0, max_iterations: 3, stop_on_duplicate_support: true };
    let pursuit = Arc::new(Sae { w_enc: Vec::new(), b_enc: Vec::new(), ..sae(pursuit, Normalisation::None) });
    says(edit(&pursuit, SITE, &one, None), "matching pursuit");
    let reading = FeatureReading { site: SITE, sae: Dictionary::new(plain, false), most: 65 };
    let what = FeatureHarvest { prompts: &[PROMPT.to_vec()], reading: &reading, edits: &[] };
    let error = pollster::block_on(engine.harvest_features(&what, &(), |_, _| {}, |_| {})).unwrap_err();
    assert!(error.to_string().contains("at most 64"), "{error}");
}

#[test]
fn the_shipped_sae_reads_in_the_pass_what_it_reads_on_the_host() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/sae/smollm2-135m-instruct-resid-14");
    let file = pollster::block_on(SaeFile::read(&DiskFolder::new(folder), &ReadOptions::default())).unwrap();
    let sae = Arc::new(file.sae);
    let site = Site::ResidPost(14);
    for (backend, tolerance) in [(BackendKind::Cpu, 1e-5), (BackendKind::Gpu, 1e-4)] {
        let mut session = load(backend, 256);
        let tokens = session.neutral().unwrap();
        let streams = read(&mut session.engine, &tokens, site, &[]);
        for (weights, tolerance) in [(EncoderWeights::F32, tolerance), (EncoderWeights::EightBit, 0.02)] {
            let dictionary = Dictionary { sae: sae.clone(), centred: false, weights };
            let reading = FeatureReading { site, sae: dictionary, most: 32 };
            let found = strongest(&mut session.engine, &tokens, &reading, &[]);
            let mut worst = 0f64;
            for (position, (found, x)) in found.iter().zip(&streams).enumerate() {
                let off = features_off(found, &sae.encode(x), 32);
                worst = worst.max(off);
                assert!(off < tolerance, "{weights:?} on {}, token {position}: off by {off:e}", backend.name());
            }
            println!("{weights:?} on {}: off by {worst:e} at most", backend.name());
        }
    }
}
