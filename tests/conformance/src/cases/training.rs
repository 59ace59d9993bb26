//! What training does beside products: which features are active, their gradients, and the steps of what is learnt.

use tiller_kernels::{BatchCut, Figures, Gpu, Learnt, PreGradients, Recorder, StepRule, Table, TapRows, Vector};

use super::dense::read;
use crate::numbers::{F32_SUMS, Numbers, agree, agree_on_scale};
use crate::run::{MANY, floats, one_sequence, said, tapped, vector};
use crate::twin::wide;
use crate::{Case, Outcome};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("less_vector", less_vector),
        Case::new("step_features by thresholds and of the dead", rules),
        Case::new("the cut of a batch, and equals among its numbers", cuts),
        Case::new("feature_gradients of kept features", |gpu| gradients(gpu, Method::Kept)),
        Case::new("feature_gradients with a penalty", |gpu| gradients(gpu, Method::Penalised)),
        Case::new("feature_gradients of thresholds", |gpu| gradients(gpu, Method::JumpRelu)),
        Case::new("squared_rows", squared_rows),
        Case::new("learn_rows of numbers", |gpu| learnt(gpu, None)),
        Case::new("learn_rows of directions", |gpu| learnt(gpu, Some(()))),
    ]
}

async fn less_vector(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(95);
    for (rows, width) in [(1, 1), (5, 63), (66, 130)] {
        let (mut x, v) = (numbers.vector(rows * width), numbers.vector(width));
        let wanted: Vec<f64> =
            x.chunks(width).flat_map(|x| x.iter().zip(&v).map(|(&x, &v)| f64::from(x - v))).collect();
        x.resize(MANY as usize * width, f32::NAN);
        let (x, v) = (vector(&gpu, &x)?, vector(&gpu, &v)?);
        let mut recorder = Recorder::new(&gpu, MANY);
        let y = recorder.less_vector(&x, &v);
        recorder.tap(&y, TapRows::All);
        drop(y);
        let plan = recorder.finish().map_err(said)?;
        agree(&tapped(&plan, &one_sequence(rows), &[], &[]).await?, &wanted, width, 1e-30)?;
    }
    Ok(())
}

/// Numbers of few values, so that many are equal; a third of them not above 0.
fn with_equals(count: usize, seed: u64) -> Vec<f32> {
    let mut numbers = Numbers::new(seed);
    (0..count).map(|_| [0.5, 0.25, -0.5, 1.5, 0.0, 0.125][numbers.word() as usize % 6]).collect()
}

/// Figures by which every third feature was silent for 70 activations, and the others for 64 or none.
async fn figures(gpu: &Gpu, features: usize) -> Result<(Figures, Vec<bool>), String> {
    let figures = Figures::new(gpu, features as u32, MANY).map_err(said)?;
    // Batches of 64 and of 6 rows at which a feature is active or not.
    let active = |feature: usize, batch: usize| feature % 3 == 1 || (feature % 3 == 2 && batch == 0);
    for (batch, rows) in [64, 6].into_iter().enumerate() {
        let x: Vec<f32> = (0..rows * features).map(|i| if active(i % features, batch) { 1.0 } else { 0.0 }).collect();
        let table = floats(gpu, &x, features)?;
        let by_scalars = vector(gpu, &vec![0.0; 2 * features])?;
        let mut recorder = Recorder::new(gpu, MANY);
        let h = recorder.embed(&table);
        let f = recorder.step_features(&h, StepRule::Positive);
        let along = recorder.copy(&h);
        let of = PreGradients { hidden: &h, features: &f, dead: None, penalty: None, thresholds: None };
        let along = recorder.pre_gradients(&of, along, &by_scalars, &figures);
        recorder.tap(&along, TapRows::All);
        drop((h, f, along));
        tapped(&recorder.finish().map_err(said)?, &one_sequence(rows), &[], &[]).await?;
    }
    let (silent, active, _) = figures.read().await.map_err(said)?;
    let wanted: Vec<u32> = (0..features).map(|feature| [70, 0, 6][feature % 3]).collect();
    let wanted_active: Vec<u32> = (0..features).map(|feature| [0, 6, 0][feature % 3]).collect();
    if (&silent, &active) != (&wanted, &wanted_active) {
        return Err(format!("silent for {silent:?}, active at {active:?}"));
    }
    Ok((figures, (0..features).map(|feature| feature % 3 == 0).collect()))
}

