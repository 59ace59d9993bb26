//! The real model against independent implementations, on both backends, and the backends against one another.
//!
//! Tolerances. The reference sums in another order, in f32: two implementations with the same weights differ by about
//! 3e-6 in the logits, and by up to 1e-5 in single activations. 1e-4 leaves room for other summation orders and would
//! still catch any formula that is wrong by more than rounding: eight-bit activations alone are off by 1e-2.

use std::sync::Arc;
use tiller_engine::{BackendKind, Edit, Generation, Gpu, Harvest, Sampling, Site, TapRows};
use tiller_experiment::Session;
use tiller_kernels::Handicap;
use tiller_recipe::{Prompt, Turn};
use tiller_tests::golden::{self, Excerpt, Indices};
use tiller_tests::running::{distance, distance_from_excerpt, generation, read, write};
use tiller_tests::{load, load_on};

const TOLERANCE: f64 = 1e-4;

fn check_excerpt(what: &str, found: &[f32], expected: &Excerpt, indices: &Indices) {
    let off = distance_from_excerpt(found, expected, indices);
    assert!(off < TOLERANCE, "{what}: off by {off:e}\nfound    {found:?}");
}

fn greedy_tokens_are_the_references(mut session: Session) {
    let golden = golden::smollm2();
    for group in golden.greedy.chunks(4) {
        let prompts: Vec<&[u32]> = group.iter().map(|case| case.prompt_ids.as_slice()).collect();
        let written = write(&mut session, &generation(&prompts, 16));
        for (case, tokens) in group.iter().zip(written) {
            if let Some(step) = (0..case.ids.len()).find(|&i| tokens[i] != case.ids[i]) {
                let margin = case.margins[step];
                panic!("\"{}\", step {step} (margin {margin}): found {tokens:?}, expected {:?}", case.name, case.ids);
            }
        }
    }
}

#[test]
fn greedy_tokens_are_the_references_on_the_cpu() {
    greedy_tokens_are_the_references(load(BackendKind::Cpu, 1024));
}

#[test]
fn greedy_tokens_are_the_references_on_the_gpu() {
    greedy_tokens_are_the_references(load(BackendKind::Gpu, 1024));
}

/// Every adapter of a browser binds 128 MiB and eight buffers a kernel. None of this model's matrices is as large, so
/// parts of 4 MiB stand for what a larger model needs there: the embedding is in eight, and most others in one.
#[test]
fn greedy_tokens_are_the_references_on_the_least_gpu() {
    let gpu = pollster::block_on(Gpu::open_with(Handicap::LeastLimits)).expect("a Vulkan driver grants the least");
    assert_eq!(gpu.binding_limit(), 128 << 20);
    gpu.limit_shards(4 << 20);
    greedy_tokens_are_the_references(load_on(Some(gpu), 1024));
}

fn activations_are_the_references(backend: BackendKind) {
    let golden = golden::smollm2();
    let mut session = load(backend, 256);
    for capture in &golden.residuals.captures {
        let known: Vec<(Site, &Excerpt)> =
            capture.sites.iter().filter_map(|(name, excerpt)| Some((name.parse().ok()?, excerpt))).collect();
        assert!(known.len() >= 23, "the reference has our sites under our names");
        let sites: Vec<Site> = known.iter().map(|&(site, _)| site).collect();
        let readings = read(&mut session, &capture.ids, &sites, &[]);
        for ((site, excerpt), tokens) in known.iter().zip(&readings) {
            let what = format!("{} of \"{}\" at token {}", site, capture.prompt, capture.position);
            check_excerpt(&what, &tokens[capture.position as usize], excerpt, &golden.residuals.indices);
        }
    }
}

#[test]
fn activations_are_the_references_on_the_cpu() {
    activations_are_the_references(BackendKind::Cpu);
}

#[test]
fn activations_are_the_references_on_the_gpu() {
    activations_are_the_references(BackendKind::Gpu);
}

