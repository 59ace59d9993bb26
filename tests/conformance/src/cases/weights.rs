//! Reading weights: embedding, and products for few rows and for many, in every format.

use std::future::Future;

use tiller_kernels::{Gpu, Quant, Tiers, Tiles};

use crate::dequantise::{random, widths};
use crate::numbers::{F32_SUMS, Numbers, agree, agree_on_scale};
use crate::run::{FEW, MANY, floats, matrix, one_sequence, recorded, said, tapped, vector};
use crate::{Case, Outcome, twin};

pub fn cases() -> Vec<Case> {
    let each = |quant: Quant| {
        [
            Case::new(format!("embed {quant:?}"), move |gpu| embed(gpu, quant)),
            Case::new(format!("positions {quant:?}"), move |gpu| positions(gpu, quant)),
            Case::new(format!("linear {quant:?}, few rows"), move |gpu| products(gpu, quant, FEW, &[1, 2, 3, 4])),
            many_rows(quant, Tiles::Spread),
            many_rows(quant, Tiles::Compact),
        ]
    };
    let mut cases: Vec<Case> = Quant::ALL.into_iter().flat_map(each).collect();
    for capacity in [FEW, MANY] {
        cases.push(Case::new(format!("matrices side by side, capacity {capacity}"), move |gpu| {
            side_by_side(gpu, capacity)
        }));
        cases.push(Case::new(format!("linear_add, capacity {capacity}"), move |gpu| added(gpu, capacity)));
        for tiles in [Tiles::Spread, Tiles::Compact] {
            let name = format!("a row is the same alone and among others, capacity {capacity}, {tiles:?} tiles");
            cases.push(with_tiles(name, tiles, move |gpu| alone_and_among(gpu, capacity)));
        }
    }
    cases
}

fn many_rows(quant: Quant, tiles: Tiles) -> Case {
    let name = format!("linear {quant:?}, many rows, {tiles:?} tiles");
    with_tiles(name, tiles, move |gpu| products(gpu, quant, MANY, &[1, 5, 17, 33, 63, 65]))
}