async fn rules(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(96);
    for (rows, width) in [(1, 1), (5, 63), (66, 130)] {
        let x = numbers.vector(rows * width);
        let scalars: Vec<f32> = numbers.vector(2 * width).into_iter().map(|x| x - 1.0).collect();
        let (on_device, is_dead) = figures(&gpu, width).await?;
        let (table, thresholds) = (floats(&gpu, &x, width)?, vector(&gpu, &scalars)?);
        for by_threshold in [true, false] {
            let mut recorder = Recorder::new(&gpu, MANY);
            let h = recorder.embed(&table);
            let rule = match by_threshold {
                true => StepRule::AboveThreshold(&thresholds),
                false => StepRule::Dead(&on_device, 70),
            };
            let f = recorder.step_features(&h, rule);
            recorder.tap(&f, TapRows::All);
            drop((h, f));
            let got = tapped(&recorder.finish().map_err(said)?, &one_sequence(rows), &[], &[]).await?;
            for (i, (&x, &got)) in x.iter().zip(&got).enumerate() {
                let threshold = f64::from(scalars[width + i % width]).exp();
                if by_threshold && (f64::from(x) - threshold).abs() < 1e-6 {
                    continue;
                }
                let through = if by_threshold { f64::from(x) > threshold } else { x > 0.0 && is_dead[i % width] };
                if got != if through { x } else { 0.0 } {
                    return Err(format!("{rows} by {width}, {by_threshold}: {got} of {x} at {i}"));
                }
            }
        }
    }
    Ok(())
}

