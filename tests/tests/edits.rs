//! Every operation, on every kind of part and under every kind of condition, on both backends: what is read after the
//! edit, against the formula worked out here in f64 from what is read without it.
//!
//! The tested combinations are the table in `docs/edits.md`; `TILLER_WRITE_DOCS=1` writes it anew.
//!
//! Tolerance: the backends compute in f32, over at most 288 numbers; 2e-5 of the activation's length is ten times what
//! their sums differ by, and a hundredth of what the smallest edit here does.

use std::collections::BTreeSet;
use std::sync::Arc;
use tiller_engine::{
    BackendKind, CachedRows, Condition, Dictionary, Edit, Engine, FeatureChange, Generation, Gpu, Harvest, Lane,
    Operation, Part, PatchRows, Positions, RunCache, Sampling, Site, TapRows, Test,
};
use tiller_model::{ModelFiles, TinyLlama};
use tiller_sae::{Activation, Normalisation, Sae};
use tiller_tests::docs;

const TOLERANCE: f64 = 2e-5;
const BACKENDS: [BackendKind; 2] = [BackendKind::Cpu, BackendKind::Gpu];

/// Width 64, four heads on two of keys and values, 96 neurons, two blocks.
fn tiny(backend: BackendKind) -> Engine {
    let bytes = TinyLlama::default().to_gguf().expect("the tiny model is whole");
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

const PROMPT: [u32; 12] = [40, 7, 133, 90, 7, 201, 33, 18, 250, 7, 66, 121];

/// The activation of every token of [`PROMPT`].
fn read(engine: &mut Engine, site: Site, edits: &[Edit]) -> Vec<Vec<f64>> {
    let what = Harvest { prompts: &[PROMPT.to_vec()], sites: &[site], rows: TapRows::All, edits };
    let mut rows = Vec::new();
    let sink = |reading: tiller_engine::Reading<'_>| rows.push(reading.values.iter().map(|&x| f64::from(x)).collect());
    pollster::block_on(engine.harvest(&what, &(), |_, _| {}, sink)).expect("it reads");
    rows
}

/// Numbers in no special relation to anything, as f32 has them.
fn numbers(count: usize, seed: f64) -> Vec<f64> {
    (0..count).map(|i| f64::from(((i as f64 + 1.0) * seed).sin() as f32)).collect()
}

fn floats(values: &[f64]) -> Arc<[f32]> {
    values.iter().map(|&x| x as f32).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn length(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

/// `x + c * v`.
fn plus(x: &[f64], c: f64, v: &[f64]) -> Vec<f64> {
    x.iter().zip(v).map(|(x, v)| x + c * v).collect()
}

type Formula = Box<dyn Fn(&[f64], u32) -> Vec<f64>>;

/// Of a sparse autoencoder: ReLU, nothing normalised.
const FEATURES: usize = 12;

const CHANGES: [(u32, FeatureChange); 4] = [
    (7, FeatureChange::Set(0.5)),
    (2, FeatureChange::Add(-0.25)),
    (9, FeatureChange::Scale(0.0)),
    (4, FeatureChange::Clamp { low: 0.05, high: 0.1 }),
];

/// Features changed, in every way.
fn features(width: usize) -> (Operation, Formula) {
    let (enc, dec) = (numbers(FEATURES * width, 0.37), numbers(FEATURES * width, 1.7));
    let (b_enc, b_dec) = (numbers(FEATURES, 0.8), numbers(width, 2.3));
    let of = |values: &[f64]| values.iter().map(|&x| x as f32).collect::<Vec<f32>>();
    let sae = Sae {
        d_in: width,
        d_sae: FEATURES,
        w_enc: of(&enc),
        b_enc: of(&b_enc),
        w_dec: of(&dec),
        b_dec: of(&b_dec),
        apply_b_dec_to_input: true,
        activation: Activation::Relu,
        normalisation: Normalisation::None,
        transcoder: None,
    };
    let operation = Operation::Features {
        sae: Dictionary::new(Arc::new(sae), false),
        changes: CHANGES.into(),
        directions: None,
        coefficient: 0.5,
    };
    let formula = move |x: &[f64], _| {
        let seen = plus(x, -1.0, &b_dec);
        let mut y = x.to_vec();
        for (feature, change) in CHANGES {
            let columns = feature as usize * width..(feature as usize + 1) * width;
            let f = (dot(&seen, &enc[columns.clone()]) + b_enc[feature as usize]).max(0.0);
            let to = match change {
                FeatureChange::Set(value) => f64::from(value),
                FeatureChange::Add(value) => f + f64::from(value),
                FeatureChange::Scale(factor) => f * f64::from(factor),
                FeatureChange::Clamp { low, high } => f.clamp(low.into(), high.into()),
            };
            y = plus(&y, 0.5 * (to - f), &dec[columns]);
        }
        y
    };
    (operation, Box::new(formula))
}

/// An operation on `width` numbers with its name and what it does to the part x of the token at a position.
fn operations(width: usize) -> Vec<(&'static str, Operation, Formula)> {
    let (v, w) = (numbers(width, 0.7), numbers(width, 1.3));
    let unit: Vec<f64> = v.iter().map(|x| x / length(&v)).collect();
    let u = || unit.clone();
    let (v1, v2, v3) = (v.clone(), v.clone(), v.clone());
    let (read, write) = ([v.clone(), w.clone()].concat(), [w.clone(), numbers(width, 2.1)].concat());
    let offsets = [0.25, -0.5];
    let patch: Vec<(u32, Vec<f64>)> = vec![(3, numbers(width, 0.3)), (8, numbers(width, 0.4))];
    let map = Operation::Map {
        read: floats(&read),
        write: floats(&write),
        offsets: Some(floats(&offsets)),
        coefficient: 0.1,
    };
    let rows = PatchRows(patch.iter().map(|(at, values)| (*at, floats(values).to_vec())).collect());
    let mapped = move |x: &[f64], _| {
        let directions = read.chunks(width).zip(write.chunks(width)).zip(offsets);
        directions
            .fold(x.to_vec(), |y, ((read, write), offset)| plus(&y, f64::from(0.1f32) * (dot(x, read) + offset), write))
    };
    let along = |f: fn(f64) -> f64| -> Formula {
        let d = u();
        Box::new(move |x, _| plus(x, f(dot(x, &d)), &d))
    };
    let direction = floats(&v);
    let (of_features, features_formula) = features(width);
    vec![
        ("add", Operation::Add { vector: floats(&v), coefficient: 0.75 }, Box::new(move |x, _| plus(x, 0.75, &v1))),
        ("zero", Operation::Zero { coefficient: 1.0 }, Box::new(|x, _| vec![0.0; x.len()])),
        ("set", Operation::Set { values: floats(&v), coefficient: 1.0 }, Box::new(move |_, _| v2.clone())),
        (
            "set half way",
            Operation::Set { values: floats(&v), coefficient: 0.5 },
            Box::new(move |x, _| x.iter().zip(&v3).map(|(x, v)| (x + v) / 2.0).collect()),
        ),
        ("scale", Operation::Scale { factor: -1.5 }, Box::new(|x, _| x.iter().map(|x| -1.5 * x).collect())),
        ("project out", Operation::Rescale { direction: direction.clone(), factor: 0.0 }, along(|s| -s)),
        ("rescale", Operation::Rescale { direction: direction.clone(), factor: 2.5 }, along(|s| 1.5 * s)),
        (
            "cap",
            Operation::Cap { direction: direction.clone(), low: -0.05, high: 0.02 },
            along(|s| s.clamp(f64::from(-0.05f32), f64::from(0.02f32)) - s),
        ),
        ("suppress", Operation::Suppress { direction, strength: 0.8 }, {
            let d = u();
            Box::new(move |x, _| {
                let y = plus(x, -f64::from(0.8f32) * dot(x, &d).max(0.0), &d);
                let back = length(x) / length(&y);
                y.iter().map(|y| y * back).collect()
            })
        }),
        ("map", map, Box::new(mapped)),
        (
            "patch",
            Operation::Patch { rows: Arc::new(rows), coefficient: 1.0 },
            Box::new(move |x, position| {
                let found = patch.iter().find(|(at, _)| *at == position);
                found.map_or_else(|| x.to_vec(), |(_, values)| values.clone())
            }),
        ),
        ("features", of_features, features_formula),
    ]
}

/// A kind of part: its name, a site that has it, and the columns it takes there.
fn parts() -> Vec<(&'static str, Site, Part, Vec<usize>)> {
    vec![
        ("stream", Site::ResidPost(0), Part::All, (0..64).collect()),
        ("head of queries", Site::Q(1), Part::Head(2), (32..48).collect()),
        ("head of values", Site::V(0), Part::Head(1), (16..32).collect()),
        ("head's output", Site::Z(1), Part::Head(3), (48..64).collect()),
        ("head's result", Site::Result(1), Part::Head(2), (128..192).collect()),
        ("neurons, listed", Site::MlpPost(0), Part::Units([70, 5, 41].into()), vec![70, 5, 41]),
        ("up-projection, listed", Site::MlpPreLinear(1), Part::Units([0, 95].into()), vec![0, 95]),
    ]
}

/// What the refusal says where an operation cannot be made on a part: listed units are not next to one another, and have
/// no directions; features are of a whole activation.
fn refused(operation: &Operation, part: &Part) -> Option<&'static str> {
    match (operation, part) {
        (Operation::Features { .. }, Part::Head(_) | Part::Units(_)) => Some("whole activation"),
        (Operation::Add { .. } | Operation::Zero { .. } | Operation::Set { .. } | Operation::Scale { .. }, _) => None,
        (_, Part::Units(_)) => Some("listed units"),
        _ => None,
    }
}

fn check(
    engine: &mut Engine,
    edit: &Edit,
    columns: &[usize],
    acts: impl Fn(usize) -> bool,
    formula: &Formula,
    name: &str,
) {
    let before = read(engine, edit.site, &[]);
    let after = read(engine, edit.site, std::slice::from_ref(edit));
    for (position, (before, after)) in before.iter().zip(&after).enumerate() {
        let mut expected = before.clone();
        if acts(position) {
            let part: Vec<f64> = columns.iter().map(|&c| before[c]).collect();
            for (&c, value) in columns.iter().zip(formula(&part, position as u32)) {
                expected[c] = value;
            }
        }
        let off = length(&plus(after, -1.0, &expected)) / length(&expected).max(1e-3);
        assert!(off < TOLERANCE, "{name} at {}, position {position}: off by {off:e}", edit.site);
    }
}

#[test]
fn every_operation_does_what_its_formula_says_on_every_kind_of_part() {
    let mut tested = BTreeSet::new();
    for backend in BACKENDS {
        let mut engine = tiny(backend);
        for (part_name, site, part, columns) in parts() {
            for (name, operation, formula) in operations(columns.len()) {
                let edit = Edit::new(site, operation).on(part.clone());
                if let Some(said) = refused(&edit.operation, &part) {
                    let found = pollster::block_on(engine.harvest(
                        &Harvest {
                            prompts: &[PROMPT.to_vec()],
                            sites: &[site],
                            rows: TapRows::All,
                            edits: std::slice::from_ref(&edit),
                        },
                        &(),
                        |_, _| {},
                        |_| {},
                    ));
                    assert!(found.is_err_and(|error| error.to_string().contains(said)), "{name}");
                    continue;
                }
                // At the even positions only.
                let even = (0..12).step_by(2).collect();
                check(&mut engine, &edit.at(Positions::Listed(even)), &columns, |p| p % 2 == 0, &formula, name);
                tested.insert((name, part_name, backend.name()));
            }
        }
    }
    docs::holds("edits.md", &table(&tested));
}

/// What the table's cells do not say.
const ABOUT_FEATURES: &str = "\
The features of a sparse autoencoder (SAE) can be set, added to, scaled (by 0: ablated) and clamped. Each listed feature
moves the activation along its own direction by what its value changes, so what the SAE leaves out stays exactly as it
was. All architectures but matching pursuit and transcoders, with every normalisation, centred or not
(`tests/tests/features.rs`); at most 64 features an edit. Of ReLU, JumpReLU and gated SAEs only the listed rows of the
encoder are computed; of a TopK one all of them, because whether a feature is among the k depends on the others.

A condition can be a feature's value: at the tokens where it is above a threshold (gated by the token), or, latched, from
the first such token on (gated by the sequence). The value is the one after the SAE's activation function, so of a TopK
SAE a feature that is not among the k has none, whatever its pre-activation is: a probe along its encoder row would open
the gate there.
";

fn table(tested: &BTreeSet<(&str, &str, &str)>) -> String {
    let parts = parts();
    let mut text = String::from(
        "# Edits\n\nEvery cell is a test (`tests/tests/edits.rs`), on both backends, against the operation's formula in \
         f64. A dash: refused,\nwith a sentence that says so. Conditions (on tokens, on a probe, on a cosine, latched) \
         are tested there too.\n\n",
    );
    text += ABOUT_FEATURES;
    text += "\n| operation |";
    let mut rule = String::from("\n|---|");
    for (part, site, ..) in &parts {
        text += &format!(" {part} (`{site}`) |");
        rule += "---|";
    }
    text += &rule;
    for (name, ..) in operations(1) {
        text += &format!("\n| {name} |");
        for (part, ..) in &parts {
            let on = |backend| tested.contains(&(name, part, backend));
            text += match (on("cpu"), on("gpu")) {
                (true, true) => " cpu, gpu |",
                (true, false) => " cpu |",
                (false, true) => " gpu |",
                (false, false) => " - |",
            };
        }
    }
    text + "\n"
}

/// A threshold that splits the values, as far from all of them as can be.
fn between(values: &[f64]) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let widest = sorted[3..9].windows(2).max_by(|a, b| (a[1] - a[0]).total_cmp(&(b[1] - b[0])));
    let pair = widest.expect("there are pairs");
    ((pair[0] + pair[1]) / 2.0) as f32
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    dot(a, b) / (length(a) * length(b))
}

#[test]
fn conditions_hold_where_their_formulas_say() {
    type Value = Box<dyn Fn(&[f64]) -> f64>;
    let v = numbers(64, 0.9);
    let vector = floats(&v);
    let (v1, v2, v3) = (v.clone(), v.clone(), v);
    let tests: [(Test, Value); 3] = [
        (Test::Probe { vector: vector.clone(), bias: 0.125 }, Box::new(move |h| dot(h, &v1) + 0.125)),
        (Test::Cosine { vector: vector.clone() }, Box::new(move |h| cosine(h, &v2))),
        (
            Test::CosineToProjection { vector },
            Box::new(move |h| {
                let along = dot(h, &v3) / dot(&v3, &v3);
                cosine(h, &v3.iter().map(|v| (along * v).tanh()).collect::<Vec<f64>>())
            }),
        ),
    ];
    for backend in BACKENDS {
        let mut engine = tiny(backend);
        for site in [Site::ResidPre(0), Site::ResidPost(0), Site::ResidMid(1)] {
            let seen = read(&mut engine, site, &[]);
            for (test, value) in &tests {
                let values: Vec<f64> = seen.iter().map(|h| value(h)).collect();
                let threshold = between(&values);
                for (above, latched) in [(true, false), (false, false), (true, true), (false, true)] {
                    // From the fourth token on.
                    let looks: Vec<u32> = (3..12).collect();
                    let condition = Condition::Activation {
                        site,
                        test: test.clone(),
                        above,
                        threshold,
                        positions: Positions::Listed(looks),
                        latched,
                    };
                    let fired = |p: usize| p >= 3 && (values[p] > f64::from(threshold)) == above;
                    let acts = |p: usize| if latched { (0..=p).any(fired) } else { fired(p) };
                    assert!((0..12).any(acts) && !(0..12).all(acts), "the condition tells tokens apart");
                    let add = numbers(64, 0.7);
                    let edit = Edit::add(Site::ResidPost(1), floats(&add), 2.0).when(condition);
                    let formula: Formula = Box::new(move |x, _| plus(x, 2.0, &add));
                    let name = format!("{test:?} above {above} latched {latched}").chars().take(20).collect::<String>();
                    check(&mut engine, &edit, &(0..64).collect::<Vec<_>>(), acts, &formula, &name);
                }
            }
        }
        let add = numbers(64, 0.7);
        let edit = Edit::add(Site::Embed, floats(&add), 2.0).when(Condition::Token([7, 250].into()));
        let formula: Formula = Box::new(move |x, _| plus(x, 2.0, &add));
        let acts = |p: usize| [7, 250].contains(&PROMPT[p]);
        check(&mut engine, &edit, &(0..64).collect::<Vec<_>>(), acts, &formula, "on tokens");
    }
}

#[test]
fn edits_act_in_the_order_in_which_they_are_given() {
    let add = numbers(64, 0.7);
    let both = |first_scales: bool| {
        let site = Site::ResidPost(0);
        let mut edits = vec![Edit::new(site, Operation::Scale { factor: 2.0 }), Edit::add(site, floats(&add), 1.0)];
        if !first_scales {
            edits.reverse();
        }
        edits
    };
    for backend in BACKENDS {
        let mut engine = tiny(backend);
        let before = read(&mut engine, Site::ResidPost(0), &[]);
        for (first_scales, factor) in [(true, 1.0), (false, 2.0)] {
            let after = read(&mut engine, Site::ResidPost(0), &both(first_scales));
            for (x, y) in before.iter().zip(&after) {
                let doubled: Vec<f64> = x.iter().map(|x| 2.0 * x).collect();
                let expected = plus(&doubled, factor, &add);
                assert!(length(&plus(y, -1.0, &expected)) < TOLERANCE * length(&expected));
            }
        }
    }
}

/// An attention head whose pattern is set to zero adds nothing; one whose pattern is patched attends where it is told.
#[test]
fn patterns_can_be_ablated_and_patched() {
    for backend in BACKENDS {
        let mut engine = tiny(backend);
        let ablated = Edit::new(Site::Pattern(0), Operation::Zero { coefficient: 1.0 }).on(Part::Head(1));
        for z in read(&mut engine, Site::Z(0), &[ablated]) {
            assert!(z[16..32].iter().all(|&z| z == 0.0) && z[..16].iter().any(|&z| z != 0.0));
        }
        // The last token attends to the third alone: its head's output is the third token's value.
        let mut row = vec![0.0; 32];
        row[2] = 1.0;
        let rows = Arc::new(PatchRows(vec![(11, row)]));
        let patched = Edit::new(Site::Pattern(0), Operation::Patch { rows, coefficient: 1.0 }).on(Part::Head(3));
        let values = read(&mut engine, Site::V(0), &[]);
        let z = read(&mut engine, Site::Z(0), &[patched]);
        // Heads 2 and 3 share the second head of values.
        let off = length(&plus(&z[11][48..64], -1.0, &values[2][16..32]));
        assert!(off < 1e-5, "off by {off:e}");
    }
}

/// What is written under an edit is what reading the whole text under that edit predicts, token by token: positions,
/// conditions and latches are the same whether tokens come one at a time or all at once.
#[test]
fn conditions_carry_on_while_a_text_is_written() {
    let strong = || Edit::add(Site::ResidPost(0), floats(&numbers(64, 0.7)), 6.0);
    for backend in BACKENDS {
        let mut engine = tiny(backend);
        let seen = read(&mut engine, Site::ResidPre(1), &[]);
        let v = numbers(64, 0.9);
        let values: Vec<f64> = seen.iter().map(|h| dot(h, &v)).collect();
        let condition = |latched| Condition::Activation {
            site: Site::ResidPost(0),
            test: Test::Probe { vector: floats(&v), bias: 0.0 },
            above: true,
            threshold: between(&values),
            positions: Positions::All,
            latched,
        };
        for edit in [
            strong(),
            strong().when(condition(false)),
            strong().when(condition(true)),
            strong().when(Condition::Token((0..120).collect())),
        ] {
            let what = Generation {
                lanes: vec![
                    Lane { prompt: PROMPT.to_vec(), edits: Vec::new() },
                    Lane { prompt: PROMPT.to_vec(), edits: vec![0] },
                ],
                edits: vec![edit.clone()],
                sampling: Sampling { repetition_penalty: 1.0, ..Sampling::GREEDY },
                max_tokens: 12,
                end_tokens: Vec::new(),
                alternatives: false,
                features: None,
            };
            let (lanes, _) = pollster::block_on(engine.generate(&what, &(), || 0.0, |_| {})).expect("it writes");
            for (lane, edits) in lanes.iter().zip([&[][..], std::slice::from_ref(&edit)]) {
                let text = [&PROMPT[..], &lane.tokens].concat();
                let what = Harvest { prompts: &[text.clone()], sites: &[Site::Logits], rows: TapRows::All, edits };
                let mut predicted = Vec::new();
                let sink = |reading: tiller_engine::Reading<'_>| {
                    let best =
                        (0..reading.values.len()).max_by(|&a, &b| reading.values[a].total_cmp(&reading.values[b]));
                    predicted.push(best.expect("there are logits") as u32);
                };
                pollster::block_on(engine.harvest(&what, &(), |_, _| {}, sink)).expect("it reads");
                assert_eq!(lane.tokens, predicted[PROMPT.len() - 1..text.len() - 1], "{edit:?}");
            }
            assert_ne!(lanes[0].tokens, lanes[1].tokens, "the edit does something");
        }
    }
}

