//! Drawing tokens.

use std::collections::BTreeSet;

use tiller_kernels::{ALTERNATIVES, Draw, Drawn, Gpu, LANES, Pick, Plan, Recorder, Step, Want, draw};

use crate::numbers::Numbers;
use crate::run::{FEW, MANY, floats, one_sequence, replay, said};
use crate::{Case, Outcome};

/// Log probabilities are differences of numbers around 10 in f32, less the logarithm of a sum of up to 49,152 terms.
const LOG_PROB_ERROR: f32 = 1e-5;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("greedy tokens, log probabilities, alternatives", greedy),
        Case::new("greedy ties take the lowest id", ties),
        Case::new("draws equal the CPU's", draws),
        Case::new("top-k and top-p keep exactly their sets", sets),
        Case::new("lanes with one seed share their noise", shared_noise),
    ]
}

/// A plan that draws from rows of logits: each row of its own, or the picked rows.
fn plan(gpu: &Gpu, capacity: u32, logits: &[f32], tokens: usize, pick_first: bool) -> Result<Plan, String> {
    let table = floats(gpu, logits, tokens)?;
    let mut recorder = Recorder::new(gpu, capacity);
    let x = recorder.embed(&table);
    let x = if pick_first { recorder.pick_rows(&x) } else { x };
    recorder.sample(&x, true);
    drop(x);
    recorder.finish().map_err(said)
}

async fn drawn(plan: &Plan, rows: usize, picks: &[Pick], sampling: Draw) -> Result<Vec<Drawn>, String> {
    let rows = one_sequence(rows);
    let step = Step { rows: &rows, picks, sampling, coefficients: &[] };
    let want = Want { records: true, alternatives: true, ..Want::default() };
    Ok(replay(plan, &step, want).await?.drawn)
}

fn spread(numbers: &mut Numbers, count: usize) -> Vec<f32> {
    numbers.vector(count).into_iter().map(|x| 12.0 * x * x * x).collect()
}

async fn greedy(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(12);
    for tokens in [1, 3, 63, 65, 577, 49_152] {
        let logits = spread(&mut numbers, 3 * tokens);
        for pick_first in [false, true] {
            let plan = plan(&gpu, FEW, &logits, tokens, pick_first)?;
            let picks = [2, 0].map(|row| Pick { row, lane: row, draw: 0 });
            let got = drawn(&plan, 3, &picks, Draw::GREEDY).await?;
            for (pick, got) in picks.iter().zip(got) {
                let logits = &logits[pick.row as usize * tokens..][..tokens];
                let wanted = ranked(logits);
                let mut all = vec![(got.token, got.log_prob)];
                all.extend(&got.alternatives);
                let first = std::iter::once(&wanted[0]);
                let expected: Vec<&(u32, f64)> = first.chain(wanted.iter().take(ALTERNATIVES)).collect();
                let same = all.len() == expected.len()
                    && all.iter().zip(&expected).all(|(got, wanted)| {
                        got.0 == wanted.0 && (f64::from(got.1) - wanted.1).abs() <= f64::from(LOG_PROB_ERROR)
                    });
                if !same {
                    return Err(format!("of {tokens} tokens: {all:?} instead of {expected:?}"));
                }
            }
        }
    }
    Ok(())
}

/// Tokens with their log probabilities in f64, most probable first, ties by id.
fn ranked(logits: &[f32]) -> Vec<(u32, f64)> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let log_sum = logits.iter().map(|&logit| f64::from(logit - top).exp()).sum::<f64>().ln();
    let mut ranked: Vec<(u32, f64)> =
        (0u32..).zip(logits).map(|(token, &logit)| (token, f64::from(logit - top) - log_sum)).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked
}

async fn ties(gpu: Gpu) -> Outcome {
    let tokens = 600;
    let mut logits = vec![-1.0f32; tokens];
    // Zeros of either sign are equal; 300 and 500 are seen by other threads than 299.
    for (token, logit) in [(299, -0.0), (300, 0.0), (500, 0.0), (511, -0.0)] {
        logits[token] = logit;
    }
    let plan = plan(&gpu, FEW, &logits, tokens, false)?;
    let got = drawn(&plan, 1, &[Pick::default()], Draw::GREEDY).await?;
    let first_five: Vec<u32> = got[0].alternatives.iter().take(5).map(|&(token, _)| token).collect();
    if got[0].token == 299 && first_five == [299, 300, 500, 511, 0] {
        Ok(())
    } else {
        Err(format!("drew {} before {first_five:?}", got[0].token))
    }
}

