//! Every architecture against transformers, on both backends and from both formats: each recorded activation, and the
//! text that follows.
//!
//! The reference computes in f32 in another order; 1e-4 of a vector's length leaves room for that and for nothing else.

use tiller_engine::{Generation, Gpu, Harvest, Lane, Sampling, Site, TapRows};
use tiller_experiment::Session;
use tiller_formats::Quant;
use tiller_tests::architectures::{ARCHITECTURES, AS_GGUF, Reference, load_gguf, load_repository, reference};

const TOLERANCE: f64 = 1e-4;

fn gpu() -> Option<Gpu> {
    Some(pollster::block_on(Gpu::open()).expect("a Vulkan driver, if only a software one"))
}

/// What the model reads at `sites`, one after the other: `[site][token]`, a pattern's rows as long as the prompt.
fn read(session: &mut Session, prompt: &[u32], sites: &[Site]) -> Vec<Vec<Vec<f32>>> {
    let mut readings = vec![vec![Vec::new(); prompt.len()]; sites.len()];
    let heads = session.engine.config().heads as usize;
    let sink = |reading: tiller_engine::Reading<'_>| {
        let site = sites.iter().position(|&site| site == reading.site).expect("a site that was asked for");
        let position = reading.position as usize;
        readings[site][position] = match reading.site {
            Site::Pattern(_) => {
                let rows = reading.values.chunks_exact(position + 1);
                assert_eq!(rows.len(), heads);
                rows.flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0.0, prompt.len() - row.len())))
                    .collect()
            }
            _ => reading.values.to_vec(),
        };
    };
    let what = Harvest { prompts: &[prompt.to_vec()], sites, rows: TapRows::All, edits: &[] };
    pollster::block_on(session.engine.harvest(&what, &(), |_, _| {}, sink)).expect("the harvest runs");
    readings
}

/// Relative L2 distance.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let off: f64 = found.iter().zip(expected).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let size: f64 = expected.iter().map(|b| f64::from(*b).powi(2)).sum();
    (off / size).sqrt()
}

/// The numbers that a site has for a token, of the reference's tensor: `[tokens, width]`, or `[heads, tokens, keys]`.
fn of_token(shape: &[usize], numbers: &[f32], token: usize) -> Vec<f32> {
    match *shape {
        [_, width] => numbers[token * width..][..width].to_vec(),
        [heads, tokens, keys] => {
            (0..heads).flat_map(|head| &numbers[(head * tokens + token) * keys..][..keys]).copied().collect()
        }
        _ => panic!("no site has the shape {shape:?}"),
    }
}

/// The greatest distance of any token's activation at any site, and where it is.
fn greatest_distance(session: &mut Session, reference: &Reference) -> (f64, String) {
    let names: Vec<&String> = reference.sites.keys().collect();
    let sites: Vec<Site> = names.iter().map(|name| name.parse().unwrap_or_else(|error| panic!("{error}"))).collect();
    let mut greatest = (0.0, String::new());
    // A few at a time: a step has room for so many taps only.
    for (names, sites) in names.chunks(8).zip(sites.chunks(8)) {
        let readings = read(session, &reference.prompt, sites);
        for (name, readings) in names.iter().zip(readings) {
            let (shape, numbers) = &reference.sites[*name];
            for (token, found) in readings.iter().enumerate() {
                let off = distance(found, &of_token(shape, numbers, token));
                // NaN is as far as can be.
                if !(off <= greatest.0) {
                    greatest = (off, format!("{name}, token {token}"));
                }
            }
        }
    }
    greatest
}

fn greedy(session: &mut Session, reference: &Reference) -> Vec<u32> {
    let what = Generation {
        lanes: vec![Lane { prompt: reference.prompt.clone(), edits: Vec::new() }],
        edits: Vec::new(),
        sampling: Sampling::GREEDY,
        max_tokens: reference.greedy.len() as u32,
        end_tokens: Vec::new(),
        alternatives: false,
        features: None,
    };
    let (results, _) = pollster::block_on(session.engine.generate(&what, &(), || 0.0, |_| {})).expect("it writes");
    results.into_iter().next().expect("one lane").tokens
}

/// What is wrong with a model, in a line; nothing where all is as the reference has it.
fn wrong(name: &str, mut session: Session) -> Option<String> {
    let reference = reference(name);
    let (off, place) = greatest_distance(&mut session, &reference);
    let text = greedy(&mut session, &reference);
    println!("{name}: {} sites, off by {off:.1e} at most ({place})", reference.sites.len());
    if text != reference.greedy {
        return Some(format!("{name} writes {text:?}, not {:?}; off by {off:e} at {place}", reference.greedy));
    }
    (off > TOLERANCE || off.is_nan()).then(|| format!("{name} is off by {off:e} at {place}"))
}

