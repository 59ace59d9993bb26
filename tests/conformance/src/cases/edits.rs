//! Edits act on the rows they name, with the step's coefficients; taps see what stood at their place.

use tiller_kernels::{Draw, Gpu, Pick, Recorder, Row, Step, TapRows, Want};

use crate::numbers::{F32_SUMS, Numbers, agree};
use crate::run::{FEW, MANY, floats, one_sequence, replay, said, vector};
use crate::{Case, Outcome};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for capacity in [FEW, MANY] {
        cases.push(Case::new(format!("edits and taps, capacity {capacity}"), move |gpu| edited(gpu, capacity)));
    }
    cases
}

/// One activation, edited in slots 0 and 31, tapped before, between and after; its picked rows edited in slot 5.
async fn edited(gpu: Gpu, capacity: u32) -> Outcome {
    for width in [1, 3, 65] {
        let mut numbers = Numbers::new(11);
        let count = 3;
        let (x, u, v, w) =
            (numbers.vector(count * width), numbers.vector(width), numbers.vector(width), numbers.vector(width));
        let table = floats(&gpu, &x, width)?;
        let vectors = [vector(&gpu, &u)?, vector(&gpu, &v)?, vector(&gpu, &w)?];
        let mut recorder = Recorder::new(&gpu, capacity);
        let act = recorder.embed(&table);
        let before = recorder.tap(&act, TapRows::All);
        let act = recorder.add_vector(act, &vectors[0], 0);
        let between = recorder.tap(&act, TapRows::Picks);
        let act = recorder.add_vector(act, &vectors[1], 31);
        let after = recorder.tap(&act, TapRows::All);
        let picked = recorder.pick_rows(&act);
        let picked = recorder.add_vector(picked, &vectors[2], 5);
        let last = recorder.tap(&picked, TapRows::All);
        drop((act, picked));
        let plan = recorder.finish().map_err(said)?;

        let mut rows = one_sequence(count);
        for (row, edits) in rows.iter_mut().zip([1, 1 << 31 | 1 << 5, 1 | 1 << 31 | 1 << 5]) {
            row.edits = edits;
        }
        let picks = [2, 0].map(|row| Pick { row, lane: 0, draw: 0 });
        // Replays that differ in their coefficients alone.
        for strength in [0.0, 1.5, -2.0] {
            let mut coefficients = [0.0; 32];
            (coefficients[0], coefficients[31], coefficients[5]) = (strength, 3.0 * strength, 0.5 * strength);
            let step = Step { rows: &rows, picks: &picks, sampling: Draw::GREEDY, coefficients: &coefficients };
            let output = replay(&plan, &step, Want { taps: true, ..Want::default() }).await?;
            let edit = |row: &Row, slot: u32| f64::from((row.edits >> slot & 1) as f32 * coefficients[slot as usize]);
            let at = |row: usize, edits: &[(u32, &[f32])]| -> Vec<f64> {
                let added = |column: usize| {
                    edits.iter().map(|&(slot, vector)| edit(&rows[row], slot) * f64::from(vector[column])).sum::<f64>()
                };
                (0..width).map(|column| f64::from(x[row * width + column]) + added(column)).collect()
            };
            let of = |rows: &[usize], edits: &[(u32, &[f32])]| rows.iter().flat_map(|&row| at(row, edits)).collect();
            let both: [(u32, &[f32]); 3] = [(0, &u), (31, &v), (5, &w)];
            let expected: [(_, Vec<f64>); 4] = [
                (before, of(&[0, 1, 2], &[])),
                (between, of(&[2, 0], &both[..1])),
                (after, of(&[0, 1, 2], &both[..2])),
                (last, of(&[2, 0], &both)),
            ];
            for (tap, wanted) in expected {
                agree(&output.taps[tap.0], &wanted, wanted.len(), F32_SUMS)
                    .map_err(|what| format!("tap {} at strength {strength}, width {width}: {what}", tap.0))?;
            }
        }
    }
    Ok(())
}
