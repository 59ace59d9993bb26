//! Files of sparse autoencoders as sae-lens, Sparsify, numpy and safetensors write them: read, run and compared with
//! what sae-lens or Sparsify makes of them (`tests/golden/saes.py`).
//!
//! Both compute in f32 and sum in another order: 1e-5 of the largest number in a row is what they may differ by.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tiller_formats::{DiskFolder, Precision, ReadOptions, SaeFile, SaeFileError, propose_mapping};
use tiller_sae::Activation;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/saes")
}

#[derive(Deserialize)]
struct Expected {
    options: Options,
    activations: Vec<Vec<f32>>,
    features: Vec<Vec<(u32, f32)>>,
    reconstructions: Vec<Vec<f32>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    site: Option<String>,
    site_out: Option<String>,
    input_scale: Option<f32>,
}

fn expected(name: &str) -> (Expected, ReadOptions) {
    let bytes = std::fs::read(folder().join(name).join("expected.json")).unwrap();
    let expected: Expected = serde_json::from_slice(&bytes).unwrap();
    let Options { site, site_out, input_scale } = &expected.options;
    let options = ReadOptions { site: site.clone(), site_out: site_out.clone(), input_scale: *input_scale };
    (expected, options)
}

fn read(name: &str, options: &ReadOptions) -> SaeFile {
    let found = pollster::block_on(SaeFile::read(&DiskFolder::new(folder().join(name)), options));
    found.unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn near(what: &str, found: &[f32], expected: &[f32], share: f32) {
    let largest = expected.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= share * largest, "{what}: {found}, expected {expected}");
    }
}

fn check(name: &str, file: &SaeFile, expected: &Expected, share: f32) {
    let rows = expected.activations.concat();
    let all = file.sae.encode_rows(&rows);
    for (row, x) in expected.activations.iter().enumerate() {
        let what = format!("{name}, activation {row}");
        let (numbers, values): (Vec<u32>, Vec<f32>) = file.sae.encode(x).into_iter().unzip();
        let (expected_numbers, expected_values): (Vec<u32>, Vec<f32>) = expected.features[row].iter().copied().unzip();
        assert_eq!(numbers, expected_numbers, "{what}");
        near(&what, &values, &expected_values, share);
        assert_eq!(all[row], file.sae.encode(x), "{what}");
        near(&what, &file.sae.decode(&all[row], x), &expected.reconstructions[row], share);
    }
}

#[test]
fn every_layout_and_kind_gives_the_references_features_and_reconstructions() {
    let mut names: Vec<String> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names.len(), 21, "{names:?}");
    for name in names {
        let (expected, options) = expected(&name);
        assert!(expected.features.iter().any(|features| features.len() > 1), "{name}");
        check(&name, &read(&name, &options), &expected, 1e-5);
    }
}

#[test]
fn what_is_written_is_read_back_and_means_the_same() {
    for name in ["standard_layer_norm", "topk_rescaled", "jumprelu_constant_norm", "gated", "matching_pursuit_steps"]
        .into_iter()
        .chain(["transcoder", "skip_transcoder", "jumprelu_transcoder", "gemma_scope_2", "before_6_topk"])
    {
        let (expected, options) = expected(name);
        let file = read(name, &options);
        let back = |precision| {
            let files = file.to_saelens(precision);
            pollster::block_on(SaeFile::read(&files, &ReadOptions::default())).unwrap()
        };
        assert_eq!(back(Precision::F32), file, "{name}");
        // Eleven bits of a number: a feature near 0 may come or go, and what is reconstructed hardly moves.
        let half = back(Precision::F16).sae;
        for (x, expected) in expected.activations.iter().zip(&expected.reconstructions) {
            near(name, &half.decode(&half.encode(x), x), expected, 4e-3);
        }
    }
}