#[test]
fn every_site_is_the_same_on_both_backends() {
    let golden = golden::smollm2();
    let tokens = &golden.greedy[0].prompt_ids;
    let (mut cpu, mut gpu) = (load(BackendKind::Cpu, 64), load(BackendKind::Gpu, 64));
    let sites = cpu.engine.config().sites();
    let on_cpu = read(&mut cpu, tokens, &sites, &[]);
    let on_gpu = read(&mut gpu, tokens, &sites, &[]);
    let mut worst = (0.0, Site::Embed);
    for ((site, cpu), gpu) in sites.iter().zip(&on_cpu).zip(&on_gpu) {
        for (cpu, gpu) in cpu.iter().zip(gpu) {
            let off = distance(gpu, cpu);
            assert!(off < TOLERANCE, "{site}: off by {off:e}");
            if off > worst.0 {
                worst = (off, *site);
            }
        }
    }
    println!("{} sites, worst relative L2 distance {:e} at {}", sites.len(), worst.0, worst.1);
}

/// The reference's fixed vector, at blocks.12.hook_resid_post: `sin(i + 1)`, scaled to length 30.
fn reference_edit(coefficient: f32) -> Edit {
    let sines: Vec<f64> = (1..=576).map(|i| f64::from(i).sin()).collect();
    let norm = sines.iter().map(|v| v * v).sum::<f64>().sqrt();
    let vector: Arc<[f32]> = sines.iter().map(|v| (v / norm * 30.0) as f32).collect();
    Edit::add(Site::ResidPost(12), vector, coefficient)
}

fn steering_does_what_the_reference_does(backend: BackendKind) {
    let golden = golden::smollm2();
    let (steered, indices) = (&golden.steered, &golden.residuals.indices);
    let mut session = load(backend, 256);

    let readings = read(&mut session, &steered.prompt_ids, &[Site::ResidPost(20)], &[reference_edit(1.0)]);
    check_excerpt("steered", readings[0].last().unwrap(), &steered.read_at_last_prompt_token.steered, indices);
    let readings = read(&mut session, &steered.prompt_ids, &[Site::ResidPost(20)], &[]);
    check_excerpt("plain", readings[0].last().unwrap(), &steered.read_at_last_prompt_token.plain, indices);

    // One batch: a plain lane, a steered one, and one that is steered with strength nothing.
    let mut what = generation(&[steered.prompt_ids.as_slice(); 3], 16);
    what.edits = vec![reference_edit(1.0), reference_edit(0.0)];
    what.lanes[1].edits = vec![0];
    what.lanes[2].edits = vec![1];
    let written = write(&mut session, &what);
    assert_eq!(written[0], steered.plain_ids, "plain");
    assert_eq!(written[1], steered.ids, "steered");
    assert_eq!(written[2], steered.plain_ids, "steered with strength 0");
}

#[test]
fn steering_does_what_the_reference_does_on_the_cpu() {
    steering_does_what_the_reference_does(BackendKind::Cpu);
}

#[test]
fn steering_does_what_the_reference_does_on_the_gpu() {
    steering_does_what_the_reference_does(BackendKind::Gpu);
}

fn perplexity_is_the_references(backend: BackendKind) {
    let golden = golden::smollm2().perplexity;
    let mut session = load(backend, 128);
    let logits = &read(&mut session, &golden.ids, &[Site::Logits], &[])[0];
    let surprise = |(logits, &next): (&Vec<f32>, &u32)| {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&v| f64::from(v - max).exp()).sum();
        sum.ln() - f64::from(logits[next as usize] - max)
    };
    let total: f64 = logits.iter().zip(&golden.ids[1..]).map(surprise).sum();
    let mean = total / (golden.ids.len() - 1) as f64;
    assert!((mean - golden.mean_nll).abs() < 1e-4, "{mean} nats a token, expected {}", golden.mean_nll);
}

#[test]
fn perplexity_is_the_references_on_the_cpu() {
    perplexity_is_the_references(BackendKind::Cpu);
}

