//! Edits, conditions and captures that cannot be are refused when they are made or recorded.

use tiller_kernels::{
    Act, Columns, Condition, Coordinate, Draw, Gpu, GpuError, Latch, Patch, Recorder, Row, Score, Step, Store, TapRows,
    Text, TokenSet, UnitList, Want, When,
};

use crate::numbers::Numbers;
use crate::run::{FEW, floats, said, vector};
use crate::{Case, Outcome};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("edits that do not fit are refused", recordings),
        Case::new("tables of edits that cannot be are refused", tables),
        Case::new("places beyond a latch or a text are refused", places),
    ]
}

const WHEN: When = When { slot: 0, gate: None };

type Recording<'a> = Box<dyn Fn(&mut Recorder, Act) -> Act + 'a>;

fn condition(gpu: &Gpu, numbers: usize, threshold: f32, latch: Option<Latch>) -> Result<Condition, String> {
    let vector = vector(gpu, &vec![1.0; numbers])?;
    Ok(Condition { vector, score: Score::Cosine, above: true, threshold, latch })
}

/// On an activation of width 3.
async fn recordings(gpu: Gpu) -> Outcome {
    let gpu = &gpu;
    let table = floats(gpu, &Numbers::new(50).vector(30), 3)?;
    let two = &vector(gpu, &[1.0; 2])?;
    let three = &vector(gpu, &[1.0; 3])?;
    let many = &vector(gpu, &[1.0; 257])?;
    let far = &UnitList::new(gpu, &[0, 3]).map_err(said)?;
    let patch = &Patch::new(gpu, 2, &[(0, &[1.0; 2])]).map_err(said)?;
    let store = &Store::new(gpu, 5, 2).map_err(said)?;
    let text = &Text::new(gpu, 5).map_err(said)?;
    let latch = Latch::new(gpu, 5).map_err(said)?;
    let fits = &condition(gpu, 3, 0.0, None)?;
    let narrow = &condition(gpu, 2, 0.0, None)?;
    let no_number = &condition(gpu, 3, f32::NAN, None)?;
    let latching = &condition(gpu, 3, 0.0, Some(latch))?;
    let linear = Coordinate::Affine { offsets: None };
    let bad: Vec<(&str, Recording)> = vec![
        (
            "a slot beyond the last",
            Box::new(|r, x| r.edit_scale(x, Columns::Range(0..3), When { slot: 32, gate: None })),
        ),
        ("columns beyond the width", Box::new(|r, x| r.edit_scale(x, Columns::Range(2..4), WHEN))),
        ("no columns", Box::new(|r, x| r.edit_scale(x, Columns::Range(1..1), WHEN))),
        ("a unit beyond the width", Box::new(|r, x| r.edit_add(x, Columns::Listed(far), two, WHEN))),
        ("a vector too long", Box::new(|r, x| r.edit_add(x, Columns::Range(0..2), three, WHEN))),
        ("a vector too short", Box::new(|r, x| r.edit_set(x, Columns::Range(0..3), two, WHEN))),
        ("a patch of another width", Box::new(|r, x| r.edit_patch(x, 0..3, patch, WHEN))),
        ("half a direction", Box::new(|r, x| r.edit_directions(x, 0..2, three, three, linear, false, WHEN))),
        ("one read, two written", Box::new(|r, x| r.edit_directions(x, 0..1, two, three, linear, false, WHEN))),
        ("257 directions", Box::new(|r, x| r.edit_directions(x, 0..1, many, many, linear, false, WHEN))),
        (
            "offsets of other directions",
            Box::new(|r, x| {
                r.edit_directions(x, 0..3, three, three, Coordinate::Affine { offsets: Some(two) }, false, WHEN)
            }),
        ),
        (
            "a cap upside down",
            Box::new(|r, x| {
                r.edit_directions(x, 0..3, three, three, Coordinate::Clamp { low: 1.0, high: 0.0 }, false, WHEN)
            }),
        ),
        (
            "a cap that is no number",
            Box::new(|r, x| {
                r.edit_directions(x, 0..3, three, three, Coordinate::Clamp { low: f32::NAN, high: 0.0 }, false, WHEN)
            }),
        ),
        (
            "a condition of another width",
            Box::new(|r, x| {
                r.gate(&x, 0..3, narrow, 0);
                x
            }),
        ),
        (
            "a threshold that is no number",
            Box::new(|r, x| {
                r.gate(&x, 0..3, no_number, 0);
                x
            }),
        ),
        (
            "a condition in a slot beyond the last",
            Box::new(|r, x| {
                r.gate(&x, 0..3, fits, 32);
                x
            }),
        ),
        (
            "rows under a condition on picked rows",
            Box::new(|r, x| {
                let picked = r.pick_rows(&x);
                let gate = r.gate(&picked, 0..3, fits, 0);
                r.edit_scale(x, Columns::Range(0..3), When { slot: 0, gate: Some(&gate) })
            }),
        ),
        (
            "a latch on picked rows",
            Box::new(|r, x| {
                let picked = r.pick_rows(&x);
                r.gate(&picked, 0..3, latching, 0);
                x
            }),
        ),
        (
            "a tap of columns beyond the width",
            Box::new(|r, x| {
                r.tap_columns(&x, 0..4, TapRows::All);
                x
            }),
        ),
        (
            "a store of another width",
            Box::new(|r, x| {
                r.tap_to(&x, 0..3, TapRows::All, store);
                x
            }),
        ),
        ("a penalty of nothing", Box::new(|r, x| r.penalise(x, text, 0.0))),
        ("a penalty that is no number", Box::new(|r, x| r.penalise(x, text, f32::NAN))),
    ];
    for (what, record) in bad {
        let mut recorder = Recorder::new(gpu, FEW);
        let x = recorder.embed(&table);
        let x = record(&mut recorder, x);
        drop(x);
        if !matches!(recorder.finish(), Err(GpuError::Validation(_))) {
            return Err(format!("{what}: accepted"));
        }
    }
    Ok(())
}

