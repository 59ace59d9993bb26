//! Taps of some columns, and stores that stay on the device.

use tiller_kernels::{Draw, Gpu, Pick, Recorder, Row, Step, Store, TapRows, Want};

use crate::numbers::Numbers;
use crate::run::{FEW, MANY, floats, one_sequence, replay, said};
use crate::{Case, Outcome};

pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::new("a store is read and filled within its rows", bounds)];
    for limit in [u64::MAX, 4 * 200, 5 * 4 * 576] {
        cases.push(Case::new(format!("sums over stores, bindings of {limit}"), move |gpu| summed(gpu, limit)));
    }
    for capacity in [FEW, MANY] {
        cases.push(Case::new(format!("taps of some columns, capacity {capacity}"), move |gpu| columns(gpu, capacity)));
        for limit in [u64::MAX, 63 * 4, 7 * 63 * 4] {
            let name = format!("stores fill from step to step, capacity {capacity}, bindings of {limit}");
            cases.push(Case::new(name, move |gpu| filled(gpu, capacity, limit)));
        }
    }
    cases
}

async fn columns(gpu: Gpu, capacity: u32) -> Outcome {
    for (width, ranges) in
        [(1, vec![0..1, 0..1]), (65, vec![0..65, 64..65, 1..64]), (200, vec![3..131, 0..1, 199..200])]
    {
        let count = (capacity as usize).min(70);
        let x = Numbers::new(40).vector(count * width);
        let table = floats(&gpu, &x, width)?;
        let mut recorder = Recorder::new(&gpu, capacity);
        let act = recorder.embed(&table);
        let picked = recorder.pick_rows(&act);
        let mut taps = Vec::new();
        for range in &ranges {
            for (act, rows, over_picks) in
                [(&act, TapRows::All, false), (&act, TapRows::Picks, true), (&picked, TapRows::All, true)]
            {
                taps.push((recorder.tap_columns(act, range.clone(), rows), range, over_picks));
            }
        }
        drop((act, picked));
        let plan = recorder.finish().map_err(said)?;
        let picks = [3, 0, 1].map(|row| Pick { row, lane: 0, draw: 0 });
        let rows = one_sequence(count);
        let step = Step { rows: &rows, picks: &picks, sampling: Draw::GREEDY, coefficients: &[] };
        let output = replay(&plan, &step, Want { taps: true, ..Want::default() }).await?;
        for (id, range, over_picks) in taps {
            let of: Vec<usize> = if over_picks { vec![3, 0, 1] } else { (0..count).collect() };
            let part = |row: usize| &x[row * width..][range.start as usize..range.end as usize];
            let wanted: Vec<f32> = of.into_iter().flat_map(part).copied().collect();
            if output.taps[id.0] != wanted {
                return Err(format!("columns {range:?} of {width}, of picks {over_picks}: other numbers"));
            }
        }
    }
    Ok(())
}

/// Rows go to one store and picks to another, whole and in parts of one row or a few; steps append, skip, and write
/// again, and nothing else changes.
async fn filled(gpu: Gpu, capacity: u32, limit: u64) -> Outcome {
    let (width, tokens) = (65, 80);
    let x = Numbers::new(41).vector(tokens * width);
    let table = floats(&gpu, &x, width)?;
    gpu.limit_bindings(limit);
    let stores = [Store::new(&gpu, 200, 63).map_err(said)?, Store::new(&gpu, 40, 1).map_err(said)?];
    gpu.limit_bindings(u64::MAX);
    let mut recorder = Recorder::new(&gpu, capacity);
    let act = recorder.embed(&table);
    recorder.tap_to(&act, 1..64, TapRows::All, &stores[0]);
    recorder.tap_to(&act, 64..65, TapRows::Picks, &stores[1]);
    drop(act);
    let plan = recorder.finish().map_err(said)?;
    // What nobody has written is unknown.
    let mut wanted: [Vec<Option<f32>>; 2] = [vec![None; 200 * 63], vec![None; 40]];
    let most = (capacity as usize).min(70);
    // The first row of the stores, rows and picks of each step.
    for (first, count, picked) in
        [(Some(0), 3, 2), (Some(3), most, 1), (None, 4, 2), (Some(1), 1, 0), (Some(36), most, 4)]
    {
        let token = |row: usize| (row * 7 + count + first.unwrap_or(0)) % tokens;
        let rows: Vec<Row> = (0..count).map(|row| Row { token: token(row) as u32, ..Row::default() }).collect();
        let picks: Vec<Pick> =
            (0..picked).map(|pick| Pick { row: ((pick * 5 + 2) % count) as u32, lane: 0, draw: 0 }).collect();
        let step = Step { rows: &rows, picks: &picks, sampling: Draw::GREEDY, coefficients: &[] };
        let store_from = first.map(|first| first as u32);
        replay(&plan, &step, Want { store_from, ..Want::default() }).await?;
        let Some(first) = first else { continue };
        for row in 0..count {
            let values = x[token(row) * width + 1..][..63].iter().copied().map(Some);
            wanted[0].splice((first + row) * 63..(first + row + 1) * 63, values);
        }
        for (index, pick) in picks.iter().enumerate() {
            wanted[1][first + index] = Some(x[token(pick.row as usize) * width + 64]);
        }
    }
    for ((store, wanted), width) in stores.iter().zip(&wanted).zip([63, 1]) {
        let rows = wanted.len() / width;
        for (first, count) in [(0, rows), (3, 0), (rows - 1, 1), (5, 17)] {
            let got = store.read(first as u32, count as u32).await.map_err(said)?;
            let wanted = &wanted[first * width..(first + count) * width];
            if got.len() != wanted.len() {
                return Err(format!("{} numbers instead of {}", got.len(), wanted.len()));
            }
            // New buffers hold NaNs.
            let differs = |(got, wanted): (&f32, &Option<f32>)| match wanted {
                Some(wanted) => got != wanted,
                None => !got.is_nan(),
            };
            if let Some(at) = got.iter().zip(wanted).position(differs) {
                return Err(format!("row {}: {} instead of {:?}", first + at / width, got[at], wanted[at]));
            }
        }
    }
    Ok(())
}