#[test]
fn the_repetition_penalty_is_the_formula_on_both_backends() {
    let written = |backend, penalty| {
        let mut engine = tiny(backend);
        let what = Generation {
            lanes: vec![Lane { prompt: PROMPT.to_vec(), edits: Vec::new() }],
            edits: Vec::new(),
            sampling: Sampling { repetition_penalty: penalty, ..Sampling::GREEDY },
            max_tokens: 24,
            end_tokens: Vec::new(),
            alternatives: false,
            features: None,
        };
        let (lanes, _) = pollster::block_on(engine.generate(&what, &(), || 0.0, |_| {})).expect("it writes");
        let tokens = lanes[0].tokens.clone();
        // Against the formula, from the logits of the whole text.
        let text = [&PROMPT[..], &tokens].concat();
        let what = Harvest { prompts: &[text.clone()], sites: &[Site::Logits], rows: TapRows::All, edits: &[] };
        let sink = |reading: tiller_engine::Reading<'_>| {
            let at = reading.position as usize;
            if at + 1 < PROMPT.len() || at + 1 == text.len() {
                return;
            }
            let mut logits = reading.values.to_vec();
            for token in BTreeSet::from_iter(&text[..=at]) {
                let logit = &mut logits[*token as usize];
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
            let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            assert_eq!(best, Some(text[at + 1] as usize), "position {at}, penalty {penalty}");
        };
        pollster::block_on(engine.harvest(&what, &(), |_, _| {}, sink)).expect("it reads");
        tokens
    };
    for penalty in [1.0, 1.3, 3.0] {
        assert_eq!(written(BackendKind::Cpu, penalty), written(BackendKind::Gpu, penalty));
    }
    assert_ne!(written(BackendKind::Cpu, 1.0), written(BackendKind::Cpu, 3.0));
}

