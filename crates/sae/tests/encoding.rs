//! Encoding and decoding, where the answer is known by hand.

use tiller_sae::{Activation, Normalisation, Sae, SaeError, Transcoder};

/// Three features along the axes of a plane of two numbers: +x, -x and +y.
fn plane(activation: Activation) -> Sae {
    let rows = vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0];
    Sae {
        d_in: 2,
        d_sae: 3,
        w_enc: rows.clone(),
        b_enc: vec![0.0; 3],
        w_dec: rows,
        b_dec: vec![0.0; 2],
        apply_b_dec_to_input: true,
        activation,
        normalisation: Normalisation::None,
        transcoder: None,
    }
}

fn pursuit(residual_threshold: f32, max_iterations: usize) -> Sae {
    let activation =
        Activation::MatchingPursuit { residual_threshold, max_iterations, stop_on_duplicate_support: true };
    Sae { w_enc: vec![], b_enc: vec![], ..plane(activation) }
}

#[test]
fn what_is_not_above_zero_is_no_feature() {
    let sae = plane(Activation::Relu);
    assert_eq!(sae.encode(&[0.5, 0.0]), [(0, 0.5)]);
    assert_eq!(sae.encode(&[-2.0, 3.0]), [(1, 2.0), (2, 3.0)]);
    assert_eq!(sae.encode(&[0.0, 0.0]), []);
}

#[test]
fn a_threshold_is_to_be_exceeded() {
    let sae = plane(Activation::JumpRelu { threshold: vec![0.5, 0.5, -1.0] });
    assert_eq!(sae.encode(&[0.5, -0.25]), []);
    assert_eq!(sae.encode(&[0.75, 0.25]), [(0, 0.75), (2, 0.25)]);
}

#[test]
fn the_largest_are_kept_and_of_equal_ones_the_first() {
    let sae = plane(Activation::TopK { k: 1 });
    assert_eq!(sae.encode(&[1.0, 2.0]), [(2, 2.0)]);
    assert_eq!(sae.encode(&[2.0, 2.0]), [(0, 2.0)]);
    // The largest of none above 0 is none.
    assert_eq!(Sae { b_enc: vec![-9.0; 3], ..sae }.encode(&[2.0, 2.0]), []);
}

#[test]
fn a_gate_opens_by_its_own_bias() {
    let activation = Activation::Gated { r_mag: vec![2f32.ln(), 0.0, 0.0], b_mag: vec![0.5, -5.0, 0.0] };
    let sae = Sae { b_enc: vec![-1.0, 0.0, 0.0], ..plane(activation) };
    assert_eq!(sae.encode(&[1.0, 0.0]), []);
    assert_eq!(sae.encode(&[1.5, 0.0]), [(0, 3.5)]);
    // Open, with a magnitude below 0.
    assert_eq!(sae.encode(&[-1.0, 0.0]), []);
}

#[test]
fn a_pursuit_ends_by_its_threshold_its_steps_or_when_nothing_is_left() {
    assert_eq!(pursuit(0.0, 9).encode(&[-1.0, 3.0]), [(1, 1.0), (2, 3.0)]);
    assert_eq!(pursuit(1.5, 9).encode(&[-1.0, 3.0]), [(2, 3.0)]);
    assert_eq!(pursuit(0.0, 1).encode(&[-1.0, 3.0]), [(2, 3.0)]);
    assert_eq!(pursuit(0.0, 9).encode(&[0.0, -3.0]), []);
    let sae = Sae { b_dec: vec![1.0, 1.0], ..pursuit(0.0, 9) };
    assert_eq!(sae.decode(&sae.encode(&[2.0, 4.0]), &[2.0, 4.0]), [2.0, 4.0]);
}

