//! Conditions on activations and on tokens, and what they remember.

use tiller_kernels::{
    Columns, Condition, Draw, Gate, Gpu, KvCache, LANE_BIT, Latch, Pick, Plan, Recorder, Row, Score, Step, TapRows,
    TokenSet, Want, When,
};

use crate::numbers::Numbers;
use crate::run::{FEW, MANY, floats, one_sequence, replay, said, tapped, vector};
use crate::{Case, Outcome};

/// Every gate in these tests opens the edit in this slot; a mark of 1 shows where.
const MARK: u32 = 31;

/// How far from the twin's score a threshold lies, on the scale that the score has.
const MARGIN: f64 = 4e-6;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for over_picks in [false, true] {
        let over = if over_picks { "picks" } else { "rows" };
        for score in [Score::Dot { bias: 0.7 }, Score::Cosine, Score::CosineToProjection] {
            let name = format!("gate on {score:?} over {over}");
            cases.push(Case::new(name, move |gpu| scores(gpu, score, over_picks)));
        }
    }
    cases.push(Case::new("a gate is closed at its threshold and without length", edges));
    cases.push(Case::new("gate on tokens", tokens));
    cases.push(Case::new("a latch remembers what fired in a sequence", latched));
    cases
}

/// Records zeros with a column for each gate, to which 1 is added where the gate is open.
fn marks(recorder: &mut Recorder, gpu: &Gpu, rows: usize, gates: &[Gate], over_picks: bool) -> Result<(), String> {
    let zeros = floats(gpu, &vec![0.0; rows * gates.len()], gates.len())?;
    let one = vector(gpu, &[1.0])?;
    let mut marks = recorder.embed(&zeros);
    if over_picks {
        marks = recorder.pick_rows(&marks);
    }
    for (column, gate) in (0..).zip(gates) {
        let when = When { slot: MARK, gate: Some(gate) };
        marks = recorder.edit_add(marks, Columns::Range(column..column + 1), &one, when);
    }
    recorder.tap(&marks, TapRows::All);
    Ok(())
}

const MARKED: [f32; 32] = [1.0; 32];