#[test]
fn edits_that_cannot_be_made_are_refused_by_a_sentence() {
    let mut engine = tiny(BackendKind::Cpu);
    let mut refusal = |edit: Edit| {
        let what = Harvest { prompts: &[PROMPT.to_vec()], sites: &[Site::Embed], rows: TapRows::All, edits: &[edit] };
        pollster::block_on(engine.harvest(&what, &(), |_, _| {}, |_| {})).expect_err("it is refused").to_string()
    };
    let site = Site::ResidPost(0);
    let flat = |width| floats(&vec![1.0; width]);
    assert!(refusal(Edit::add(site, flat(63), 1.0)).contains("63"));
    assert!(refusal(Edit::add(Site::ResidPost(2), flat(64), 1.0)).contains("0 to 1"));
    assert!(refusal(Edit::new(site, Operation::Zero { coefficient: 1.0 }).on(Part::Head(0))).contains("heads"));
    assert!(refusal(Edit::new(Site::Z(0), Operation::Zero { coefficient: 1.0 }).on(Part::Head(4))).contains("0 to 3"));
    assert!(refusal(Edit::new(site, Operation::Zero { coefficient: 1.0 }).on(Part::Units([64].into()))).contains("64"));
    assert!(refusal(Edit::add(site, flat(64), f32::NAN)).contains("finite"));
    let no_direction = Operation::Rescale { direction: floats(&[0.0; 64]), factor: 0.0 };
    assert!(refusal(Edit::new(site, no_direction)).contains("zero"));
    let upside_down = Operation::Cap { direction: flat(64), low: 1.0, high: -1.0 };
    assert!(refusal(Edit::new(site, upside_down)).contains("bound"));
    let later = Condition::Activation {
        site: Site::ResidPost(1),
        test: Test::Cosine { vector: flat(64) },
        above: true,
        threshold: 0.0,
        positions: Positions::All,
        latched: false,
    };
    assert!(refusal(Edit::add(site, flat(64), 1.0).when(later)).contains("later"));
    let ragged = Operation::Map { read: flat(100), write: flat(100), offsets: None, coefficient: 1.0 };
    assert!(refusal(Edit::new(site, ragged)).contains("map"));
}