#[test]
fn a_reconstruction_has_the_scale_of_what_was_encoded() {
    let x = [3.0, -4.0];
    for normalisation in [Normalisation::LayerNorm, Normalisation::ConstantNorm] {
        let rows = vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0];
        let sae = Sae {
            d_sae: 4,
            w_enc: rows.clone(),
            w_dec: rows,
            b_enc: vec![0.0; 4],
            normalisation,
            ..plane(Activation::Relu)
        };
        sae.check().unwrap();
        let back = sae.decode(&sae.encode(&x), &x);
        assert!(back.iter().zip(x).all(|(a, b)| (a - b).abs() < 1e-4), "{normalisation:?}: {back:?}");
    }
    // Nothing to scale.
    let sae = Sae { normalisation: Normalisation::ConstantNorm, ..plane(Activation::Relu) };
    assert_eq!(sae.decode(&sae.encode(&[0.0; 2]), &[0.0; 2]), [0.0; 2]);
}

#[test]
fn a_transcoder_writes_another_activation_and_skips() {
    let skip = vec![0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
    let sae = Sae {
        apply_b_dec_to_input: false,
        w_dec: vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        b_dec: vec![10.0; 3],
        transcoder: Some(Transcoder { d_out: 3, skip: Some(skip) }),
        ..plane(Activation::Relu)
    };
    sae.check().unwrap();
    let x = [2.0, 5.0];
    assert_eq!(sae.decode(&sae.encode(&x), &x), [10.0 + 2.0 + 5.0, 10.0 + 2.0, 10.0 + 5.0 + 7.0]);
}

#[test]
fn folding_changes_neither_what_is_active_nor_what_is_reconstructed() {
    let mut sae = plane(Activation::JumpRelu { threshold: vec![0.5; 3] });
    sae.w_dec = vec![4.0, 3.0, -2.0, 0.0, 0.0, 0.5];
    sae.b_dec = vec![0.25, -0.5];
    let xs = [[1.0, 1.0], [-2.0, 0.3], [0.1, 2.0]];
    let before: Vec<_> = xs.iter().map(|x| sae.decode(&sae.encode(x), x)).collect();
    let mut folded = sae.clone();
    folded.fold_direction_lengths();
    assert_eq!(folded.encode(&[1.0, -1.0]), [(0, 5.0 * sae.encode(&[1.0, -1.0])[0].1)]);
    for (x, before) in xs.iter().zip(&before) {
        let after = folded.decode(&folded.encode(x), x);
        assert!(after.iter().zip(before).all(|(a, b)| (a - b).abs() < 1e-5), "{after:?} {before:?}");
    }
    // An SAE of activations a quarter as long sees what the folded one sees.
    let mut scaled = sae.clone();
    scaled.fold_input_scale(0.25);
    let x = [8.0, 2.0];
    let quarter = [2.0, 0.5];
    assert_eq!(scaled.encode(&x), sae.encode(&quarter));
    let back: Vec<f32> = sae.decode(&sae.encode(&quarter), &quarter).iter().map(|x| 4.0 * x).collect();
    assert_eq!(scaled.decode(&scaled.encode(&x), &x), back);
}

#[test]
fn rows_are_encoded_as_each_is_alone() {
    let sae = plane(Activation::Relu);
    let rows: Vec<f32> = (0..2 * 131).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
    let all = sae.encode_rows(&rows);
    assert_eq!(all.len(), 131);
    for (row, features) in rows.chunks(2).zip(all) {
        assert_eq!(sae.encode(row), features);
    }
}

#[test]
fn what_does_not_fit_together_is_refused_by_name() {
    let sae = plane(Activation::Relu);
    sae.check().unwrap();
    let refused = |sae: Sae| sae.check().unwrap_err();
    assert!(matches!(refused(Sae { b_enc: vec![0.0; 2], ..sae.clone() }), SaeError::Shape { name: "b_enc", .. }));
    assert!(matches!(refused(Sae { d_sae: usize::MAX, ..sae.clone() }), SaeError::Empty { .. }));
    let nan = Sae { w_dec: vec![f32::NAN; 6], ..sae.clone() };
    assert_eq!(refused(nan), SaeError::NotFinite { name: "W_dec" });
    assert_eq!(refused(plane(Activation::TopK { k: 4 })), SaeError::K { k: 4, d_sae: 3 });
    assert!(matches!(refused(pursuit(0.1, 0)), SaeError::Pursuit { .. }));
    let transcoder = Some(Transcoder { d_out: 2, skip: None });
    assert_eq!(refused(Sae { transcoder, ..sae }), SaeError::Transcoder);
}