/// Thresholds just below and just above the score of each of four rows, and conditions that look from either side.
async fn scores(gpu: Gpu, score: Score, over_picks: bool) -> Outcome {
    for (width, columns) in [(1, 0..1), (65, 0..65), (200, 3..131), (577, 1..577)] {
        // From activations so small that a tangent is the number itself, to such that it is 1.
        for size in [1e-3, 1.0, 300.0] {
            let rows = 6;
            let mut numbers = Numbers::new(36);
            let x: Vec<f32> = numbers.vector(rows * width).into_iter().map(|x| size * x).collect();
            let values = numbers.vector(columns.len());
            let v = vector(&gpu, &values)?;
            let h = |row: usize| &x[row * width..][columns.start as usize..columns.end as usize];
            let twin = |row: usize| scored(score, h(row), &values);
            let scale = |row: usize| match score {
                Score::Dot { bias } => length(h(row)) * length(&values) + f64::from(bias).abs(),
                Score::Cosine | Score::CosineToProjection => 1.0,
            };
            let mut conditions = Vec::new();
            for row in [0, 1, 2, 5] {
                for side in [-1.0, 1.0] {
                    for above in [false, true] {
                        let threshold = (twin(row) + side * MARGIN * scale(row)) as f32;
                        conditions.push(Condition { vector: v.clone(), score, above, threshold, latch: None });
                    }
                }
            }
            let table = floats(&gpu, &x, width)?;
            let mut recorder = Recorder::new(&gpu, MANY);
            let mut act = recorder.embed(&table);
            if over_picks {
                act = recorder.pick_rows(&act);
            }
            let gates: Vec<Gate> =
                (0..).zip(&conditions).map(|(slot, c)| recorder.gate(&act, columns.clone(), c, slot)).collect();
            drop(act);
            marks(&mut recorder, &gpu, rows, &gates, over_picks)?;
            let plan = recorder.finish().map_err(said)?;
            let mut step = one_sequence(rows);
            step.iter_mut().for_each(|row| row.edits = u32::MAX);
            // Conditions in the slots 2 and 5 are not looked at in row 1.
            step[1].edits = !(1 << 2 | 1 << 5);
            let order: &[usize] = if over_picks { &[4, 1, 0, 5, 1] } else { &[0, 1, 2, 3, 4, 5] };
            let picks: Vec<Pick> = order.iter().map(|&row| Pick { row: row as u32, lane: 0, draw: 0 }).collect();
            let got = tapped(&plan, &step, &picks, &MARKED).await?;
            for (index, &row) in order.iter().enumerate() {
                for (slot, condition) in conditions.iter().enumerate() {
                    let fires = match condition.above {
                        true => twin(row) > f64::from(condition.threshold),
                        false => twin(row) < f64::from(condition.threshold),
                    };
                    let open = fires && step[row].edits >> slot & 1 == 1;
                    let got = got[index * conditions.len() + slot];
                    if got != f32::from(u8::from(open)) {
                        let Condition { above, threshold, .. } = condition;
                        let score = twin(row);
                        return Err(format!(
                            "width {width}, size {size}, row {row}: {got} for {score}, above {above} {threshold}"
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}

fn length(values: &[f32]) -> f64 {
    values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}

fn scored(score: Score, h: &[f32], v: &[f32]) -> f64 {
    let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let (h, v) = (wide(h), wide(v));
    let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = |a: &[f64], b: &[f64]| inner(a, b) / (inner(a, a) * inner(b, b)).sqrt();
    match score {
        Score::Dot { bias } => inner(&h, &v) + f64::from(bias),
        Score::Cosine => cosine(&h, &v),
        Score::CosineToProjection => {
            let share = inner(&h, &v) / inner(&v, &v);
            cosine(&h, &v.iter().map(|v| (share * v).tanh()).collect::<Vec<f64>>())
        }
    }
}

/// A score that equals the threshold is on neither side of it; the cosine of nothing is 0.
async fn edges(gpu: Gpu) -> Outcome {
    let table = floats(&gpu, &[3.0, 4.0, 0.0, 0.0], 2)?;
    let (two, nothing) = (vector(&gpu, &[2.0, 0.5])?, vector(&gpu, &[0.0, 0.0])?);
    let mut recorder = Recorder::new(&gpu, FEW);
    let x = recorder.embed(&table);
    let cosines = [Score::Cosine, Score::CosineToProjection];
    // Of (3, 4): 8 exactly.
    let mut conditions = vec![(&two, Score::Dot { bias: 0.0 }, 8.0)];
    conditions.extend(cosines.map(|score| (&nothing, score, 0.0)));
    conditions.extend(cosines.map(|score| (&nothing, score, -0.5)));
    let mut gates = Vec::new();
    for (vector, score, threshold) in conditions {
        for above in [false, true] {
            let condition = Condition { vector: vector.clone(), score, above, threshold, latch: None };
            gates.push(recorder.gate(&x, 0..2, &condition, 0));
        }
    }
    drop(x);
    marks(&mut recorder, &gpu, 2, &gates, false)?;
    let plan = recorder.finish().map_err(said)?;
    let mut rows = one_sequence(2);
    rows.iter_mut().for_each(|row| row.edits = u32::MAX);
    let got = tapped(&plan, &rows, &[], &MARKED).await?;
    let wanted = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0];
    // The row of zeros: its dot is 0, below 8.
    let of_zeros = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0];
    if got[..10] == wanted && got[10..] == of_zeros { Ok(()) } else { Err(format!("{got:?}")) }
}

/// Members at the ends of words, of vocabularies that end within a word; a token that only the lane knows.
async fn tokens(gpu: Gpu) -> Outcome {
    for vocab in [1, 32, 33, 577, 50_257] {
        let members: Vec<u32> = [0, 31, 32, 63, 64, vocab - 1].into_iter().filter(|&token| token < vocab).collect();
        let some = TokenSet::new(&gpu, vocab, &members).map_err(said)?;
        let none = TokenSet::new(&gpu, vocab, &[]).map_err(said)?;
        // Half the vocabulary: tokens beyond it are in no set.
        let half = TokenSet::new(&gpu, vocab.div_ceil(2), &[0]).map_err(said)?;
        let mut recorder = Recorder::new(&gpu, MANY);
        let gates = [(&some, 4), (&none, 4), (&half, 4), (&some, 5)]
            .map(|(set, slot): (&TokenSet, u32)| recorder.gate_on_tokens(set, slot));
        marks(&mut recorder, &gpu, vocab as usize, &gates, false)?;
        let plan = recorder.finish().map_err(said)?;
        let asked: Vec<u32> =
            [0, 1, 30, 31, 32, 33, 62, 63, 64, 65, vocab - 1].into_iter().filter(|&token| token < vocab).collect();
        gpu.set_lane_tokens(&[0, vocab - 1, vocab / 2]);
        let mut rows: Vec<Row> =
            asked.iter().map(|&token| Row { token, edits: 1 << MARK | 1 << 4, ..Row::default() }).collect();
        rows.extend([0, 1, 2].map(|lane| Row { token: LANE_BIT | lane, edits: 1 << MARK | 1 << 4, ..Row::default() }));
        let meant = asked.iter().copied().chain([0, vocab - 1, vocab / 2]);
        let wanted: Vec<f32> = meant
            .flat_map(|token| [members.contains(&token), false, token == 0, false])
            .map(|open| f32::from(u8::from(open)))
            .collect();
        let got = tapped(&plan, &rows, &[], &MARKED).await?;
        if got != wanted {
            return Err(format!("of {vocab}: {got:?} instead of {wanted:?}"));
        }
    }
    Ok(())
}

/// Plans of both capacities share a latch: two texts read in one step or in many, then written on; then other texts in
/// their place.
async fn latched(gpu: Gpu) -> Outcome {
    let cache = KvCache::new(&gpu, 1, 300, 1).map_err(said)?;
    for many_steps in [false, true] {
        let latch = Latch::new(&gpu, cache.rows()).map_err(said)?;
        let plans = [latching(&gpu, FEW, &latch)?, latching(&gpu, MANY, &latch)?];
        // The places of two texts, and the tokens of each; 1 fires.
        let text =
            |fires: &[usize], len: usize| -> Vec<u32> { (0..len).map(|at| fires.contains(&at).into()).collect() };
        let texts = [(5, text(&[65], 75)), (100, text(&[0, 3], 20)), (220, text(&[], 9))];
        run(&plans, &texts, 70, many_steps).await.map_err(|what| format!("first: {what}"))?;
        // Shorter and longer ones in the same places, with nothing that fires before position 8.
        let others = [(5, text(&[70], 72)), (100, text(&[8], 30)), (220, text(&[], 60))];
        run(&plans, &others, 30, many_steps).await.map_err(|what| format!("in place of the first: {what}"))?;
        latch.clear();
        let rest: Vec<Row> =
            (0..3).map(|at| Row { token: 0, position: 71 + at, kv_start: 5, edits: u32::MAX }).collect();
        if tapped(&plans[0], &rest, &[], &MARKED).await? != [0.0; 3] {
            return Err("cleared, and still open".to_owned());
        }
    }
    Ok(())
}

/// Marks rows in the sequences of which token 1 occurred. Read over picks, in their order.
fn latching(gpu: &Gpu, capacity: u32, latch: &Latch) -> Result<Plan, String> {
    let table = floats(gpu, &[-1.0, 1.0], 1)?;
    let condition = Condition {
        vector: vector(gpu, &[1.0])?,
        score: Score::Dot { bias: 0.0 },
        above: true,
        threshold: 0.5,
        latch: Some(latch.clone()),
    };
    let mut recorder = Recorder::new(gpu, capacity);
    let x = recorder.embed(&table);
    let gate = recorder.gate(&x, 0..1, &condition, 3);
    drop(x);
    marks(&mut recorder, gpu, 2, std::slice::from_ref(&gate), false)?;
    // The same gate through the picks.
    marks(&mut recorder, gpu, 2, &[gate], true)?;
    recorder.finish().map_err(said)
}

/// The first `read` tokens of each text in one step, or in steps of four in which the texts take turns; the rest one
/// after the other. Every ninth row does not look, whatever its token.
async fn run(plans: &[Plan; 2], texts: &[(u32, Vec<u32>)], read: usize, many_steps: bool) -> Outcome {
    let looks = |position: usize| position % 9 != 3;
    let row = |kv_start: u32, tokens: &[u32], position: usize| Row {
        token: tokens[position],
        position: position as u32,
        kv_start,
        edits: if looks(position) { u32::MAX } else { !(1 << 3) },
    };
    let mut steps: Vec<Vec<Row>> = Vec::new();
    let mut prompts: Vec<Row> = texts
        .iter()
        .flat_map(|(start, tokens)| (0..read.min(tokens.len())).map(|position| row(*start, tokens, position)))
        .collect();
    if many_steps {
        prompts.sort_by_key(|row| row.position);
        steps.extend(prompts.chunks(4).map(<[Row]>::to_vec));
    } else {
        steps.push(prompts);
    }
    for position in read..texts.iter().map(|(_, tokens)| tokens.len()).max().unwrap_or(0) {
        let here = texts.iter().filter(|(_, tokens)| position < tokens.len());
        steps.push(here.map(|(start, tokens)| row(*start, tokens, position)).collect());
    }
    for rows in steps {
        let plan = if rows.len() <= FEW as usize { &plans[0] } else { &plans[1] };
        let picks: Vec<Pick> = (0..rows.len().min(4) as u32).rev().map(|row| Pick { row, lane: 0, draw: 0 }).collect();
        let step = Step { rows: &rows, picks: &picks, sampling: Draw::GREEDY, coefficients: &MARKED };
        let taps = replay(plan, &step, Want { taps: true, ..Want::default() }).await?.taps;
        let wanted: Vec<f32> = rows
            .iter()
            .map(|row| {
                let tokens = texts.iter().find(|(start, _)| *start == row.kv_start).map(|(_, tokens)| &tokens[..]);
                let seen = &tokens.unwrap_or(&[])[..=row.position as usize];
                f32::from(u8::from(seen.iter().enumerate().any(|(at, &token)| token == 1 && looks(at))))
            })
            .collect();
        let of_picks: Vec<f32> = picks.iter().map(|pick| wanted[pick.row as usize]).collect();
        for (got, wanted, over) in [(&taps[0], &wanted, "row"), (&taps[1], &of_picks, "pick")] {
            if let Some(at) = (0..wanted.len()).find(|&at| got[at] != wanted[at]) {
                return Err(format!("{over} {at} of {}: {} instead of {}", rows.len(), got[at], wanted[at]));
            }
        }
    }
    Ok(())
}