fn check(found: impl Iterator<Item = Option<String>>) {
    let found: Vec<String> = found.flatten().collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn repositories_compute_what_transformers_does_on_the_cpu() {
    check(ARCHITECTURES.iter().map(|name| wrong(name, load_repository(name, None, None))));
}

#[test]
fn repositories_compute_what_transformers_does_on_the_gpu() {
    check(ARCHITECTURES.iter().map(|name| wrong(name, load_repository(name, gpu(), None))));
}

#[test]
fn gguf_files_compute_what_transformers_does_on_the_cpu() {
    check(AS_GGUF.iter().map(|name| wrong(name, load_gguf(name, None))));
}

#[test]
fn gguf_files_compute_what_transformers_does_on_the_gpu() {
    check(AS_GGUF.iter().map(|name| wrong(name, load_gguf(name, gpu()))));
}

/// Eight bits of each weight move the logits of such small models by some percent, and both backends by the same.
#[test]
fn quantised_on_loading_both_backends_compute_the_same() {
    for name in ARCHITECTURES {
        let reference = reference(name);
        let [cpu, gpu] = [None, gpu()].map(|gpu| {
            let mut session = load_repository(name, gpu, Some(Quant::Q8_0));
            assert_eq!(session.facts.quantisation, "Q8_0", "{name}");
            read(&mut session, &reference.prompt, &[Site::Logits]).concat().concat()
        });
        let apart = distance(&gpu, &cpu);
        let (_, exact) = &reference.sites["logits"];
        let rounded = distance(&cpu, exact);
        println!("{name}: backends {apart:.1e} apart, {rounded:.1e} from the exact weights");
        assert!(apart < TOLERANCE, "{name}: {apart:e}");
        assert!((1e-3..0.1).contains(&rounded), "{name}: {rounded:e}");
    }
}

/// A site's name in any block.
fn in_any_block(site: Site) -> String {
    let name = site.to_string();
    match site.layer() {
        Some(n) => name.replacen(&format!("blocks.{n}."), "blocks.N.", 1),
        None => name,
    }
}

/// Every site of every architecture is the same on both backends; which of them transformers confirms, and which a model
/// does not have, is the table in `docs/sites.md` (`TILLER_WRITE_DOCS=1` writes it anew).
#[test]
fn every_site_of_every_architecture_is_the_same_on_both_backends() {
    let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
    for site in Site::all(1) {
        rows.push((in_any_block(site), vec!["-"; ARCHITECTURES.len()]));
    }
    for (column, name) in ARCHITECTURES.iter().enumerate() {
        let reference = reference(name);
        let (mut cpu, mut gpu) = (load_repository(name, None, None), load_repository(name, gpu(), None));
        let sites = cpu.engine.config().sites();
        for sites in sites.chunks(8) {
            let (on_cpu, on_gpu) = (read(&mut cpu, &reference.prompt, sites), read(&mut gpu, &reference.prompt, sites));
            for ((site, on_cpu), on_gpu) in sites.iter().zip(on_cpu).zip(on_gpu) {
                for (token, (cpu, gpu)) in on_cpu.iter().zip(&on_gpu).enumerate() {
                    let off = distance(gpu, cpu);
                    assert!(off < TOLERANCE, "{name}: {site} of token {token} is off by {off:e}");
                }
                let row = rows.iter_mut().find(|(row, _)| *row == in_any_block(*site)).expect("the site is a row");
                let confirmed = reference.sites.contains_key(&site.to_string());
                if confirmed || row.1[column] == "-" {
                    row.1[column] = if confirmed { "**cpu, gpu**" } else { "cpu, gpu" };
                }
            }
        }
    }
    let mut text = String::from(
        "# Sites\n\nEvery cell is a test (`tests/tests/architectures.rs`). Bold: both backends against transformers, in \
         f32, within 1e-4 of a token's\nactivation. Plain: the backends against one another. A dash: the model has no \
         such activation.\n\n| site |",
    );
    for name in ARCHITECTURES {
        text += &format!(" {name} |");
    }
    text += &format!("\n|---|{}\n", "---|".repeat(ARCHITECTURES.len()));
    for (site, cells) in rows {
        text += &format!("| `{site}` | {} |\n", cells.join(" | "));
    }
    tiller_tests::docs::holds("sites.md", &text);
}
