//! Some tokens' logits, and what makes log probabilities of them.

use tiller_kernels::{Draw, Gpu, Pick, Recorder, Step, TapRows, UnitList, Want};

use crate::numbers::Numbers;
use crate::run::{FEW, MANY, floats, one_sequence, replay, said};
use crate::{Case, Outcome};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("token_logits", |gpu| logits(gpu, 1.0)),
        Case::new("token_logits of large logits", |gpu| logits(gpu, 300.0)),
        Case::new("token_logits of a token beyond the vocabulary", beyond),
    ]
}

/// Of rows and of picks, in f64; logits come back as they are.
async fn logits(gpu: Gpu, size: f32) -> Outcome {
    for (capacity, count, vocabulary) in [(FEW, 3, 1), (FEW, 4, 255), (MANY, 70, 257), (MANY, 33, 3000)] {
        let x: Vec<f32> = Numbers::new(51).vector(count * vocabulary).into_iter().map(|x| x * size).collect();
        let table = floats(&gpu, &x, vocabulary)?;
        let mut tokens = vec![vocabulary as u32 - 1, 0, vocabulary as u32 / 2];
        tokens.dedup();
        tokens.truncate(vocabulary);
        let list = UnitList::new(&gpu, &tokens).map_err(said)?;
        let mut recorder = Recorder::new(&gpu, capacity);
        let act = recorder.embed(&table);
        let picked = recorder.pick_rows(&act);
        for act in [&act, &picked] {
            let found = recorder.token_logits(act, &list);
            recorder.tap(&found, TapRows::All);
        }
        drop((act, picked));
        let plan = recorder.finish().map_err(said)?;
        let picks = [2, 0].map(|row| Pick { row, lane: 0, draw: 0 });
        let rows = one_sequence(count);
        let step = Step { rows: &rows, picks: &picks, sampling: Draw::GREEDY, coefficients: &[] };
        let output = replay(&plan, &step, Want { taps: true, ..Want::default() }).await?;
        for (found, of) in output.taps.iter().zip([(0..count).collect(), vec![2, 0]]) {
            for (found, &row) in found.chunks(tokens.len() + 1).zip(&of) {
                let x = &x[row * vocabulary..][..vocabulary];
                let wanted: Vec<f32> = tokens.iter().map(|&token| x[token as usize]).collect();
                let highest = f64::from(x.iter().copied().fold(f32::MIN, f32::max));
                let all = highest + x.iter().map(|&x| (f64::from(x) - highest).exp()).sum::<f64>().ln();
                let off = (f64::from(found[tokens.len()]) - all).abs();
                if found[..tokens.len()] != wanted || !(off <= 2e-6 * (all.abs() + 1.0)) {
                    return Err(format!("{vocabulary} tokens, row {row}: {found:?} instead of {wanted:?} and {all}"));
                }
            }
            if found.len() != of.len() * (tokens.len() + 1) {
                return Err(format!("{} numbers for {} rows", found.len(), of.len()));
            }
        }
    }
    Ok(())
}

async fn beyond(gpu: Gpu) -> Outcome {
    let table = floats(&gpu, &[1.0; 6], 3)?;
    let mut recorder = Recorder::new(&gpu, FEW);
    let act = recorder.embed(&table);
    let list = UnitList::new(&gpu, &[0, 3]).map_err(said)?;
    drop(recorder.token_logits(&act, &list));
    match recorder.finish() {
        Ok(_) => Err("accepted".to_owned()),
        Err(_) => Ok(()),
    }
}