#[test]
fn weights_in_eight_bits_are_within_half_a_step_of_a_features_largest() {
    for name in ["standard", "before_6_topk", "jumprelu_constant_norm", "skip_transcoder"] {
        let (_, options) = expected(name);
        let file = read(name, &options);
        let mut files = file.to_saelens(Precision::I8);
        let found = pollster::block_on(SaeFile::read(&files, &ReadOptions::default())).unwrap();
        let (exact, rounded) = (&file.sae, &found.sae);
        for feature in 0..exact.d_sae {
            for (exact, rounded) in [
                (exact.encoder_row(feature), rounded.encoder_row(feature)),
                (exact.direction(feature), rounded.direction(feature)),
            ] {
                let step = exact.iter().fold(0f32, |most, x| most.max(x.abs())) / 127.0;
                let furthest = exact.iter().zip(rounded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(furthest <= 0.501 * step, "{name}, feature {feature}: {furthest} of a step of {step}");
            }
        }
        // All else is as it was.
        let of_exact = SaeFile {
            sae: tiller_sae::Sae { w_enc: exact.w_enc.clone(), w_dec: exact.w_dec.clone(), ..rounded.clone() },
            ..found.clone()
        };
        if name != "skip_transcoder" {
            assert_eq!(of_exact, file, "{name}");
        }
        // Without its scales it is refused.
        let weights = files.get_mut("sae_weights.safetensors").unwrap();
        let at = weights.windows(11).position(|bytes| bytes == b"W_dec.scale").unwrap();
        weights[at + 10] = b'f';
        assert!(refusal(&files).contains("\"W_dec\" is stored as I8 without a scale"), "{}", refusal(&files));
    }
}

#[test]
fn what_it_was_trained_on_is_kept() {
    let file = read("standard", &ReadOptions::default());
    let about = &file.trained_on;
    assert_eq!((about.model.as_deref(), about.site.as_deref()), (Some("tiny"), Some("blocks.1.hook_resid_post")));
    assert_eq!((about.prepend_bos, about.context, about.centred), (Some(false), Some(128), Some(false)));
    // Old files say neither that texts began with BOS nor that streams were centred: the one was so.
    let old = read("before_6", &ReadOptions::default()).trained_on;
    assert_eq!((old.prepend_bos, old.centred), (Some(true), None));
    assert_eq!(old.site.as_deref(), Some("blocks.8.hook_resid_pre"));
    let scope = read("gemma_scope_2", &ReadOptions::default()).trained_on;
    assert_eq!(scope.site.as_deref(), Some("blocks.5.hook_mlp_in"));
    assert_eq!(scope.site_out.as_deref(), Some("blocks.5.hook_mlp_out"));
}

#[test]
fn an_old_top_k_sae_is_not_run_as_one_that_keeps_every_feature() {
    let file = read("before_6_topk", &ReadOptions::default());
    assert_eq!(file.sae.activation, Activation::TopK { k: 5 });
    let mut files = files("before_6_topk");
    edit(&mut files, "activation_fn_kwargs", serde_json::json!({}));
    assert!(refusal(&files).contains("no \"activation_fn_kwargs.k\""), "{}", refusal(&files));
}

/// A golden SAE's files, to be changed.
fn files(name: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder().join(name)).unwrap().map(|entry| entry.unwrap().path());
    let file = |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_string(), std::fs::read(&path).unwrap());
    entries.map(file).collect()
}

fn edit(files: &mut BTreeMap<String, Vec<u8>>, option: &str, value: serde_json::Value) {
    let mut config: serde_json::Map<_, _> = serde_json::from_slice(&files["cfg.json"]).unwrap();
    config.insert(option.into(), value);
    files.insert("cfg.json".into(), serde_json::to_vec(&config).unwrap());
}

fn refusal(files: &BTreeMap<String, Vec<u8>>) -> String {
    let error: SaeFileError = pollster::block_on(SaeFile::read(files, &ReadOptions::default())).unwrap_err();
    error.to_string()
}

#[test]
fn what_is_not_known_is_refused_by_its_name() {
    for (option, value, said) in [
        ("architecture", "temporal".into(), "architecture = \"temporal\""),
        ("architecture", "abstopk".into(), "abstopk"),
        ("normalize_activations", "covariance_whitening".into(), "covariance_whitening"),
        ("normalize_activations", "expected_average_only_in".into(), "expected_average_only_in"),
        ("reshape_activations", "hook_q".into(), "hook_q"),
        ("noise_scale", 3.into(), "\"noise_scale\""),
        ("d_sae", 25.into(), "[24, 12], where [25, 12]"),
        ("d_in", serde_json::Value::Null, "no \"d_in\""),
        ("d_in", (-1).into(), "d_in = -1"),
        ("apply_b_dec_to_input", "yes".into(), "apply_b_dec_to_input"),
    ] {
        let mut files = files("standard");
        edit(&mut files, option, value);
        assert!(refusal(&files).contains(said), "{option}: {}", refusal(&files));
    }
    // A file of another kind of SAE beside the configuration: tensors are missing, or too many.
    let mut mixed = files("standard");
    mixed.insert("sae_weights.safetensors".into(), files("jumprelu")["sae_weights.safetensors"].clone());
    assert!(refusal(&mixed).contains("\"threshold\" that its kind (standard)"), "{}", refusal(&mixed));
    mixed.insert("sae_weights.safetensors".into(), files("gated")["sae_weights.safetensors"].clone());
    assert!(refusal(&mixed).contains("no tensor \"b_enc\""), "{}", refusal(&mixed));
    mixed.remove("sae_weights.safetensors");
    assert!(refusal(&mixed).contains("sae_weights.safetensors is missing"), "{}", refusal(&mixed));
    assert!(refusal(&BTreeMap::new()).contains("there is no SAE here"));
    let mut old = files("before_6");
    edit(&mut old, "activation_fn_str", "tanh-relu".into());
    assert!(refusal(&old).contains("tanh-relu"), "{}", refusal(&old));
    let mut scaled = files("before_6");
    edit(&mut scaled, "normalize_activations", true.into());
    assert!(refusal(&scaled).contains("expected_average_only_in"), "{}", refusal(&scaled));
}

