//! The league table: what every method makes of the planted organism, whose mechanism is known (docs/league.md).

use std::fmt::Write;
use tiller_engine::{Edit, Operation, PatchDirection, PatchPlace, Positions, Site};
use tiller_interp::attribution::{Component, direct_logit_attribution};
use tiller_interp::patch::{
    Ablation, AblationLayer, AblationStep, Metric, PatchCell, PatchStep, Patching, Replacement, ablation_sweep,
    activation_patching,
};
use tiller_interp::probe::{Cav, Examples, ProbeMethod, Read, SweepOptions, read, sweep};
use tiller_interp::steer::{TokenPair, VectorMethod, extract, random_direction, vocabulary_direction};
use tiller_tests::docs;
use tiller_tests::organisms::{Organism, concept_layer};

/// Where directions are read and added: the planted summary is causal there, its clone is not.
const BLOCK: u32 = 1;
/// Of an added vector: half of what a mood adds to the stream.
const LENGTH: f32 = 1.5;
const SEEDS: [u32; 4] = [1, 2, 3, 4];

fn unit(x: &[f32]) -> Vec<f32> {
    let norm = x.iter().map(|x| x * x).sum::<f32>().sqrt();
    x.iter().map(|x| x / norm).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The length of a unit direction's part among the planted ones, which are orthogonal.
fn recall(organism: &Organism, direction: &[f32], planted: &[&str]) -> f32 {
    let direction = unit(direction);
    planted.iter().map(|name| dot(&direction, &organism.truth.directions[*name]).powi(2)).sum::<f32>().sqrt()
}

/// What a direction does to the verdict, and whether that is more than random directions do.
struct Steered {
    effect: f32,
    counts: bool,
}

struct Bench {
    organism: Organism,
    prompts: Vec<Vec<u32>>,
    /// The largest effect of eight random directions.
    random: f32,
    /// Of the planted causal direction.
    planted: f32,
}

impl Bench {
    fn open() -> Bench {
        let mut organism = Organism::open(None);
        let prompts: Vec<Vec<u32>> =
            organism.pairs("mood").into_iter().flat_map(|pair| [pair.positive, pair.negative]).collect();
        let random = (0..8).map(|seed| organism.moved_by(&prompts, BLOCK, &random_direction(seed, 64), LENGTH).abs());
        let random = random.fold(0.0, f32::max);
        let summary = organism.truth.directions["summary"].clone();
        let planted = organism.moved_by(&prompts, BLOCK, &summary, LENGTH);
        Bench { organism, prompts, random, planted }
    }

    fn steered(&mut self, direction: &[f32]) -> Steered {
        let effect = self.organism.moved_by(&self.prompts, BLOCK, &unit(direction), LENGTH);
        Steered { effect, counts: effect.abs() > 1.2 * self.random }
    }

    fn metric(&self) -> Metric {
        let [answer, wrong] = self.organism.answers();
        Metric::LogitDifference { answer, wrong }
    }
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// Directions of pairs, and what shuffled pairs come to.
fn extraction(bench: &mut Bench) -> String {
    let mut table = String::from(
        "| method | recall of the mood | moves the verdict | recall of the weather | moves it | unused declared unused | \
         held-out pairs told apart | of shuffled pairs: moves it |\n|---|---|---|---|---|---|---|---|\n",
    );
    for method in VectorMethod::ALL {
        let pairs = ["mood", "weather"].map(|concept| bench.organism.pairs(concept));
        let mut made = |pairs: &[TokenPair]| {
            let made = extract(&mut bench.organism.session.engine, method, pairs, &[BLOCK], &(), |_, _| {});
            pollster::block_on(made).expect("the pairs run").layers.remove(0)
        };
        let [mood, weather] = [made(&pairs[0]), made(&pairs[1])];
        let swap = |(n, pair): (usize, &TokenPair)| match n.is_multiple_of(2) {
            true => pair.clone(),
            false => TokenPair { positive: pair.negative.clone(), negative: pair.positive.clone() },
        };
        let shuffled: Vec<TokenPair> = pairs[0].iter().enumerate().map(swap).collect();
        let chance = made(&shuffled);
        let told = mood.separability.expect("they are many").accuracy;
        let (of_mood, of_weather) = (bench.steered(&mood.direction), bench.steered(&weather.direction));
        let of_chance = bench.steered(&chance.direction);
        row(
            &mut table,
            method.name(),
            &[
                share(recall(&bench.organism, &mood.direction, &["summary", "clone"])),
                moved(&of_mood),
                share(recall(&bench.organism, &weather.direction, &["unused"])),
                moved(&of_weather),
                told_apart(&of_mood, &of_weather).into(),
                share(told),
                moved(&of_chance),
            ],
        );
    }
    let neutral = bench.organism.tokens(&bench.organism.truth.neutral.clone());
    let answers = bench.organism.answers();
    let engine = &mut bench.organism.session.engine;
    let made = vocabulary_direction(engine, answers, &[BLOCK], &neutral, &(), |_, _| {});
    let made = pollster::block_on(made).expect("the answers are tokens").remove(0);
    let of_answer = bench.steered(&made.direction);
    let found = share(recall(&bench.organism, &made.direction, &["answer"]));
    let none = || "–".to_string();
    let name = "vocabulary (of the answer)";
    row(&mut table, name, &[found, moved(&of_answer), none(), none(), none(), none(), none()]);
    table
}

fn share(x: f32) -> String {
    format!("{x:.2}")
}

fn moved(steered: &Steered) -> String {
    // Zero has no sign.
    let effect = (10.0 * steered.effect).round() / 10.0 + 0.0;
    format!("{effect:+.1}{}", if steered.counts { "" } else { " (as random)" })
}

/// Whether adding the directions tells the used concept from the unused one.
fn told_apart(used: &Steered, unused: &Steered) -> &'static str {
    match (used.counts, unused.counts) {
        (true, unused) => yes(!unused),
        (false, false) => "says so of both",
        (false, true) => "the wrong one",
    }
}

fn row(table: &mut String, name: &str, cells: &[String]) {
    // Writing to a string does not fail.
    let _ = writeln!(table, "| {name} | {} |", cells.join(" | "));
}

fn probes(bench: &mut Bench) -> String {
    let mut table = String::from(
        "| method | mood read | shuffled labels | weather read | recall of the mood | its direction moves the verdict | \
         that of the weather | unused declared unused | false friends read as gloomy |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    let friends: Vec<Vec<u32>> =
        bench.organism.truth.false_friends.iter().map(|text| bench.organism.tokens(text)).collect();
    let engine = &mut bench.organism.session.engine;
    let of_friends = read(engine, &friends, &[Site::ResidPost(BLOCK)], Read::Last, &[], &(), |_, _| {});
    let of_friends = pollster::block_on(of_friends).expect("the organism runs").remove(0);
    for method in ProbeMethod::ALL {
        let [mood, weather] = ["mood", "weather"].map(|concept| {
            let pairs = bench.organism.pairs(concept);
            let groups: Vec<u32> =
                bench.organism.truth.pairs[concept].iter().flat_map(|pair| [pair.group; 2]).collect();
            let labels: Vec<bool> = pairs.iter().flat_map(|_| [true, false]).collect();
            let tokens: Vec<Vec<u32>> = pairs.into_iter().flat_map(|pair| [pair.positive, pair.negative]).collect();
            let examples = Examples { tokens: &tokens, labels: &labels, groups: Some(&groups) };
            let options = SweepOptions { method, ..SweepOptions::default() };
            let (engine, sites) = (&mut bench.organism.session.engine, [Site::ResidPost(BLOCK)]);
            let found = sweep(engine, &examples, &sites, &options, &(), |_, _| {}, |_| {});
            pollster::block_on(found).expect("the organism runs").layers.remove(0)
        });
        let direction = |weights: &[f64]| -> Vec<f32> { weights.iter().map(|&w| w as f32).collect() };
        let right = (0..friends.len()).filter(|&text| mood.probe.readout.score(of_friends.row(text)) < 0.0).count();
        let of_mood = direction(&mood.probe.readout.weights);
        let shuffled = mood.shuffled.iter().sum::<f64>() / mood.shuffled.len() as f64;
        let found = recall(&bench.organism, &of_mood, &["summary", "clone"]);
        let of_weather = bench.steered(&direction(&weather.probe.readout.weights));
        let of_mood = bench.steered(&of_mood);
        let cells = [
            share(mood.test.accuracy as f32),
            share(shuffled as f32),
            share(weather.test.accuracy as f32),
            share(found),
            moved(&of_mood),
            moved(&of_weather),
            told_apart(&of_mood, &of_weather).into(),
            format!("{right} of {}", friends.len()),
        ];
        row(&mut table, method.name(), &cells);
    }
    table
}

/// The first pair's texts.
fn pair(bench: &Bench, concept: &str) -> [Vec<u32>; 2] {
    let pair = bench.organism.pairs(concept).remove(0);
    [pair.positive, pair.negative]
}

/// The largest effect's size, but for one place.
fn most<'a>(effects: impl Iterator<Item = &'a (String, f64)>, but: &str) -> f64 {
    effects.filter(|(name, _)| name != but).fold(0.0, |most, (_, effect)| most.max(effect.abs()))
}

fn head(layer: u32, head: u32) -> String {
    format!("head {layer}.{head}")
}

/// A row of the table of parts: the part that is planted as the cause, the one that is planted as unused, all others.
fn parts(table: &mut String, method: &str, effects: &[(String, f64)], cause: &str, unused: &str, control: f64) {
    let of = |name: &str| effects.iter().find(|(found, _)| found == name).map_or(f64::NAN, |(_, effect)| *effect);
    let (found, idle) = (of(cause), of(unused));
    let others = most(effects.iter().filter(|(name, _)| name != unused), cause);
    let first = effects.iter().all(|(_, effect)| effect.abs() <= found.abs());
    let signed = |x: f64| format!("{:+.2}", (100.0 * x).round() / 100.0 + 0.0);
    let cells = [
        format!("{cause}: {}", signed(found)),
        yes(first).into(),
        format!("{unused}: {}", signed(idle)),
        yes(idle.abs() <= control.max(0.05 * found.abs())).into(),
        format!("{others:.2}"),
        if control.is_nan() { "–".into() } else { format!("{control:.2}") },
    ];
    row(table, method, &cells);
}

fn interventions(bench: &mut Bench) -> String {
    let mut table = String::from(
        "| method | planted cause | comes first | planted, unused | declared unused | any other part, at most | random \
         control, at most |\n|---|---|---|---|---|---|---|\n",
    );
    let [clean, corrupt] = pair(bench, "mood");
    let metric = bench.metric();
    let engine = &mut bench.organism.session.engine;

    let patching = Patching {
        clean: &clean,
        corrupt: &corrupt,
        metric,
        place: PatchPlace::Heads,
        direction: PatchDirection::Denoise,
        seeds: &SEEDS,
        unrelated: &[],
    };
    let mut cells: Vec<PatchCell> = Vec::new();
    let keep = |step| {
        if let PatchStep::Cell(cell) = step {
            cells.push(cell);
        }
    };
    pollster::block_on(activation_patching(engine, &patching, &(), |_, _| {}, keep)).expect("the pair runs");
    let effects: Vec<(String, f64)> = cells.iter().map(|cell| (head(cell.layer, cell.column), cell.effect)).collect();
    let band = cells.iter().map(PatchCell::band).fold(0.0, f64::max);
    parts(&mut table, "patching of heads (share restored)", &effects, "head 0.0", "head 0.1", band);

    let neutral = vec![bench.organism.tokens(&bench.organism.truth.neutral.clone())];
    let engine = &mut bench.organism.session.engine;
    for replacement in [Replacement::Zero, Replacement::Mean] {
        let what = Ablation { prompt: &clean, metric, neutral: &neutral, replacement, seeds: &SEEDS, with_cost: false };
        let mut layers: Vec<AblationLayer> = Vec::new();
        let keep = |step| {
            if let AblationStep::Layer(layer) = step {
                layers.push(layer);
            }
        };
        pollster::block_on(ablation_sweep(engine, &what, &(), |_, _| {}, keep)).expect("the prompt runs");
        let name = if replacement == Replacement::Zero { "zero" } else { "mean" };
        let heads: Vec<(String, f64)> = layers
            .iter()
            .flat_map(|layer| (0..).zip(&layer.heads).map(|(n, effect)| (head(layer.layer, n), effect.metric)))
            .collect();
        let of_controls = |controls: fn(&AblationLayer) -> &Vec<tiller_interp::patch::Effect>, but: u32| {
            let others = layers.iter().filter(move |layer| layer.layer != but);
            others.flat_map(controls).map(|effect| effect.metric.abs()).fold(0.0, f64::max)
        };
        // Units drawn from the mover's own block are partly the mover's.
        let control = of_controls(|layer| &layer.head_controls, 0);
        parts(&mut table, &format!("{name} ablation of heads"), &heads, "head 0.0", "head 0.1", control);
        let mlps: Vec<(String, f64)> =
            layers.iter().map(|layer| (format!("MLP {}", layer.layer), layer.mlp.metric)).collect();
        let control = of_controls(|layer| &layer.mlp_controls, u32::MAX);
        parts(&mut table, &format!("{name} ablation of MLPs"), &mlps, "MLP 2", "MLP 1", control);
    }

    let [answer, wrong] = bench.organism.answers();
    let engine = &mut bench.organism.session.engine;
    let mut shares = [&clean, &corrupt].map(|prompt| {
        let found = direct_logit_attribution(engine, prompt, answer, wrong, &(), |_, _| {});
        pollster::block_on(found).expect("the prompt runs").shares
    });
    let corrupt_shares = std::mem::take(&mut shares[1]);
    // What the two prompts share, such as the embedding of "is", says nothing of the mood.
    let changed: Vec<(String, f64)> = shares[0]
        .iter()
        .zip(&corrupt_shares)
        .map(|(clean, corrupt)| {
            let name = match clean.component {
                Component::Mlp { layer } => format!("MLP {layer}"),
                Component::Head { layer, head: n } => head(layer, n),
                other => format!("{other:?}"),
            };
            (name, clean.value - corrupt.value)
        })
        .collect();
    parts(&mut table, "direct logit attribution (clean less corrupt)", &changed, "MLP 2", "MLP 1", f64::NAN);
    table
}

/// The answer after a change of the weather, which nobody reads.
fn unread(bench: &mut Bench) -> f32 {
    let [sunny, rainy] = pair(bench, "weather");
    let verdicts = bench.organism.verdicts(&[sunny, rainy], &[]);
    (verdicts[0] - verdicts[1]).abs()
}

/// Cutting the clone out of the stream changes nothing, cutting out the summary does.
fn cut(bench: &mut Bench, name: &str) -> f32 {
    let direction = bench.organism.truth.directions[name].clone();
    let edit = Edit::new(Site::ResidPost(BLOCK), Operation::Rescale { direction: direction.into(), factor: 0.0 });
    let prompts = bench.prompts.clone();
    let (plain, edited) =
        (bench.organism.verdicts(&prompts, &[]), bench.organism.verdicts(&prompts, &[edit.at(Positions::All)]));
    plain.iter().zip(&edited).map(|(a, b)| (a - b).abs()).sum::<f32>() / plain.len() as f32
}

fn concept_vectors(bench: &mut Bench) -> String {
    let mut table = String::from(
        "| concept | texts told apart | random concepts | score | of random concepts | sensitivity | of random concepts | p \
         of the scores | p of the sizes | used, by scores alone | by both |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for concept in ["mood", "weather"] {
        let found = concept_layer(&mut bench.organism, concept, BLOCK);
        let mean =
            |cavs: &[Cav], of: fn(&Cav) -> f64| format!("{:.2}", cavs.iter().map(of).sum::<f64>() / cavs.len() as f64);
        let p = |test: Option<tiller_interp::probe::Welch>| match test {
            Some(test) if test.p < 0.001 => "below 0.001".into(),
            Some(test) => format!("{:.2}", test.p),
            None => "–".into(),
        };
        let cells = [
            mean(&found.concept, |cav| cav.accuracy),
            mean(&found.random, |cav| cav.accuracy),
            mean(&found.concept, |cav| cav.score),
            mean(&found.random, |cav| cav.score),
            mean(&found.concept, |cav| cav.sensitivity.abs()),
            mean(&found.random, |cav| cav.sensitivity.abs()),
            p(found.share_test),
            p(found.size_test),
            yes(found.share_test.is_some_and(|test| test.p < 0.05)).into(),
            yes(found.is_used(1)).into(),
        ];
        row(&mut table, concept, &cells);
    }
    table
}

#[test]
fn the_league_table_is_what_the_methods_find_in_the_planted_organism() {
    let mut bench = Bench::open();
    let (summary, clone, weather) = (cut(&mut bench, "summary"), cut(&mut bench, "clone"), unread(&mut bench));
    let mut document = format!(
        "# What every method makes of a planted organism\n\n\
         Worked out by `tests/tests/league.rs`, which holds this file against what it finds; `TILLER_WRITE_DOCS=1 cargo \
         test --release -p tiller-tests --test league` writes it.\n\n\
         The organism (`tests/organisms/make.py`) is a model of four blocks whose mechanism was written by hand. After block \
         {BLOCK} its residual stream holds the *mood* of a sentence as `summary`, which the verdict depends on, and as \
         `clone`, which moves with it and nobody reads; and the *weather* as `unused`, which is as easy to read and nobody \
         reads. Moving the verdict is adding {LENGTH} along the direction at the last token; the numbers are logits. The \
         planted `summary` moves it by {:+.1}, the most that any of eight random directions does is {:.1}: a direction counts \
         where it does 1.2 times that. Cutting `summary` out of the stream changes a verdict by {summary:.1} on average, \
         cutting out `clone` by {clone:.2}; another weather changes it by {weather:.2}.\n",
        bench.planted, bench.random
    );
    let about = [
        (
            "Directions from pairs of texts",
            "Recall is the length of the unit direction's part among what is planted. No method that only reads can tell a \
             used concept from an unused one: what declares it unused is adding it. Shuffled pairs have the sides of every other \
             pair exchanged: a principal component does not see sides, finds the mood all the same, and turns it round.",
            extraction(&mut bench),
        ),
        ("Probes", "Accuracies on texts of templates that were not trained on.", probes(&mut bench)),
        (
            "Parts of the model",
            "For one pair of sentences that differ in the mood. Head 0.0 carries the mood to the last token, head 0.1 the \
             weather; MLP 2 copies the summary to the answer, MLP 1 to the clone. Numbers are logits but for patching. A part \
             is declared unused where its effect is no larger than a random control's, or than a twentieth of the cause's. \
             Controls of heads leave out the mover's own block, whose random units are partly its own.",
            interventions(&mut bench),
        ),
        (
            "Concept activation vectors",
            "Twenty vectors of each concept against twenty of random concepts; the sensitivity is in logits for a step of the \
             typical norm, its mean size. Scores count signs, however small the effect: what the sensitivity's size adds is \
             whether the concept does more than random ones.",
            concept_vectors(&mut bench),
        ),
    ];
    for (title, note, table) in about {
        let _ = write!(document, "\n## {title}\n\n{note}\n\n{table}");
    }
    println!("{document}");
    docs::holds("league.md", &document);
}
