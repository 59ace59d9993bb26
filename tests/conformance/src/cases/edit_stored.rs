//! Edits whose numbers come from a store: patched in, or measured against.

use std::ops::Range;

use tiller_kernels::{Draw, Gpu, Recorder, Step, Store, StoredPatch, TapRows, Want};

use crate::edited::{Within, check, settings};
use crate::numbers::Numbers;
use crate::run::{MANY, floats, one_sequence, replay, said, vector};
use crate::{Case, Outcome};

/// Rows of the store.
const ROWS: usize = 40;

/// Width of the edited activation, the columns edited, and from which column on the store has theirs.
const PLACES: [(usize, Range<u32>, usize); 4] = [(1, 0..1, 0), (65, 0..65, 0), (200, 3..131, 30), (577, 64..577, 7)];

/// Columns that the store has beyond those that count.
const BEYOND: usize = 5;

pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::new("patches of stored rows that cannot be are refused", refused)];
    // Whole, in parts of one row (or less, where a row does not fit), and of some rows.
    for limit in [u64::MAX, 4, 9 * 4 * 163] {
        let name = |what: &str| format!("{what}, parts of {limit}");
        cases.push(Case::new(name("stored patches"), move |gpu| stored(gpu, limit, false)));
        cases.push(Case::new(name("displaced by stored patches"), move |gpu| stored(gpu, limit, true)));
    }
    cases
}

/// A store that holds `values`, `[rows, width]`.
async fn store(gpu: &Gpu, values: &[f32], width: usize) -> Result<Store, String> {
    let store = Store::new(gpu, (values.len() / width) as u32, width as u32).map_err(said)?;
    let table = floats(gpu, values, width)?;
    let mut recorder = Recorder::new(gpu, MANY);
    let act = recorder.embed(&table);
    recorder.tap_to(&act, 0..width as u32, TapRows::All, &store);
    drop(act);
    let plan = recorder.finish().map_err(said)?;
    let tokens = one_sequence(values.len() / width);
    let step = Step { rows: &tokens, picks: &[], sampling: Draw::GREEDY, coefficients: &[] };
    replay(&plan, &step, Want { store_from: Some(0), ..Want::default() }).await?;
    Ok(store)
}

/// Positions in no order, some beyond the text, many without an entry; a row of the store for two positions.
async fn stored(gpu: Gpu, limit: u64, displaces: bool) -> Outcome {
    for (width, range, first) in PLACES {
        let columns = range.len();
        let wide = first + columns + BEYOND;
        let values = Numbers::new(34).vector(ROWS * wide);
        gpu.limit_shards(limit);
        let store = store(&gpu, &values, wide).await?;
        gpu.limit_shards(u64::MAX);
        for entries in [vec![(0, 39)], vec![(3, 0), (64, 7), (0, 7), (9, 38), (65, 12), (40_000, 1), (u32::MAX, 2)]] {
            let part = first as u32..(first + columns) as u32;
            let patch = StoredPatch::new(&gpu, &store, part, &entries).map_err(said)?;
            let directions = Numbers::new(35).vector(entries.len() * columns);
            let on_device = vector(&gpu, &directions)?;
            let mut sorted = entries.clone();
            sorted.sort_unstable();
            for setting in settings() {
                let range = range.clone();
                check(
                    &gpu,
                    setting,
                    width,
                    &[0.0, 1.0, -1.0, 0.3],
                    Within::Sums,
                    |recorder, x, when| match displaces {
                        true => recorder.edit_displace(x, range.clone(), &patch, &on_device, when),
                        false => recorder.edit_patch_stored(x, range.clone(), &patch, when),
                    },
                    |position, c, x| {
                        let Some(entry) = sorted.iter().position(|&(at, _)| at == position) else { return };
                        let row = &values[sorted[entry].1 as usize * wide + first..][..columns];
                        let x = &mut x[range.start as usize..range.end as usize];
                        let away = |(x, &p): (&f64, &f32)| (f64::from(p) - x).powi(2);
                        let length = x.iter().zip(row).map(away).sum::<f64>().sqrt();
                        let directions = &directions[entry * columns..][..columns];
                        for ((x, &p), &d) in x.iter_mut().zip(row).zip(directions) {
                            *x += if displaces { c * length * f64::from(d) } else { c * (f64::from(p) - *x) };
                        }
                    },
                )
                .await
                .map_err(|what| format!("{} entries, {range:?} of {width}: {what}", entries.len()))?;
            }
        }
    }
    Ok(())
}

async fn refused(gpu: Gpu) -> Outcome {
    let store = store(&gpu, &Numbers::new(36).vector(12), 3).await?;
    let made = |columns: Range<u32>, entries: &[(u32, u32)]| StoredPatch::new(&gpu, &store, columns, entries);
    let patch = made(1..3, &[(5, 0), (2, 3)]).map_err(said)?;
    let tables = [
        ("no entry", made(0..3, &[]).is_err()),
        ("a row beyond the store", made(0..3, &[(0, 4)]).is_err()),
        ("a column beyond the store", made(1..4, &[(0, 0)]).is_err()),
        ("no column", made(1..1, &[(0, 0)]).is_err()),
        ("a position twice", made(0..3, &[(7, 0), (7, 1)]).is_err()),
    ];
    if let Some((what, _)) = tables.iter().find(|(_, refused)| !refused) {
        return Err(format!("{what}: accepted"));
    }
    let table = floats(&gpu, &[1.0; 6], 3)?;
    let (four, three) = (vector(&gpu, &[1.0; 4])?, vector(&gpu, &[1.0; 3])?);
    for (what, columns, directions, fits) in [
        ("a patch of another width", 0..3, &four, false),
        ("a direction too few", 0..2, &three, false),
        ("what fits", 0..2, &four, true),
    ] {
        let mut recorder = Recorder::new(&gpu, MANY);
        let x = recorder.embed(&table);
        let when = tiller_kernels::When { slot: 0, gate: None };
        drop(recorder.edit_displace(x, columns, &patch, directions, when));
        if recorder.finish().is_ok() != fits {
            return Err(format!("{what}: accepted {}", !fits));
        }
    }
    Ok(())
}