#[test]
fn captures_are_what_a_harvest_reads_wherever_they_lie() {
    // More rows than a step has, and prompts that straddle steps.
    let prompts: Vec<Vec<u32>> = (0..40).map(|n| (0..3 + n % 17).map(|t| (n * 31 + t * 7) % 256).collect()).collect();
    let sites = [Site::ResidPost(1), Site::K(0), Site::FinalNorm, Site::Ln2Scale(1)];
    let edits = [Edit::add(Site::ResidPost(0), floats(&numbers(64, 0.7)), 2.0)];
    for backend in BACKENDS {
        let mut engine = tiny(backend);
        for rows in [TapRows::All, TapRows::Picks] {
            let what = Harvest { prompts: &prompts, sites: &sites, rows, edits: &edits };
            let mut read = Vec::new();
            let sink = |reading: tiller_engine::Reading<'_>| {
                read.push((reading.site, reading.prompt, reading.position, reading.values.to_vec()));
            };
            pollster::block_on(engine.harvest(&what, &(), |_, _| {}, sink)).expect("it reads");
            let cache = pollster::block_on(engine.capture(&what, &(), |_, _| {})).expect("it captures");
            assert_eq!(cache.rows() * sites.len(), read.len());
            for (site, prompt, position, values) in read {
                let row = cache.row(prompt, position as usize).expect("the token was captured");
                let kept = pollster::block_on(cache.read(site, row..row + 1)).expect("it was captured");
                assert_eq!(kept, values, "{site} of token {position} of prompt {prompt} on {}", backend.name());
            }
            assert_eq!(cache.row(40, 0), None);
            assert!(pollster::block_on(cache.read(Site::Embed, 0..1)).is_err());
        }
    }
}

