//! A plan is replayed without waiting, and says what it cannot do.

use tiller_kernels::{Draw, Gpu, GpuError, LANE_BIT, LANES, Pick, Quant, Recorder, Row, Step, TapRows, Want};

use crate::numbers::Numbers;
use crate::run::{FEW, MANY, floats, one_sequence, said, vector};
use crate::{Case, Outcome};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("tokens pass from step to step on the device", chained),
        Case::new("steps that a plan cannot run are refused", refused),
        Case::new("recordings that do not fit are refused", unfit),
        Case::new("a replay is one pass, eight bytes a token", counted),
    ]
}

/// Two lanes, twelve steps submitted before the first is read, read last first, one never. Each step multiplies the embedding of
/// the token that its lane drew by a matrix that makes exactly one other token the most probable.
async fn chained(gpu: Gpu) -> Outcome {
    let tokens = 65u32;
    let next = |token: u32| (token * 7 + 3) % tokens;
    let one_hot = |at: fn(u32) -> u32| -> Vec<f32> {
        (0..tokens).flat_map(|row| (0..tokens).map(move |column| f32::from(at(column) == row))).collect()
    };
    let table = floats(&gpu, &one_hot(|token| token), tokens as usize)?;
    let successor = floats(&gpu, &one_hot(|token| (token * 7 + 3) % 65), tokens as usize)?;
    let mut recorder = Recorder::new(&gpu, FEW);
    let x = recorder.embed(&table);
    let logits = recorder.linear(&x, &[successor], None, None);
    recorder.sample(&logits, false);
    drop((x, logits));
    let plan = recorder.finish().map_err(said)?;
    let (lanes, starts, steps) = ([3, LANES - 1], [5, 40], 12);
    let mut tickets = Vec::new();
    for position in 0..steps {
        let row = |index: usize| {
            let token = if position == 0 { starts[index] } else { LANE_BIT | lanes[index] };
            Row { token, position, kv_start: 0, edits: 0 }
        };
        let rows = [row(0), row(1)];
        let picks = [0, 1].map(|row| Pick { row: row as u32, lane: lanes[row], draw: position });
        let step = Step { rows: &rows, picks: &picks, sampling: Draw::GREEDY, coefficients: &[] };
        let want = Want { records: true, ..Want::default() };
        let ticket = plan.submit(&step, want).map_err(said)?;
        if position != 4 {
            tickets.push((position, ticket));
        }
    }
    while let Some((position, ticket)) = tickets.pop() {
        let got: Vec<u32> = plan.read(ticket).await.map_err(said)?.drawn.iter().map(|drawn| drawn.token).collect();
        let expected = (0..=position).fold(starts, |tokens, _| tokens.map(next));
        if got != expected {
            return Err(format!("step {position}: {got:?} instead of {expected:?}"));
        }
    }
    Ok(())
}

async fn refused(gpu: Gpu) -> Outcome {
    let table = floats(&gpu, &Numbers::new(15).vector(30), 3)?;
    let mut recorder = Recorder::new(&gpu, FEW);
    let x = recorder.embed(&table);
    recorder.tap(&x, TapRows::All);
    drop(x);
    let plan = recorder.finish().map_err(said)?;
    let fine = one_sequence(1);
    let pick = |row, lane| Pick { row, lane, draw: 0 };
    let bad: [(&str, Vec<Row>, Vec<Pick>, usize); 6] = [
        ("five rows", one_sequence(5), vec![], 0),
        ("a token beyond the table", vec![Row { token: 10, ..Row::default() }], vec![], 0),
        ("a lane beyond the last", vec![Row { token: LANE_BIT | LANES, ..Row::default() }], vec![], 0),
        ("a pick of no row", fine.clone(), vec![pick(1, 0)], 0),
        ("a pick into no lane", fine.clone(), vec![pick(0, LANES)], 0),
        ("33 coefficients", fine.clone(), vec![], 33),
    ];
    for (what, rows, picks, coefficients) in bad {
        let coefficients = vec![1.0; coefficients];
        let step = Step { rows: &rows, picks: &picks, sampling: Draw::GREEDY, coefficients: &coefficients };
        if !matches!(plan.submit(&step, Want::default()), Err(GpuError::Validation(_))) {
            return Err(format!("{what}: accepted"));
        }
    }
    Ok(())
}

async fn unfit(gpu: Gpu) -> Outcome {
    let table = floats(&gpu, &Numbers::new(16).vector(30), 3)?;
    let wide = tiller_kernels::Matrix::new(&gpu, Quant::Q8_0, 4, 64).map_err(said)?;
    let long = vector(&gpu, &[0.0; 5])?;
    type Recording<'a> = Box<dyn Fn(&mut Recorder) + 'a>;
    let bad: [(&str, Recording); 4] = [
        (
            "a matrix of another width",
            Box::new(|recorder| {
                let x = recorder.embed(&table);
                recorder.linear(&x, std::slice::from_ref(&wide), None, None);
            }),
        ),
        (
            "a norm of another width",
            Box::new(|recorder| {
                let x = recorder.embed(&table);
                recorder.norm(&x, (&long, 1e-5).into());
            }),
        ),
        (
            "a vector of another width",
            Box::new(|recorder| {
                let x = recorder.embed(&table);
                recorder.add_vector(x, &long, 0);
            }),
        ),
        (
            "a slot beyond the last",
            Box::new(|recorder| {
                let x = recorder.embed(&table);
                recorder.add_vector(x, &long, 32);
            }),
        ),
    ];
    for (what, record) in bad {
        let mut recorder = Recorder::new(&gpu, MANY);
        record(&mut recorder);
        if !matches!(recorder.finish(), Err(GpuError::Validation(_))) {
            return Err(format!("{what}: accepted"));
        }
    }
    if wide.write_rows(3, &[0; 2 * 68]).is_ok() || wide.write_rows(0, &[0; 67]).is_ok() {
        return Err("rows that do not fit the matrix: accepted".to_owned());
    }
    if tiller_kernels::Matrix::new(&gpu, Quant::Q4K, 4, 100).is_ok() {
        return Err("a row that is no whole number of blocks: accepted".to_owned());
    }
    if long.write(&[0.0; 4]).is_ok() {
        return Err("a vector written short: accepted".to_owned());
    }
    Ok(())
}

async fn counted(gpu: Gpu) -> Outcome {
    let table = floats(&gpu, &Numbers::new(17).vector(30), 3)?;
    let before = gpu.allocated_bytes();
    let mut recorder = Recorder::new(&gpu, FEW);
    let x = recorder.embed(&table);
    let logits = recorder.linear(&x, std::slice::from_ref(&table), None, None);
    recorder.sample(&logits, false);
    drop((x, logits));
    let plan = recorder.finish().map_err(said)?;
    let stats = plan.stats();
    let counts = (stats.dispatches, stats.passes, stats.submits, stats.readback_bytes);
    if counts != (3, 1, 1, 8) || stats.weight_bytes < table.bytes() {
        return Err(format!("{stats:?}"));
    }
    let during = gpu.allocated_bytes();
    drop(plan);
    let after = gpu.allocated_bytes();
    if during <= before || after != before || gpu.peak_allocated_bytes() < during {
        return Err(format!("{before} bytes before a plan, {during} with it, {after} after it"));
    }
    Ok(())
}