async fn bounds(gpu: Gpu) -> Outcome {
    let table = floats(&gpu, &Numbers::new(42).vector(30), 3)?;
    let store = Store::new(&gpu, 6, 3).map_err(said)?;
    let mut recorder = Recorder::new(&gpu, FEW);
    let x = recorder.embed(&table);
    recorder.tap_to(&x, 0..3, TapRows::All, &store);
    drop(x);
    let plan = recorder.finish().map_err(said)?;
    let rows = one_sequence(4);
    let step = Step { rows: &rows, picks: &[], sampling: Draw::GREEDY, coefficients: &[] };
    for (first, fits) in [(0, true), (2, true), (3, false), (u32::MAX, false)] {
        if plan.submit(&step, Want { store_from: Some(first), ..Want::default() }).is_ok() != fits {
            return Err(format!("four rows from row {first} of 6: accepted {}", !fits));
        }
    }
    if store.read(4, 3).await.is_ok() || store.read(u32::MAX, 2).await.is_ok() {
        return Err("rows beyond the last were read".to_owned());
    }
    gpu.limit_bindings(64);
    let too_wide = Store::new(&gpu, 1, 17).is_ok();
    if too_wide || Store::new(&gpu, 0, 3).is_ok() || Store::new(&gpu, 3, 0).is_ok() {
        return Err("a store that cannot be was made".to_owned());
    }
    Ok(())
}

/// Sums of a store's rows in f64, of stores whole and in parts; no weight but its own counts for a row.
async fn summed(gpu: Gpu, limit: u64) -> Outcome {
    for (rows, width) in [(1, 1), (7, 33), (8, 32), (9, 31), (64, 200), (127, 100)] {
        let mut numbers = Numbers::new(43);
        let x = numbers.vector(rows * width);
        let table = floats(&gpu, &x, width)?;
        gpu.limit_bindings(limit);
        let store = Store::new(&gpu, rows as u32, width as u32).map_err(said)?;
        gpu.limit_bindings(u64::MAX);
        let mut recorder = Recorder::new(&gpu, MANY);
        let act = recorder.embed(&table);
        recorder.tap_to(&act, 0..width as u32, TapRows::All, &store);
        drop(act);
        let plan = recorder.finish().map_err(said)?;
        let tokens = one_sequence(rows);
        let step = Step { rows: &tokens, picks: &[], sampling: Draw::GREEDY, coefficients: &[] };
        replay(&plan, &step, Want { store_from: Some(0), ..Want::default() }).await?;
        let only_last: Vec<f32> = (0..rows).map(|row| f32::from(u8::from(row + 1 == rows))).collect();
        for weights in [numbers.vector(rows), only_last, vec![0.0; rows]] {
            let found = store.weighted_sum(&weights).await.map_err(said)?;
            if found.len() != width {
                return Err(format!("{} numbers instead of {width}", found.len()));
            }
            for (column, found) in found.into_iter().enumerate() {
                let terms =
                    weights.iter().enumerate().map(|(row, &w)| f64::from(w) * f64::from(x[row * width + column]));
                let (exact, size) = (terms.clone().sum::<f64>(), terms.map(f64::abs).sum::<f64>());
                let off = (f64::from(found) - exact).abs();
                if !(off <= 8.0 * f64::from(f32::EPSILON) * size) {
                    return Err(format!("{rows} by {width}, column {column}: {found} instead of {exact}"));
                }
            }
        }
        // Products of rows, with those of their pairs in another part of the store.
        let vector = numbers.vector(width);
        let found = Store::row_products(&[(&store, &vector)]).await.map_err(said)?.swap_remove(0);
        if found.len() != rows {
            return Err(format!("products of {} rows of {rows}", found.len()));
        }
        let of_row = |row: usize| (row < rows).then(|| &x[row * width..(row + 1) * width]);
        for (row, found) in found.iter().enumerate() {
            for (found, other) in found.iter().zip([Some(&vector[..]), of_row(row), of_row(row ^ 1)]) {
                let terms = of_row(row).into_iter().flatten().zip(other.into_iter().flatten());
                let terms = terms.map(|(&a, &b)| f64::from(a) * f64::from(b));
                let (exact, size) = (terms.clone().sum::<f64>(), terms.map(f64::abs).sum::<f64>());
                let off = (f64::from(*found) - exact).abs();
                if !(off <= 8.0 * f64::from(f32::EPSILON) * size) {
                    return Err(format!("{rows} by {width}, row {row}: {found} instead of {exact}"));
                }
            }
        }
        if Store::row_products(&[(&store, &vec![0.0; width + 1])]).await.is_ok() {
            return Err("a vector of another width was taken".to_owned());
        }
        if store.weighted_sum(&vec![0.0; rows + 1]).await.is_ok() {
            return Err("more weights than rows were taken".to_owned());
        }
    }
    Ok(())
}
