//! Vocabularies whose sizes are no round numbers: the ends of tables, logits and sets.

use tiller_kernels::{
    Columns, Draw, Gpu, Matrix, Pick, Quant, Recorder, Step, TapRows, Text, TokenSet, UnitList, Want, When,
};

use crate::dequantise::random;
use crate::numbers::{F32_SUMS, Numbers, agree};
use crate::run::{FEW, MANY, matrix, one_sequence, replay, said, vector};
use crate::{Case, Outcome, twin};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // GPT-2's, and one more than a dimension of a dispatch holds.
    for tokens in [50_257, 65_537] {
        for (capacity, rows) in [(FEW, 4), (MANY, 6)] {
            cases.push(Case::new(format!("a vocabulary of {tokens}, {rows} rows"), move |gpu| {
                embedded_and_unembedded(gpu, tokens, capacity, rows)
            }));
        }
    }
    cases.push(Case::new("GPT-2's table under bindings of 128 MiB", larger_than_a_binding));
    cases
}

/// Embeds tokens at both ends, unembeds with the same table, edits and penalises the last token and draws it.
async fn embedded_and_unembedded(gpu: Gpu, tokens: u32, capacity: u32, count: usize) -> Outcome {
    let cols = 32;
    let weights = random(Quant::Q8_0, tokens as usize, cols, &mut Numbers::new(60))?;
    let table = matrix(&gpu, Quant::Q8_0, &weights, cols)?;
    let last = tokens - 1;
    let only_last = UnitList::new(&gpu, &[last]).map_err(said)?;
    let is_last = TokenSet::new(&gpu, tokens, &[last]).map_err(said)?;
    let high = vector(&gpu, &[1e3])?;
    let text = Text::new(&gpu, 10).map_err(said)?;
    let mut recorder = Recorder::new(&gpu, capacity);
    recorder.remember_tokens(&text);
    let x = recorder.embed(&table);
    let logits = recorder.linear(&x, std::slice::from_ref(&table), None, None);
    recorder.tap(&logits, TapRows::All);
    let gate = recorder.gate_on_tokens(&is_last, 0);
    let logits = recorder.edit_set(logits, Columns::Listed(&only_last), &high, When { slot: 0, gate: Some(&gate) });
    let logits = recorder.penalise(logits, &text, 2.0);
    recorder.tap(&logits, TapRows::All);
    recorder.sample(&logits, true);
    drop((x, logits));
    let plan = recorder.finish().map_err(said)?;

    let named = [0, last, 1, last - 1, 32_767, last / 2];
    let mut rows = one_sequence(count);
    for (row, token) in rows.iter_mut().zip(named) {
        (row.token, row.edits) = (token, 1);
    }
    let picks: Vec<Pick> = (0..count as u32).map(|row| Pick { row, lane: row, draw: 0 }).collect();
    let step = Step { rows: &rows, picks: &picks, sampling: Draw::GREEDY, coefficients: &[1.0] };
    let want = Want { records: true, alternatives: true, taps: true, ..Want::default() };
    let output = replay(&plan, &step, want).await?;
    let width = tokens as usize;
    for (row, &token) in named[..count].iter().enumerate() {
        let x = twin::wide(&weights.values[token as usize * cols..][..cols]);
        let before = &output.taps[0][row * width..][..width];
        agree(before, &twin::linear(&x, &weights.values, cols), width, F32_SUMS)
            .map_err(|what| format!("{token}: {what}"))?;
        let after = &output.taps[1][row * width..][..width];
        // The last token was the second of the text: from there on it counts as repeated.
        let wanted = match row {
            0 => before[last as usize],
            1 => 500.0,
            _ => {
                if before[last as usize] > 0.0 {
                    before[last as usize] / 2.0
                } else {
                    before[last as usize] * 2.0
                }
            }
        };
        if after[last as usize] != wanted {
            return Err(format!("row {row}: the last logit is {} instead of {wanted}", after[last as usize]));
        }
        let best = (0..width).rev().max_by(|&a, &b| after[a].total_cmp(&after[b])).unwrap_or(0);
        let drawn = &output.drawn[row];
        if drawn.token as usize != best || drawn.alternatives.first().map(|first| first.0 as usize) != Some(best) {
            return Err(format!("row {row}: drew {drawn:?} instead of {best}"));
        }
    }
    if output.drawn[1].token == last { Ok(()) } else { Err("the last token was not drawn".to_owned()) }
}

/// 154 MB of floats, written and checked a run of rows at a time; a token at each end of the first part, and the last.
async fn larger_than_a_binding(gpu: Gpu) -> Outcome {
    let (tokens, cols, run) = (50_257u32, 768usize, 1000u32);
    let limit = 128 << 20;
    gpu.limit_bindings(limit);
    let table = Matrix::new(&gpu, Quant::F32, tokens, cols as u32).map_err(said)?;
    gpu.limit_bindings(u64::MAX);
    let rows_of =
        |first: u32| -> Vec<f32> { Numbers::new(u64::from(first)).vector((tokens - first).min(run) as usize * cols) };
    let row_of =
        |token: u32| -> Vec<f32> { rows_of(token / run * run)[(token % run) as usize * cols..][..cols].to_vec() };
    for first in (0..tokens).step_by(run as usize) {
        table.write_rows(first, bytemuck::cast_slice(&rows_of(first))).map_err(said)?;
    }
    let mut recorder = Recorder::new(&gpu, FEW);
    let x = recorder.embed(&table);
    recorder.tap(&x, TapRows::All);
    let logits = recorder.linear(&x, std::slice::from_ref(&table), None, None);
    recorder.tap(&logits, TapRows::All);
    drop((x, logits));
    let plan = recorder.finish().map_err(said)?;

    let first_part = (limit / (cols as u64 * 4)) as u32;
    let named = [0, first_part - 1, first_part, tokens - 1];
    let mut rows = one_sequence(named.len());
    rows.iter_mut().zip(named).for_each(|(row, token)| row.token = token);
    let step = Step { rows: &rows, picks: &[], sampling: Draw::GREEDY, coefficients: &[] };
    let output = replay(&plan, &step, Want { taps: true, ..Want::default() }).await?;
    let x: Vec<f32> = named.into_iter().flat_map(row_of).collect();
    if output.taps[0] != x {
        return Err("other rows were embedded".to_owned());
    }
    let x = twin::wide(&x);
    for first in (0..tokens).step_by(run as usize) {
        let weights = rows_of(first);
        let wanted = twin::linear(&x, &weights, cols);
        let outputs = weights.len() / cols;
        for (row, wanted) in wanted.chunks(outputs).enumerate() {
            let got = &output.taps[1][row * tokens as usize + first as usize..][..outputs];
            agree(got, wanted, outputs, F32_SUMS).map_err(|what| format!("rows from {first}: {what}"))?;
        }
    }
    Ok(())
}