async fn cuts(gpu: Gpu) -> Outcome {
    for (rows, width) in [(1, 1), (4, 7), (66, 130), (3, 4097)] {
        for k in [1, 3, 48] {
            let on_device = BatchCut::new(&gpu).map_err(said)?;
            let mut mean: Option<f64> = None;
            let batches = [
                Numbers::new(97).vector(rows * width),
                with_equals(rows * width, 98),
                vec![-1.0; rows * width],
                Numbers::new(99).vector(rows * width).into_iter().map(|x| 1e-20 * x.abs()).collect(),
            ];
            for (batch, x) in batches.iter().enumerate() {
                let table = floats(&gpu, x, width)?;
                let mut recorder = Recorder::new(&gpu, MANY);
                let h = recorder.embed(&table);
                recorder.batch_cut(&h, k, &on_device);
                let f = recorder.step_features(&h, StepRule::AboveCut(&on_device));
                recorder.tap(&f, TapRows::All);
                drop((h, f));
                let got = tapped(&recorder.finish().map_err(said)?, &one_sequence(rows), &[], &[]).await?;
                let mut sorted: Vec<f32> = x.iter().copied().filter(|&x| x > 0.0).collect();
                sorted.sort_by(|a, b| b.total_cmp(a));
                let lowest = sorted.get(k as usize * rows - 1).or(sorted.last()).copied();
                for (i, (&x, &got)) in x.iter().zip(&got).enumerate() {
                    let wanted = if lowest.is_some_and(|lowest| x >= lowest) { x } else { 0.0 };
                    if got != wanted {
                        return Err(format!("{k} of {rows} by {width}, batch {batch}: {got} at {i}, not {wanted}"));
                    }
                }
                mean = lowest
                    .map(|lowest| mean.map_or(lowest.into(), |mean| mean + 0.01 * (f64::from(lowest) - mean)))
                    .or(mean);
                let (_, found) = on_device.read().await.map_err(said)?;
                let near = |found: f32, mean: f64| (f64::from(found) - mean).abs() <= 1e-6 * mean.abs();
                if found.is_some() != mean.is_some() || !found.zip(mean).is_none_or(|(found, mean)| near(found, mean)) {
                    return Err(format!("the mean of {k} of {rows} by {width} is {found:?} instead of {mean:?}"));
                }
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Method {
    Kept,
    Penalised,
    JumpRelu,
}

async fn gradients(gpu: Gpu, method: Method) -> Outcome {
    const BANDWIDTH: f32 = 0.4;
    const PENALTY: f32 = 0.3;
    let mut numbers = Numbers::new(100);
    for (rows, width) in [(1, 1), (5, 63), (66, 130)] {
        for dead_after in [70, 71] {
            let (on_device, is_dead) = figures(&gpu, width).await?;
            let [h, along, along_dead] = [(); 3].map(|()| numbers.vector(rows * width));
            let scalars: Vec<f32> = numbers.vector(2 * width).into_iter().map(|x| x - 1.0).collect();
            let (on_scalars, by_scalars) = (vector(&gpu, &scalars)?, vector(&gpu, &vec![0.0; 2 * width])?);
            let tables = [floats(&gpu, &h, width)?, floats(&gpu, &along, width)?, floats(&gpu, &along_dead, width)?];
            let mut recorder = Recorder::new(&gpu, MANY);
            recorder.count_dead(&on_device, dead_after);
            let [on_h, on_along, on_along_dead] = tables.each_ref().map(|table| recorder.embed(table));
            let rule = match method {
                Method::JumpRelu => StepRule::AboveThreshold(&on_scalars),
                _ => StepRule::Positive,
            };
            let f = recorder.step_features(&on_h, rule);
            let dead = recorder.step_features(&on_h, StepRule::Dead(&on_device, dead_after));
            let of = PreGradients {
                hidden: &on_h,
                features: &f,
                dead: Some((&dead, &on_along_dead)),
                penalty: (method != Method::Kept).then_some(2),
                thresholds: (method == Method::JumpRelu).then_some((&on_scalars, BANDWIDTH)),
            };
            let y = recorder.pre_gradients(&of, on_along, &by_scalars, &on_device);
            recorder.tap(&y, TapRows::All);
            drop((on_h, on_along_dead, f, dead, y));
            let plan = recorder.finish().map_err(said)?;
            let got = tapped(&plan, &one_sequence(rows), &[], &[9.0, 9.0, PENALTY]).await?;

            let (mut wanted, mut sums) = (Vec::new(), vec![0.0; 2 * width]);
            let mut active = vec![0u32; width];
            for (i, ((&h, &along), &along_dead)) in h.iter().zip(&along).zip(&along_dead).enumerate() {
                let feature = i % width;
                let (h, along) = (f64::from(h), f64::from(along));
                let threshold = f64::from(scalars[width + feature]).exp();
                let is_active = h > if method == Method::JumpRelu { threshold } else { 0.0 };
                let mut by_hidden = if is_active { along } else { 0.0 };
                if is_active && method == Method::Penalised {
                    by_hidden += f64::from(PENALTY);
                }
                if method == Method::JumpRelu && (h - threshold).abs() < f64::from(BANDWIDTH) / 2.0 {
                    let by_threshold = -(threshold * along + f64::from(PENALTY)) / f64::from(BANDWIDTH);
                    sums[width + feature] += by_threshold * threshold;
                }
                if dead_after == 70 && is_dead[feature] && h > 0.0 {
                    by_hidden += f64::from(along_dead);
                }
                active[feature] += u32::from(is_active);
                sums[feature] += by_hidden;
                wanted.push(by_hidden);
            }
            let scale = vec![1.0; wanted.len()];
            agree_on_scale(&got, &wanted, &scale, width, F32_SUMS).map_err(|what| format!("{rows}: {what}"))?;
            // Sums that cancel are known to the size of their terms.
            let scale = vec![(rows as f64).sqrt(); 2 * width];
            agree_on_scale(&read(&by_scalars).await?, &sums, &scale, width, F32_SUMS)
                .map_err(|what| format!("sums over {rows}: {what}"))?;
            let (silent, found, _) = on_device.read().await.map_err(said)?;
            let silent_wanted: Vec<u32> = (0..width)
                .map(|feature| if active[feature] > 0 { 0 } else { [70, 0, 6][feature % 3] + rows as u32 })
                .collect();
            if (&found, &silent) != (&active, &silent_wanted) {
                return Err(format!("{rows} by {width}: active at {found:?}, silent for {silent:?}"));
            }
        }
    }
    Ok(())
}

async fn squared_rows(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(101);
    for (rows, width) in [(1, 1), (5, 63), (66, 577)] {
        let x = numbers.vector(rows * width);
        let table = floats(&gpu, &x, width)?;
        let on_device = Figures::new(&gpu, 3, MANY).map_err(said)?;
        let mut recorder = Recorder::new(&gpu, MANY);
        let on_x = recorder.embed(&table);
        recorder.squared_rows(Table::act(&on_x), &on_device);
        recorder.tap(&on_x, TapRows::All);
        drop(on_x);
        tapped(&recorder.finish().map_err(said)?, &one_sequence(rows), &[], &[]).await?;
        let (_, _, found) = on_device.read().await.map_err(said)?;
        let wanted: Vec<f64> = x.chunks(width).map(|x| x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>()).collect();
        agree(&found[..rows], &wanted, 1, F32_SUMS)?;
    }
    Ok(())
}

/// Three steps, the second of them with another size.
async fn learnt(gpu: Gpu, directions: Option<()>) -> Outcome {
    let mut numbers = Numbers::new(102);
    for (rows, width) in [(1, 2), (7, 63), (3, 577), (5, 1030)] {
        let mut values = numbers.vector(rows * width);
        if directions.is_some() {
            for row in values.chunks_mut(width) {
                let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
                row.iter_mut().for_each(|x| *x /= length);
            }
        }
        let on_device = Learnt::new(&gpu, &values).map_err(said)?;
        let gradient = vector(&gpu, &vec![0.0; values.len()])?;
        let mut recorder = Recorder::new(&gpu, 1);
        let table = floats(&gpu, &[0.0], 1)?;
        let x = recorder.embed(&table);
        recorder.learn(&on_device, &gradient, directions.map(|()| width as u32), 5);
        recorder.tap(&x, TapRows::All);
        drop(x);
        let plan = recorder.finish().map_err(said)?;

        let mut wanted = wide(&values);
        let (mut means, mut squares) = (vec![0.0; values.len()], vec![0.0; values.len()]);
        for (size, root) in [(0.01, 1000.0), (0.002, 500.3), (0.001, 333.6)] {
            let given = numbers.vector(values.len());
            gradient.write(&given).map_err(said)?;
            let mut coefficients = [9.0; 7];
            (coefficients[5], coefficients[6]) = (size, root);
            tapped(&plan, &one_sequence(1), &[], &coefficients).await?;
            for (row, (values, given)) in wanted.chunks_mut(width).zip(given.chunks(width)).enumerate() {
                let along = match directions {
                    Some(()) => values.iter().zip(given).map(|(w, &g)| w * f64::from(g)).sum::<f64>(),
                    None => 0.0,
                };
                for (i, (value, &given)) in values.iter_mut().zip(given).enumerate() {
                    let (mean, square) = (&mut means[row * width + i], &mut squares[row * width + i]);
                    let by_value = f64::from(given) - along * *value;
                    *mean = 0.9 * *mean + 0.1 * by_value;
                    *square = 0.999 * *square + 0.001 * by_value * by_value;
                    *value -= f64::from(size) * *mean / ((*square * f64::from(root)).sqrt() + 6.25e-10);
                }
                if directions.is_some() {
                    let length = values.iter().map(|x| x * x).sum::<f64>().sqrt();
                    values.iter_mut().for_each(|x| *x /= length);
                }
            }
        }
        for (what, found, wanted) in [
            ("values", &on_device.values, &wanted),
            ("means", &on_device.means, &means),
            ("squares", &on_device.squares, &squares),
        ] {
            // 1 - 0.999 as a float is known to 2^-24 of 1, which is 6e-5 of itself.
            let tolerance = if what == "squares" { 1e-4 } else { 1e-5 };
            agree(&read(found).await?, wanted, width, tolerance)
                .map_err(|off| format!("{what} of {rows} by {width}: {off}"))?;
        }
    }
    anew(&gpu).await
}

async fn anew(gpu: &Gpu) -> Outcome {
    let on_device = Learnt::new(gpu, &[1.0; 6]).map_err(said)?;
    let all = |on_device: &Learnt| [on_device.values.clone(), on_device.means.clone(), on_device.squares.clone()];
    for numbers in all(&on_device) {
        numbers.write(&[5.0; 6]).map_err(said)?;
    }
    on_device.begin_anew(2, &[7.0, 8.0]).map_err(said)?;
    let expected: [[f32; 6]; 3] =
        [[5.0, 5.0, 7.0, 8.0, 5.0, 5.0], [5.0, 5.0, 0.0, 0.0, 5.0, 5.0], [5.0, 5.0, 0.0, 0.0, 5.0, 5.0]];
    for (numbers, expected) in all(&on_device).iter().zip(expected) {
        let found: Vec<f32> = read(numbers).await?;
        if found != expected {
            return Err(format!("{found:?} instead of {expected:?}"));
        }
    }
    let beyond: Result<(), _> = Vector::write_part(&on_device.values, 5, &[1.0; 2]);
    if beyond.is_ok() { Err("numbers beyond a vector's end were written".to_owned()) } else { Ok(()) }
}