#[test]
fn perplexity_is_the_references_on_the_gpu() {
    perplexity_is_the_references(BackendKind::Gpu);
}

#[test]
fn conversations_become_the_references_tokens() {
    let session = load(BackendKind::Cpu, 64);
    for chat in golden::smollm2().chat {
        let turns = chat.messages.iter().map(|m| Turn { role: m.role.clone(), content: m.content.clone() }).collect();
        assert_eq!(session.tokens(&Prompt::Chat(turns)).unwrap(), chat.ids, "{}", chat.name);
    }
}

#[test]
fn a_lane_writes_the_same_alone_and_beside_others() {
    let golden = golden::smollm2();
    let mut session = load(BackendKind::Gpu, 512);
    let prompts: Vec<&[u32]> = golden.greedy[..3].iter().map(|case| case.prompt_ids.as_slice()).collect();
    let drawing = Sampling { temperature: 1.0, top_k: 0, top_p: 0.9, seed: 11, ..Sampling::GREEDY };
    let together = write(&mut session, &Generation { sampling: drawing, ..generation(&prompts, 8) });
    for (prompt, together) in prompts.iter().zip(&together) {
        let alone = write(&mut session, &Generation { sampling: drawing, ..generation(&[prompt], 8) });
        assert_eq!(alone[0], *together);
    }
}

#[test]
fn drawing_with_a_seed_is_the_same_on_both_backends() {
    let golden = golden::smollm2();
    let prompts: Vec<&[u32]> = golden.greedy[..2].iter().map(|case| case.prompt_ids.as_slice()).collect();
    for sampling in [
        Sampling { temperature: 0.8, top_k: 0, seed: 1, ..Sampling::GREEDY },
        Sampling { temperature: 1.2, top_k: 40, top_p: 0.9, seed: 2, ..Sampling::GREEDY },
    ] {
        let what = Generation { sampling, ..generation(&prompts, 8) };
        let on_cpu = write(&mut load(BackendKind::Cpu, 256), &what);
        let on_gpu = write(&mut load(BackendKind::Gpu, 256), &what);
        assert_eq!(on_cpu, on_gpu, "{sampling:?}");
        let other = Generation { sampling: Sampling { seed: sampling.seed + 100, ..sampling }, ..what };
        assert_ne!(write(&mut load(BackendKind::Cpu, 256), &other), on_cpu, "another seed, another text");
    }
}

/// Prompts are read in steps of 128 tokens; only the last of them has a token to go on from.
fn a_prompt_of_several_steps_is_continued(backend: BackendKind) {
    let golden = golden::smollm2();
    let long = &golden.perplexity.ids;
    let prompt: Vec<u32> = long.iter().cycle().take(300).copied().collect();
    let mut session = load(backend, 512);
    let written = write(&mut session, &generation(&[&prompt], 1));
    let logits = read(&mut session, &prompt, &[Site::Logits], &[]).remove(0).pop().unwrap();
    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
    assert_eq!(written, [[best as u32]]);

    let what = Harvest { prompts: &[prompt], sites: &[Site::Logits], rows: TapRows::Picks, edits: &[] };
    let mut picked = Vec::new();
    let keep = |reading: tiller_engine::Reading<'_>| picked.push((reading.position, reading.values.to_vec()));
    pollster::block_on(session.engine.harvest(&what, &(), |_, _| {}, keep)).expect("the harvest runs");
    assert_eq!(picked.len(), 1);
    assert_eq!(picked[0].0, 299);
    assert!(distance(&picked[0].1, &logits) < TOLERANCE, "off by {:e}", distance(&picked[0].1, &logits));
}

#[test]
fn a_prompt_of_several_steps_is_continued_on_the_cpu() {
    a_prompt_of_several_steps_is_continued(BackendKind::Cpu);
}

#[test]
fn a_prompt_of_several_steps_is_continued_on_the_gpu() {
    a_prompt_of_several_steps_is_continued(BackendKind::Gpu);
}