/// Two prompts, captured at these sites.
fn captured(engine: &mut Engine, sites: &[Site]) -> Arc<RunCache> {
    let prompts = [vec![9, 8, 7], (0..12).map(|t| (t * 37 + 11) % 256).collect()];
    let what = Harvest { prompts: &prompts, sites, rows: TapRows::All, edits: &[] };
    Arc::new(pollster::block_on(engine.capture(&what, &(), |_, _| {})).expect("it captures"))
}

#[test]
fn what_a_run_has_left_is_patched_in_where_it_lies_or_measured_against() {
    // The site that is edited, the part, and the site that was captured.
    let places = [
        (Site::ResidPost(0), Part::All, Site::ResidPost(0)),
        (Site::ResidPre(1), Part::All, Site::MlpOut(0)),
        (Site::K(0), Part::Head(1), Site::K(0)),
        (Site::RotK(1), Part::Head(0), Site::RotK(1)),
        (Site::MlpPreLinear(1), Part::All, Site::MlpPreLinear(1)),
    ];
    for backend in BACKENDS {
        let mut engine = tiny(backend);
        let cache = captured(&mut engine, &places.clone().map(|(_, _, site)| site));
        for (site, part, from) in &places {
            let plain = read(&mut engine, *site, &[]);
            let width = plain[0].len();
            let columns = match part {
                Part::Head(head) => *head as usize * 16..(*head as usize + 1) * 16,
                _ => 0..width,
            };
            // The first prompt's last token at the third, and two of the second's.
            let rows: Vec<(u32, u32)> = vec![(2, 2), (3, 3), (9, 8)];
            let cached = CachedRows { cache: cache.clone(), site: *from, rows: rows.clone().into() };
            let d = numbers(3 * columns.len(), 0.6);
            for coefficient in [1.0, -0.4] {
                let patch = Operation::PatchFrom { rows: cached.clone(), coefficient };
                let displace = Operation::Displace { rows: cached.clone(), directions: floats(&d), coefficient };
                for (operation, displaces) in [(patch, false), (displace, true)] {
                    let edit = Edit::new(*site, operation).on(part.clone());
                    let found = read(&mut engine, *site, &[edit]);
                    for (position, (found, plain)) in found.iter().zip(&plain).enumerate() {
                        let mut expected = plain.clone();
                        if let Some(entry) = rows.iter().position(|&(at, _)| at as usize == position) {
                            let row = rows[entry].1 as usize;
                            let values = pollster::block_on(cache.read(*from, row..row + 1)).expect("it was captured");
                            let values: Vec<f64> = values.iter().map(|&v| f64::from(v)).collect();
                            let x = &mut expected[columns.clone()];
                            let away = plus(&values[columns.clone()], -1.0, x);
                            let c = f64::from(coefficient);
                            let step = match displaces {
                                true => plus(&vec![0.0; x.len()], c * length(&away), &d[entry * x.len()..]),
                                false => plus(&vec![0.0; x.len()], c, &away),
                            };
                            assert!(length(&step) > 1e-2, "the edit does something");
                            x.iter_mut().zip(step).for_each(|(x, step)| *x += step);
                        }
                        let off = length(&plus(found, -1.0, &expected)) / length(&expected);
                        let what = format!("{site}, {part:?}, {coefficient}, displaced {displaces}, token {position}");
                        assert!(off < TOLERANCE, "{what} on {}: off by {off:e}", backend.name());
                    }
                }
            }
        }
    }
}