#[test]
fn a_mapping_names_files_beside_it_alone() {
    for name in ["../sae.safetensors", "/etc/passwd", "a/b", ""] {
        let mut files = files("mapping");
        let mapping = String::from_utf8(files["mapping.json"].clone()).unwrap();
        let mapping = mapping.replace("\"sae.safetensors\"", &format!("{name:?}"));
        files.insert("mapping.json".into(), mapping.into_bytes());
        assert!(refusal(&files).contains("is no file beside it"), "{}", refusal(&files));
    }
}

/// What is proposed for a golden SAE's weights alone, with what no tensor tells put into its configuration.
fn proposed(golden: &str, weights: &str, told: &[(&str, serde_json::Value)]) -> SaeFile {
    let weights = files(golden)[weights].clone();
    let site = Some("blocks.1.hook_resid_post");
    let mapping = pollster::block_on(propose_mapping("of unknown make.safetensors", &weights, site, 12)).unwrap();
    let mut mapping: serde_json::Value = serde_json::from_str(&mapping).unwrap();
    for (option, value) in told {
        mapping["config"][option] = value.clone();
    }
    let files = BTreeMap::from([
        ("of unknown make.safetensors".to_string(), weights),
        ("mapping.json".to_string(), mapping.to_string().into_bytes()),
    ]);
    pollster::block_on(SaeFile::read(&files, &ReadOptions::default())).unwrap()
}

#[test]
fn a_mapping_is_proposed_by_names_and_shapes_and_reads_what_the_known_layout_reads() {
    let topk = [("architecture", "topk".into()), ("k", 3.into())];
    let untouched = [("apply_b_dec_to_input", false.into())];
    for (golden, weights, told) in [
        ("mapping", "sae.safetensors", &topk[..]),
        ("standard", "sae_weights.safetensors", &[]),
        ("jumprelu", "sae_weights.safetensors", &untouched),
        ("gated", "sae_weights.safetensors", &[]),
    ] {
        let (found, known) = (proposed(golden, weights, told), read(golden, &ReadOptions::default()));
        assert!(found.sae == known.sae, "{golden}");
        assert_eq!(found.trained_on.site.as_deref(), Some("blocks.1.hook_resid_post"));
    }
}

#[test]
fn a_bias_that_is_not_there_is_proposed_as_zeros_and_what_is_no_sae_is_refused() {
    let matrix = |rows, cols| ("F32", vec![rows, cols]);
    let file = |tensors: &[(&str, (&str, Vec<usize>))]| {
        let (mut header, mut at) = (serde_json::Map::new(), 0);
        for (name, (dtype, shape)) in tensors {
            let bytes = 4 * shape.iter().product::<usize>();
            let place = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [at, at + bytes]});
            header.insert(name.to_string(), place);
            at += bytes;
        }
        let header = serde_json::Value::Object(header).to_string().into_bytes();
        let numbers = (0..at / 4).flat_map(|n| (n as f32).to_le_bytes());
        (header.len() as u64).to_le_bytes().into_iter().chain(header.clone()).chain(numbers).collect::<Vec<u8>>()
    };
    let weights = file(&[("up.enc", matrix(6, 4)), ("dictionary", matrix(4, 6)), ("log_threshold", ("F32", vec![6]))]);
    let site = Some("blocks.0.hook_resid_post");
    // Of fewer features than the activation is wide.
    let few = pollster::block_on(propose_mapping("x", &weights, site, 6)).unwrap();
    assert!(few.contains("\"d_in\": 6") && few.contains("\"d_sae\": 4"), "{few}");
    let mapping = pollster::block_on(propose_mapping("x", &weights, site, 4)).unwrap();
    let files = BTreeMap::from([("x".to_string(), weights), ("mapping.json".to_string(), mapping.into_bytes())]);
    let sae = pollster::block_on(SaeFile::read(&files, &ReadOptions::default())).unwrap().sae;
    assert_eq!((sae.d_in, sae.d_sae, &sae.b_enc, &sae.b_dec), (4, 6, &vec![0.0; 6], &vec![0.0; 4]));
    // Both lay the other way round: [d_sae, d_in] is how the encoder is kept, and how the decoder is asked for.
    assert_eq!(sae.w_enc[1], 1.0);
    assert_eq!(sae.w_dec[1], 24.0 + 6.0);

    for tensors in [
        vec![("encoder", matrix(4, 6))],
        vec![("one", matrix(4, 6)), ("other", matrix(6, 4))],
        vec![("enc", matrix(4, 6)), ("dec", matrix(6, 5))],
        vec![("enc.a", matrix(4, 6)), ("enc.b", matrix(4, 6)), ("dec", matrix(6, 4))],
    ] {
        let refused = pollster::block_on(propose_mapping("x", &file(&tensors), None, 4)).unwrap_err().to_string();
        assert!(refused.contains("mapping.json"), "{refused}");
    }
}
