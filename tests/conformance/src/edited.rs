//! Edits of a few rows, and what must come out.

use tiller_kernels::{Act, Draw, Gpu, Pick, Plan, Recorder, Row, Step, TapRows, TokenSet, Want, When};

use crate::Outcome;
use crate::numbers::{F32_SUMS, Numbers, agree_on_scale};
use crate::run::{FEW, MANY, floats, one_sequence, replay, said};

/// The slot of the edit, and the slot of the condition that it is under.
const SLOT: u32 = 9;
const CONDITION: u32 = 30;

/// What an edit is recorded on.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub capacity: u32,
    pub rows: usize,
    pub over_picks: bool,
    pub gated: bool,
}

/// Both capacities, with more rows than a workgroup has threads; rows and picks; with and without a condition.
pub fn settings() -> Vec<Setting> {
    let mut settings = Vec::new();
    for (capacity, rows) in [(FEW, 4), (MANY, 66)] {
        for over_picks in [false, true] {
            for gated in [false, true] {
                settings.push(Setting { capacity, rows, over_picks, gated });
            }
        }
    }
    settings
}

/// How near the result must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Within {
    /// One rounding.
    Exactly,
    /// [`F32_SUMS`] of the row.
    Sums,
    /// The same; and what is shortened and made longer again comes back to where it was but for the last bits.
    Rescaled,
}

/// Records the edit on random rows of `width`, replays it with each of the coefficients, and compares: edited rows with
/// what `twin` makes of (position, coefficient, row); whatever the twin leaves alone must be there to the last bit.
pub async fn check(
    gpu: &Gpu,
    setting: Setting,
    width: usize,
    coefficients: &[f32],
    within: Within,
    record: impl FnOnce(&mut Recorder, Act, When) -> Act,
    twin: impl Fn(u32, f64, &mut [f64]),
) -> Outcome {
    let Setting { capacity, rows: count, over_picks, gated } = setting;
    let x = Numbers::new(31).vector(count * width);
    let plan = plan(gpu, setting, &x, width, record)?;
    let mut rows = one_sequence(count);
    for (index, row) in rows.iter_mut().enumerate() {
        row.edits = if index % 3 == 1 { !(1 << SLOT) } else { 1 << SLOT | 1 << CONDITION };
        // The condition's slot must be looked at too.
        if index % 7 == 6 {
            row.edits &= !(1 << CONDITION);
        }
    }
    let order: Vec<usize> = match over_picks {
        false => (0..count).collect(),
        true => (0..count.min(30)).map(|pick| (pick * 3 + 2) % count).collect(),
    };
    let picks: Vec<Pick> = order.iter().map(|&row| Pick { row: row as u32, lane: 0, draw: 0 }).collect();
    let picks = if over_picks { picks } else { Vec::new() };
    for &coefficient in coefficients {
        let mut strengths = [7.0; 32];
        strengths[SLOT as usize] = coefficient;
        let step = Step { rows: &rows, picks: &picks, sampling: Draw::GREEDY, coefficients: &strengths };
        let got = replay(&plan, &step, Want { taps: true, ..Want::default() }).await?.taps.swap_remove(0);
        for (index, &row) in order.iter().enumerate() {
            let before = &x[row * width..][..width];
            let mut wanted: Vec<f64> = before.iter().map(|&x| f64::from(x)).collect();
            let edited = acts(&rows[row], gated);
            if edited {
                twin(rows[row].position, f64::from(coefficient), &mut wanted);
            }
            let got = &got[index * width..][..width];
            let within = if edited { within } else { Within::Exactly };
            compare(got, &wanted, before, within)
                .map_err(|what| format!("capacity {capacity}, {setting:?}, c = {coefficient}, row {row}: {what}"))?;
        }
    }
    Ok(())
}

fn plan(
    gpu: &Gpu,
    setting: Setting,
    x: &[f32],
    width: usize,
    record: impl FnOnce(&mut Recorder, Act, When) -> Act,
) -> Result<Plan, String> {
    let table = floats(gpu, x, width)?;
    let even: Vec<u32> = (0..setting.rows as u32).step_by(2).collect();
    let even = TokenSet::new(gpu, setting.rows as u32, &even).map_err(said)?;
    let mut recorder = Recorder::new(gpu, setting.capacity);
    let act = recorder.embed(&table);
    let act = if setting.over_picks { recorder.pick_rows(&act) } else { act };
    let gate = setting.gated.then(|| recorder.gate_on_tokens(&even, CONDITION));
    let act = record(&mut recorder, act, When { slot: SLOT, gate: gate.as_ref() });
    recorder.tap(&act, TapRows::All);
    drop(act);
    recorder.finish().map_err(said)
}

fn acts(row: &Row, gated: bool) -> bool {
    let bit = |slot: u32| row.edits >> slot & 1 == 1;
    bit(SLOT) && (!gated || (bit(CONDITION) && row.token.is_multiple_of(2)))
}

fn compare(got: &[f32], wanted: &[f64], before: &[f32], within: Within) -> Outcome {
    for (column, (&got, &wanted)) in got.iter().zip(wanted).enumerate() {
        let untouched = wanted == f64::from(before[column]);
        let off = (f64::from(got) - f64::from(wanted as f32)).abs();
        let allowed = if within == Within::Rescaled { wanted.abs() / 4_194_304.0 } else { 0.0 };
        if (untouched || within == Within::Exactly) && (off > allowed || got.is_nan()) {
            return Err(format!("column {column} is {got} instead of {wanted}"));
        }
    }
    let scale: Vec<f64> = before.iter().map(|&x| f64::from(x)).collect();
    agree_on_scale(got, wanted, &scale, wanted.len(), F32_SUMS)
}