/// A case on a device that is taken to be good at tiles of this kind.
fn with_tiles<F>(name: String, tiles: Tiles, check: impl Fn(Gpu) -> F + Clone + 'static) -> Case
where
    F: Future<Output = Outcome> + 'static,
{
    Case::new(name, move |gpu| {
        let check = check.clone();
        async move {
            let tiers = gpu.tiers();
            gpu.set_tiers(Tiers { tiles, ..tiers });
            let outcome = check(gpu.clone()).await;
            gpu.set_tiers(tiers);
            outcome
        }
    })
}

/// Dequantising is exact: candle rounds once, in the last addition, and so does the shader.
async fn embed(gpu: Gpu, quant: Quant) -> Outcome {
    let mut numbers = Numbers::new(1);
    for &cols in widths(quant) {
        let tokens = 65;
        let weights = random(quant, tokens, cols, &mut numbers)?;
        let table = matrix(&gpu, quant, &weights, cols)?;
        for capacity in [FEW, MANY] {
            let count = tokens.min(capacity as usize);
            let mut recorder = tiller_kernels::Recorder::new(&gpu, capacity);
            let y = recorder.embed(&table);
            recorder.tap(&y, tiller_kernels::TapRows::All);
            drop(y);
            let plan = recorder.finish().map_err(said)?;
            let mut rows = one_sequence(count);
            rows.reverse();
            let got = tapped(&plan, &rows, &[], &[]).await?;
            let wanted: Vec<f32> = weights.values[..count * cols].chunks(cols).rev().flatten().copied().collect();
            if let Some(at) = (0..wanted.len()).find(|&at| got[at] != wanted[at]) {
                return Err(format!("{cols} columns: number {at} is {} instead of {}", got[at], wanted[at]));
            }
        }
    }
    Ok(())
}

/// tokens * scale + positions, the table of positions in parts.
async fn positions(gpu: Gpu, quant: Quant) -> Outcome {
    let mut numbers = Numbers::new(28);
    for &cols in widths(quant) {
        let count = 65;
        let tokens = numbers.vector(count * cols);
        let weights = random(quant, count, cols, &mut numbers)?;
        let whole_row = (weights.bytes.len() / count) as u64;
        gpu.limit_bindings(20 * whole_row.max(64));
        let table = matrix(&gpu, quant, &weights, cols);
        gpu.limit_bindings(u64::MAX);
        let (table, embedding) = (table?, floats(&gpu, &tokens, cols)?);
        for (capacity, rows) in [(FEW, 3), (MANY, 65)] {
            let mut recorder = tiller_kernels::Recorder::new(&gpu, capacity);
            let x = recorder.embed_scaled(&embedding, 3.5);
            let y = recorder.add_positions(x, &table);
            recorder.tap(&y, tiller_kernels::TapRows::All);
            drop(y);
            let plan = recorder.finish().map_err(said)?;
            let mut step = one_sequence(rows);
            step.iter_mut().for_each(|row| row.position = 64 - row.position);
            let got = tapped(&plan, &step, &[], &[]).await?;
            let wanted: Vec<f64> = (0..rows * cols)
                .map(|at| 3.5 * f64::from(tokens[at]) + f64::from(weights.values[(64 - at / cols) * cols + at % cols]))
                .collect();
            let scale = twin::wide(&tokens[..rows * cols]);
            agree_on_scale(&got, &wanted, &scale, cols, F32_SUMS)
                .map_err(|what| format!("{cols} columns, {rows} rows: {what}"))?;
            step[0].position = 65;
            if tapped(&plan, &step, &[], &[]).await.is_ok() {
                return Err("a position beyond the table: accepted".to_owned());
            }
        }
    }
    Ok(())
}

async fn products(gpu: Gpu, quant: Quant, capacity: u32, row_counts: &'static [usize]) -> Outcome {
    let mut numbers = Numbers::new(2);
    for (index, &cols) in widths(quant).iter().enumerate() {
        let outputs = [1, 3, 63, 65, 577][index];
        let most = *row_counts.last().unwrap_or(&1);
        let x = numbers.vector(most * cols);
        let bias = numbers.vector(outputs);
        let weights = random(quant, outputs, cols, &mut numbers)?;
        let (w, b) = (matrix(&gpu, quant, &weights, cols)?, vector(&gpu, &bias)?);
        let plan = recorded(&gpu, capacity, &x, cols, |recorder, x| recorder.linear(&x, &[w], Some(&b), None))?;
        for &rows in row_counts {
            let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
            let x = twin::wide(&x[..rows * cols]);
            let mut wanted = twin::linear(&x, &weights.values, cols);
            wanted.iter_mut().zip(bias.iter().cycle()).for_each(|(y, &bias)| *y += f64::from(bias));
            let scale = twin::linear_scale(&x, &weights.values, cols);
            agree_on_scale(&got, &wanted, &scale, outputs, F32_SUMS)
                .map_err(|what| format!("[{rows}, {cols}] x {outputs}: {what}"))?;
        }
    }
    Ok(())
}

/// Queries of one format, keys of another: their outputs stand side by side, with one bias over both.
async fn side_by_side(gpu: Gpu, capacity: u32) -> Outcome {
    let (rows, cols) = (3, 96);
    let mut numbers = Numbers::new(3);
    let x = numbers.vector(rows * cols);
    let first = random(Quant::Q4_1, 63, cols, &mut numbers)?;
    let second = random(Quant::F16, 5, cols, &mut numbers)?;
    let bias = numbers.vector(68);
    let matrices = [matrix(&gpu, Quant::Q4_1, &first, cols)?, matrix(&gpu, Quant::F16, &second, cols)?];
    let b = vector(&gpu, &bias)?;
    let plan = recorded(&gpu, capacity, &x, cols, |recorder, x| recorder.linear(&x, &matrices, Some(&b), None))?;
    let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
    let both = [first.values, second.values].concat();
    let mut wanted = twin::linear(&twin::wide(&x), &both, cols);
    wanted.iter_mut().zip(bias.iter().cycle()).for_each(|(y, &bias)| *y += f64::from(bias));
    agree(&got, &wanted, 68, F32_SUMS)
}

/// into + W x + bias, where into and x come from one activation.
async fn added(gpu: Gpu, capacity: u32) -> Outcome {
    let (rows, cols) = (3, 63);
    let mut numbers = Numbers::new(4);
    let x = numbers.vector(rows * cols);
    let weights = numbers.vector(cols * cols);
    let bias = numbers.vector(cols);
    let (w, b) = (floats(&gpu, &weights, cols)?, vector(&gpu, &bias)?);
    let identity: Vec<f32> = (0..cols * cols).map(|at| f32::from(at % (cols + 1) == 0)).collect();
    let identity = floats(&gpu, &identity, cols)?;
    let plan = recorded(&gpu, capacity, &x, cols, |recorder, x| {
        let into = recorder.linear(&x, &[identity], None, None);
        recorder.linear_add(&x, &w, Some(&b), into)
    })?;
    let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
    let mut wanted = twin::linear(&twin::wide(&x), &weights, cols);
    for (at, y) in wanted.iter_mut().enumerate() {
        *y += f64::from(x[at]) + f64::from(bias[at % cols]);
    }
    agree(&got, &wanted, cols, F32_SUMS)
}

/// Bit for bit: a text must not depend on what runs beside it.
async fn alone_and_among(gpu: Gpu, capacity: u32) -> Outcome {
    let (outputs, cols) = (65, 576);
    let mut numbers = Numbers::new(30);
    let most = capacity.min(100) as usize;
    let x = numbers.vector(most * cols);
    let w = floats(&gpu, &numbers.vector(outputs * cols), cols)?;
    let plan = recorded(&gpu, capacity, &x, cols, |recorder, x| recorder.linear(&x, &[w], None, None))?;
    let all = tapped(&plan, &one_sequence(most), &[], &[]).await?;
    for rows in (1..most).step_by(most.div_ceil(12)) {
        let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
        if let Some(at) = (0..got.len()).find(|&at| got[at].to_bits() != all[at].to_bits()) {
            return Err(format!("number {at} is {} among {rows} rows and {} among {most}", got[at], all[at]));
        }
    }
    Ok(())
}
