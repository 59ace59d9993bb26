//! The penalty on repeated tokens.

use tiller_kernels::{Draw, Gpu, LANE_BIT, Pick, Plan, Recorder, Row, Step, TapRows, Text, Want};

use crate::numbers::Numbers;
use crate::run::{FEW, MANY, floats, replay, said};
use crate::{Case, Outcome};

/// A division in WGSL is right to 2.5 units in the last place.
const DIVISION: f64 = 3.0 / 16_777_216.0;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for over_picks in [false, true] {
        let over = if over_picks { "picks" } else { "rows" };
        cases.push(Case::new(format!("repetition penalty over {over}"), move |gpu| repeated(gpu, over_picks)));
    }
    cases
}

/// Two texts with many repeated tokens, one longer than a workgroup has threads, read in steps of many rows and written
/// on in steps of few, where lanes name the tokens.
async fn repeated(gpu: Gpu, over_picks: bool) -> Outcome {
    for tokens in [1, 65, 577] {
        for penalty in [1.3, 0.8] {
            let mut numbers = Numbers::new(43);
            let logits: Vec<f32> = numbers.vector(tokens * tokens).into_iter().map(|x| 9.0 * x).collect();
            let text = Text::new(&gpu, 400).map_err(said)?;
            let plan = |capacity| penalising(&gpu, capacity, &logits, tokens, &text, penalty, over_picks);
            let plans = [plan(FEW)?, plan(MANY)?];
            let mut draw = |len: usize| -> Vec<u32> {
                (0..len).map(|_| numbers.word() % (tokens as u32).clamp(1, 40) * 17 % tokens as u32).collect()
            };
            let texts = [(3, draw(290)), (310, draw(40))];
            let mut steps: Vec<Vec<(usize, usize)>> = Vec::new();
            for (index, (_, tokens)) in texts.iter().enumerate() {
                let rows: Vec<(usize, usize)> = (0..tokens.len() - 6).map(|position| (index, position)).collect();
                steps.extend(rows.chunks(100).map(<[_]>::to_vec));
            }
            steps.extend((0..6).map(|at| vec![(1, 34 + at), (0, 284 + at)]));
            for places in steps {
                let by_lane = places.len() <= FEW as usize;
                let token = |(index, position): (usize, usize)| texts[index].1[position];
                let mut lanes = [0; 2];
                places.iter().filter(|_| by_lane).for_each(|&place| lanes[place.0] = token(place));
                gpu.set_lane_tokens(&lanes);
                let row = |place: (usize, usize)| Row {
                    token: if by_lane { LANE_BIT | place.0 as u32 } else { token(place) },
                    position: place.1 as u32,
                    kv_start: texts[place.0].0,
                    edits: 0,
                };
                let rows: Vec<Row> = places.iter().map(|&place| row(place)).collect();
                let order: Vec<usize> = match over_picks {
                    false => (0..rows.len()).collect(),
                    true => (0..rows.len().min(4)).rev().collect(),
                };
                let picks: Vec<Pick> =
                    order.iter().map(|&row| Pick { row: row as u32, lane: 5, draw: 0 }).take(32).collect();
                let step = Step { rows: &rows, picks: &picks, sampling: Draw::GREEDY, coefficients: &[] };
                let want = Want { taps: true, ..Want::default() };
                let plan = if by_lane { &plans[0] } else { &plans[1] };
                let step = if over_picks { step } else { Step { picks: &[], ..step } };
                let got = replay(plan, &step, want).await?.taps.swap_remove(0);
                for (got, &row) in got.chunks(tokens).zip(&order) {
                    let place = places[row];
                    let seen = &texts[place.0].1[..=place.1];
                    let before = &logits[token(place) as usize * tokens..][..tokens];
                    compare(got, before, seen, penalty)
                        .map_err(|what| format!("{tokens} tokens, {place:?}: {what}"))?;
                }
            }
        }
    }
    Ok(())
}

fn compare(got: &[f32], before: &[f32], seen: &[u32], penalty: f32) -> Outcome {
    for (token, (&got, &logit)) in got.iter().zip(before).enumerate() {
        let wanted = match (seen.contains(&(token as u32)), logit > 0.0) {
            (false, _) => f64::from(logit),
            (true, true) => f64::from(logit) / f64::from(penalty),
            (true, false) => f64::from(logit) * f64::from(penalty),
        };
        if (f64::from(got) - wanted).abs() > DIVISION * wanted.abs() || (wanted == f64::from(logit) && got != logit) {
            return Err(format!("the logit {logit} of token {token} became {got} instead of {wanted}"));
        }
    }
    Ok(())
}

/// The logits after token t are row t of `logits`.
fn penalising(
    gpu: &Gpu,
    capacity: u32,
    logits: &[f32],
    tokens: usize,
    text: &Text,
    penalty: f32,
    over_picks: bool,
) -> Result<Plan, String> {
    let table = floats(gpu, logits, tokens)?;
    let mut recorder = Recorder::new(gpu, capacity);
    recorder.remember_tokens(text);
    let x = recorder.embed(&table);
    let x = if over_picks { recorder.pick_rows(&x) } else { x };
    let x = recorder.penalise(x, text, penalty);
    recorder.tap(&x, TapRows::All);
    drop(x);
    recorder.finish().map_err(said)
}