/// The device's exponentials and logarithms may differ from the CPU's in the last place, which moves a draw only where
/// two tokens' scores, or a sum and its threshold, are that close: never in these.
async fn draws(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(13);
    for tokens in [1, 3, 63, 65, 577, 49_152] {
        let logits = spread(&mut numbers, 3 * tokens);
        let plan = plan(&gpu, FEW, &logits, tokens, true)?;
        for (index, (temperature, top_k, top_p)) in
            [(1.0, 0, 1.0), (0.7, 0, 0.9), (1.3, 5, 1.0), (0.9, 40, 0.95), (2.0, 1, 1.0), (0.3, 0, 0.0), (1.0, 3, 0.5)]
                .into_iter()
                .enumerate()
        {
            let sampling = Draw { temperature, top_k, top_p, seed: 7 + index as u32 };
            let picks: Vec<Pick> = (0..3).map(|row| Pick { row, lane: 31 - row, draw: 1000 * row + 1 }).collect();
            for (pick, got) in picks.iter().zip(drawn(&plan, 3, &picks, sampling).await?) {
                let wanted = draw(&logits[pick.row as usize * tokens..][..tokens], &sampling, pick.draw);
                if got.token != wanted.token || (got.log_prob - wanted.log_prob).abs() > LOG_PROB_ERROR {
                    let (got, wanted) = ((got.token, got.log_prob), (wanted.token, wanted.log_prob));
                    return Err(format!("{sampling:?} of {tokens} tokens: {got:?} instead of {wanted:?}"));
                }
            }
        }
    }
    Ok(())
}

/// With enough draws every kept token comes up and no other does. The sets are found from the definition, in f64.
async fn sets(gpu: Gpu) -> Outcome {
    // Ties at the edge of top-k: 4 and 7. Probabilities that no share below falls on.
    let logits = [0.3f32, 1.1, 0.9, -0.4, 0.7, 1.4, -2.0, 0.7, 0.1, -0.9, 0.5, 1.0];
    let plan = plan(&gpu, MANY, &logits.repeat(LANES as usize), logits.len(), true)?;
    for (temperature, top_k, top_p) in [
        (1.0, 0, 1.0),
        (1.0, 5, 1.0),
        (1.0, 6, 1.0),
        (1.0, 1, 1.0),
        (1.0, 0, 0.5),
        (2.0, 0, 0.5),
        (1.0, 5, 0.6),
        (1.0, 0, 0.05),
    ] {
        let mut drawn_tokens = BTreeSet::new();
        for round in 0..16 {
            let picks: Vec<Pick> = (0..LANES).map(|row| Pick { row, lane: row, draw: round * LANES + row }).collect();
            let sampling = Draw { temperature, top_k, top_p, seed: 3 };
            let got = drawn(&plan, LANES as usize, &picks, sampling).await?;
            drawn_tokens.extend(got.iter().map(|drawn| drawn.token as usize));
        }
        let kept = kept(&logits, temperature, top_k as usize, top_p);
        if drawn_tokens != kept {
            return Err(format!("T {temperature}, k {top_k}, p {top_p}: drew {drawn_tokens:?} of {kept:?}"));
        }
    }
    Ok(())
}

fn kept(logits: &[f32], temperature: f32, top_k: usize, top_p: f32) -> BTreeSet<usize> {
    let mut sorted = logits.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let least = if top_k == 0 { f32::NEG_INFINITY } else { sorted[top_k - 1] };
    let among: Vec<usize> = (0..logits.len()).filter(|&token| logits[token] >= least).collect();
    let mass = |token: usize| f64::from(logits[token] / temperature).exp();
    let total: f64 = among.iter().map(|&token| mass(token)).sum();
    let above = |token: usize| -> f64 {
        among.iter().filter(|&&other| logits[other] > logits[token]).map(|&other| mass(other)).sum()
    };
    among.iter().copied().filter(|&token| above(token) < f64::from(top_p) * total).collect()
}

async fn shared_noise(gpu: Gpu) -> Outcome {
    let tokens = 577;
    let logits = spread(&mut Numbers::new(14), tokens).repeat(3);
    let plan = plan(&gpu, FEW, &logits, tokens, false)?;
    let sampling = Draw { temperature: 1.5, top_k: 0, top_p: 1.0, seed: 11 };
    let mut seen = BTreeSet::new();
    for round in 0..20 {
        let picks: Vec<Pick> = (0..3).map(|row| Pick { row, lane: 5 * row, draw: round }).collect();
        let got: Vec<u32> = drawn(&plan, 3, &picks, sampling).await?.iter().map(|drawn| drawn.token).collect();
        if got.iter().any(|&token| token != got[0]) {
            return Err(format!("round {round}: {got:?}"));
        }
        seen.insert(got[0]);
    }
    if seen.len() > 5 { Ok(()) } else { Err(format!("20 rounds drew only {seen:?}")) }
}