#[test]
fn captured_activations_that_do_not_fit_are_refused_by_a_sentence() {
    let [mut cpu, mut gpu] = BACKENDS.map(tiny);
    let sites = [Site::ResidPost(0), Site::K(0)];
    let caches = [captured(&mut cpu, &sites), captured(&mut gpu, &sites)];
    let refusal = |engine: &mut Engine, cache: &Arc<RunCache>, from: Site, rows: &[(u32, u32)], part: Part| {
        let rows = CachedRows { cache: cache.clone(), site: from, rows: rows.into() };
        let edit = Edit::new(Site::ResidPost(1), Operation::PatchFrom { rows, coefficient: 1.0 }).on(part);
        let what =
            Harvest { prompts: &[PROMPT.to_vec()], sites: &[Site::ResidPost(1)], rows: TapRows::All, edits: &[edit] };
        pollster::block_on(engine.harvest(&what, &(), |_, _| {}, |_| {})).unwrap_err().to_string()
    };
    for (engine, own, others) in [(&mut cpu, &caches[0], &caches[1]), (&mut gpu, &caches[1], &caches[0])] {
        let stream = Site::ResidPost(0);
        assert!(refusal(engine, others, stream, &[(0, 0)], Part::All).contains("another device"));
        assert!(refusal(engine, own, Site::K(0), &[(0, 0)], Part::All).contains("another width"));
        assert!(refusal(engine, own, Site::V(0), &[(0, 0)], Part::All).contains("not captured"));
        assert!(refusal(engine, own, stream, &[], Part::All).contains("no position"));
        assert!(refusal(engine, own, stream, &[(3, 0), (3, 1)], Part::All).contains("ascending"));
        assert!(refusal(engine, own, stream, &[(0, 15)], Part::All).contains("row 15 of 15"));
        assert!(refusal(engine, own, stream, &[(1 << 20, 0)], Part::All).contains("context"));
        assert!(refusal(engine, own, stream, &[(0, 0)], Part::Units([1].into())).contains("listed units"));
    }
}