async fn tables(gpu: Gpu) -> Outcome {
    let pair: &[f32] = &[1.0, 2.0];
    let refused = [
        ("no units", UnitList::new(&gpu, &[]).is_err()),
        ("a unit twice", UnitList::new(&gpu, &[4, 1, 4]).is_err()),
        ("a token beyond the vocabulary", TokenSet::new(&gpu, 33, &[33]).is_err()),
        ("a token of no vocabulary", TokenSet::new(&gpu, 0, &[0]).is_err()),
        ("an empty patch", Patch::new(&gpu, 2, &[]).is_err()),
        ("a patch with a short row", Patch::new(&gpu, 2, &[(0, pair), (1, &[1.0])]).is_err()),
        ("a patch with a position twice", Patch::new(&gpu, 2, &[(5, pair), (0, pair), (5, pair)]).is_err()),
        ("a patch without width", Patch::new(&gpu, 0, &[(0, &[])]).is_err()),
    ];
    match refused.iter().find(|(_, refused)| !refused) {
        Some((what, _)) => Err(format!("{what}: accepted")),
        None => Ok(()),
    }
}

/// A plan knows how many places its latch and its text have.
async fn places(gpu: Gpu) -> Outcome {
    let table = floats(&gpu, &[1.0, 2.0], 1)?;
    for with_text in [false, true] {
        let mut recorder = Recorder::new(&gpu, FEW);
        if with_text {
            recorder.remember_tokens(&Text::new(&gpu, 10).map_err(said)?);
        }
        let x = recorder.embed(&table);
        if !with_text {
            let latch = Latch::new(&gpu, 10).map_err(said)?;
            recorder.gate(&x, 0..1, &condition(&gpu, 1, 0.0, Some(latch))?, 0);
        }
        drop(x);
        let plan = recorder.finish().map_err(said)?;
        for (kv_start, position, fits) in
            [(0, 9, true), (6, 3, true), (0, 10, false), (6, 4, false), (u32::MAX, 1, false)]
        {
            let rows = [Row { token: 0, position, kv_start, edits: 0 }];
            let step = Step { rows: &rows, picks: &[], sampling: Draw::GREEDY, coefficients: &[] };
            if plan.submit(&step, Want::default()).is_ok() != fits {
                return Err(format!("position {position} from {kv_start} of 10: accepted {}", !fits));
            }
        }
    }
    Ok(())
}
