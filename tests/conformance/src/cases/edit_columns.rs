//! Edits by column: add, set, scale, patch.

use std::ops::Range;

use tiller_kernels::{Columns, Gpu, Patch, UnitList};

use crate::edited::{Within, check, settings};
use crate::numbers::Numbers;
use crate::run::{said, vector};
use crate::{Case, Outcome};

/// Width, and the columns edited: all, one, and some in the middle.
const PLACES: [(usize, Range<u32>); 5] = [(1, 0..1), (65, 0..65), (200, 3..131), (200, 199..200), (577, 64..577)];

/// 1 is the coefficient at which a value is put in place unrounded.
const COEFFICIENTS: [f32; 4] = [0.0, 1.0, -1.0, 0.3];

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("edit_add", |gpu| by_column(gpu, Operation::Add)),
        Case::new("edit_set", |gpu| by_column(gpu, Operation::Set)),
        Case::new("edit_scale", |gpu| by_column(gpu, Operation::Scale)),
        Case::new("edit_set puts values in place unrounded", set_exactly),
        Case::new("edit_patch", patch),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Add,
    Set,
    Scale,
}

/// Ranges of columns, and lists of them in no order.
async fn by_column(gpu: Gpu, operation: Operation) -> Outcome {
    let listed: [(usize, Vec<u32>); 3] =
        [(1, vec![0]), (65, vec![64, 3, 7]), (200, (0..70).map(|unit| 199 - (unit * 37) % 199).collect())];
    for (width, range) in PLACES {
        let units: Vec<u32> = range.clone().collect();
        edited(&gpu, operation, width, &units, Columns::Range(range)).await?;
    }
    for (width, units) in listed {
        let list = UnitList::new(&gpu, &units).map_err(said)?;
        edited(&gpu, operation, width, &units, Columns::Listed(&list)).await?;
    }
    Ok(())
}

async fn edited(gpu: &Gpu, operation: Operation, width: usize, units: &[u32], columns: Columns<'_>) -> Outcome {
    let values = Numbers::new(32).vector(units.len());
    let v = vector(gpu, &values)?;
    let within = if operation == Operation::Scale { Within::Exactly } else { Within::Sums };
    for setting in settings() {
        let columns = columns.clone();
        check(
            gpu,
            setting,
            width,
            &COEFFICIENTS,
            within,
            |recorder, x, when| match operation {
                Operation::Add => recorder.edit_add(x, columns, &v, when),
                Operation::Set => recorder.edit_set(x, columns, &v, when),
                Operation::Scale => recorder.edit_scale(x, columns, when),
            },
            |_, c, x| {
                for (&unit, &v) in units.iter().zip(&values) {
                    let x = &mut x[unit as usize];
                    match operation {
                        Operation::Add => *x += c * f64::from(v),
                        Operation::Set => *x += c * (f64::from(v) - *x),
                        Operation::Scale => *x *= c,
                    }
                }
            },
        )
        .await
        .map_err(|what| format!("{operation:?} of {} columns of {width}: {what}", units.len()))?;
    }
    Ok(())
}

/// x + (v - x) is not v where x is much larger: a mean that replaces an activation must be the mean.
async fn set_exactly(gpu: Gpu) -> Outcome {
    let values = [1e-6, -0.1, 3e7, 0.0, f32::MIN_POSITIVE];
    let v = vector(&gpu, &values)?;
    let patches = Patch::new(&gpu, 5, &[(0, &values), (2, &values)]).map_err(said)?;
    for setting in settings() {
        for patched in [false, true] {
            check(
                &gpu,
                setting,
                7,
                &[1.0],
                Within::Exactly,
                |recorder, x, when| match patched {
                    false => recorder.edit_set(x, Columns::Range(1..6), &v, when),
                    true => recorder.edit_patch(x, 1..6, &patches, when),
                },
                |position, _, x| {
                    if !patched || position == 0 || position == 2 {
                        x[1..6].iter_mut().zip(values).for_each(|(x, v)| *x = f64::from(v));
                    }
                },
            )
            .await?;
        }
    }
    Ok(())
}

/// Positions in no order, some beyond the text, many without an entry.
async fn patch(gpu: Gpu) -> Outcome {
    for (width, range) in PLACES {
        for positions in [vec![0], vec![3, 64, 0, 9, 65, 2, 40_000, u32::MAX]] {
            let columns = range.len();
            let values = Numbers::new(33).vector(positions.len() * columns);
            let rows: Vec<&[f32]> = values.chunks(columns).collect();
            let entries: Vec<(u32, &[f32])> = positions.iter().copied().zip(rows.iter().copied()).collect();
            let table = Patch::new(&gpu, columns as u32, &entries).map_err(said)?;
            for setting in settings() {
                let range = range.clone();
                check(
                    &gpu,
                    setting,
                    width,
                    &COEFFICIENTS,
                    Within::Sums,
                    |recorder, x, when| recorder.edit_patch(x, range.clone(), &table, when),
                    |position, c, x| {
                        let Some(entry) = positions.iter().position(|&at| at == position) else { return };
                        let part = &mut x[range.start as usize..range.end as usize];
                        part.iter_mut().zip(rows[entry]).for_each(|(x, &v)| *x += c * (f64::from(v) - *x));
                    },
                )
                .await
                .map_err(|what| format!("{} positions, {range:?} of {width}: {what}", positions.len()))?;
            }
        }
    }
    Ok(())
}
