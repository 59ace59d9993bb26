//! Probes of more than two classes, and with a hidden layer, against scikit-learn, torch, and on a model.
//!
//! Both end where the gradient is small: to seven digits.

use serde::Deserialize;
use tiller_engine::{BackendKind, Site};
use tiller_interp::probe::{
    Activations, ClassExamples, ClassMethod, ClassOptions, MlpOptions, MlpProbe, Read, SoftmaxProbe, sweep_classes,
};
use tiller_interp::steer::random_direction;
use tiller_tests::load;

#[derive(Deserialize)]
struct Golden {
    c: f64,
    mlp: Mlp,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Mlp {
    hidden: usize,
    steps: usize,
    learning_rate: f64,
    penalty: f64,
    seed: u64,
}

#[derive(Deserialize)]
struct Case {
    width: usize,
    classes: usize,
    rows: Vec<f32>,
    labels: Vec<usize>,
    weights: Vec<Vec<f64>>,
    biases: Vec<f64>,
    probabilities: Vec<Vec<f64>>,
    mlp: Option<Vec<Vec<f64>>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/classes.json")).unwrap()
}

#[test]
fn probes_of_several_classes_are_scikit_learns() {
    let golden = golden();
    for (n, case) in golden.cases.iter().enumerate() {
        let activations = Activations::new(case.width, case.rows.clone());
        let texts: Vec<usize> = (0..case.labels.len()).collect();
        let found = SoftmaxProbe::fit(&activations, &texts, &case.labels, case.classes, golden.c, 1e-9).unwrap();
        for (found, expected) in found.weights.iter().zip(&case.weights) {
            let norm = expected.iter().map(|x| x * x).sum::<f64>().sqrt();
            let off = found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            assert!(off < 1e-6 * norm, "case {n}: {off} of {norm}");
        }
        for (found, expected) in found.biases.iter().zip(&case.biases) {
            assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "case {n}: {found} {expected}");
        }
        for (text, expected) in case.probabilities.iter().enumerate() {
            let found = found.probabilities(activations.row(text));
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "case {n}: {found:?} {expected:?}");
        }
    }
}

#[test]
fn probes_with_a_hidden_layer_take_torchs_steps() {
    let Golden { mlp: Mlp { hidden, steps, learning_rate, penalty, seed }, cases, .. } = golden();
    let options = MlpOptions { hidden, steps, learning_rate, penalty, seed };
    let mut compared = 0;
    for case in cases {
        let Some(expected) = case.mlp else { continue };
        compared += 1;
        let activations = Activations::new(case.width, case.rows);
        let texts: Vec<usize> = (0..case.labels.len()).collect();
        let found = MlpProbe::fit(&activations, &texts, &case.labels, case.classes, &options).unwrap();
        for (text, expected) in expected.iter().enumerate() {
            let found = found.probabilities(activations.row(text));
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {expected:?}");
        }
    }
    assert_eq!(compared, 2);
}

/// Neither number says anything of the label, their product says it all: a straight cut is right half of the time.
#[test]
fn a_hidden_layer_reads_what_no_straight_cut_does() {
    let rows: Vec<[f32; 2]> = (0..400).map(|n| <[f32; 2]>::try_from(random_direction(n, 2)).unwrap()).collect();
    let labels: Vec<usize> = rows.iter().map(|x| usize::from(x[0] * x[1] > 0.0)).collect();
    let activations = Activations::new(2, rows.concat());
    let (training, test): (Vec<usize>, Vec<usize>) = ((0..200).collect(), (200..400).collect());
    let of_training = &labels[..200];
    let options = MlpOptions { steps: 400, ..MlpOptions::default() };
    let bent = MlpProbe::fit(&activations, &training, of_training, 2, &options).unwrap();
    let straight = SoftmaxProbe::fit(&activations, &training, of_training, 2, 1.0, 1e-7).unwrap();
    let right = |probabilities: &dyn Fn(&[f32]) -> Vec<f64>| {
        let right = |text: &&usize| usize::from(probabilities(activations.row(**text))[1] > 0.5) == labels[**text];
        test.iter().filter(right).count() as f64 / test.len() as f64
    };
    let (bent, straight) = (right(&|x| bent.probabilities(x)), right(&|x| straight.probabilities(x)));
    assert!(bent > 0.95 && (0.3..0.7).contains(&straight), "{bent} {straight}");
}

#[test]
fn what_a_text_speaks_of_is_read_among_four_things_and_not_of_shuffled_labels() {
    let mut session = load(BackendKind::Cpu, 512);
    let things = [
        ["the sea", "a river", "the lake", "an ocean", "the harbour", "a wave"],
        ["the oven", "a kitchen", "the soup", "a cake", "the bread", "a spoon"],
        ["the king", "a queen", "the prince", "a castle", "the crown", "a throne"],
        ["the code", "a program", "the server", "a compiler", "the keyboard", "a database"],
    ];
    let frames = ["Yesterday she told me about {}, which", "I have been reading a book on {}, and", "We saw {} there:"];
    let (mut tokens, mut labels, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for (label, words) in things.iter().enumerate() {
        for (group, word) in words.iter().enumerate() {
            for frame in frames {
                tokens.push(session.tokenizer.encode(&frame.replace("{}", word), true, false).unwrap());
                labels.push(label);
                groups.push((label * words.len() + group) as u32);
            }
        }
    }
    let examples = ClassExamples { tokens: &tokens, labels: &labels, classes: 4, groups: Some(&groups) };
    let sites = [4, 12].map(Site::ResidPost);
    let both = [ClassMethod::Softmax { c: 0.1 }, ClassMethod::Mlp(MlpOptions::default())];
    let found = both.map(|method| {
        let options = ClassOptions { method, read: Read::Mean, seed: 1, permutations: 3 };
        let mut seen = 0;
        let found = sweep_classes(&mut session.engine, &examples, &sites, &options, &(), |_, _| {}, |_| seen += 1);
        let found = pollster::block_on(found).unwrap();
        assert_eq!((seen, found.split.by_group), (2, true));
        assert!((0.2..0.3).contains(&found.majority), "{}", found.majority);
        found
    });
    for layer in found.iter().flat_map(|found| &found.layers) {
        assert!(layer.test >= 0.7 && layer.interval.low > 0.4, "{layer:?}");
        let chance = layer.shuffled.iter().sum::<f64>() / 3.0;
        assert!(chance < 0.5, "{layer:?}");
        let right: usize = (0..4).map(|class| layer.confusion[class][class]).sum();
        let all: usize = layer.confusion.iter().flatten().sum();
        assert_eq!(right as f64 / all as f64, layer.test);
    }
}
