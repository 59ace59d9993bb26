//! Products of matrices that steps read and change, and sums of their columns.

use tiller_kernels::{Beside, Figures, Gpu, Product, Recorder, Table, TapRows, Vector, WeightedSums};

use crate::numbers::{F32_SUMS, Numbers, agree_on_scale};
use crate::run::{MANY, floats, one_sequence, said, tapped, vector};
use crate::{Case, Outcome};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for turned in [[false, false], [false, true], [true, false], [true, true]] {
        cases.push(Case::new(format!("dense product, turned {turned:?}"), move |gpu| of_numbers(gpu, turned)));
    }
    cases.push(Case::new("dense products with the rows of a step", of_steps));
    cases.push(Case::new("dense products where features are dead", guarded));
    cases.push(Case::new("dense products that do not fit are refused", refused));
    cases.push(Case::new("column_sums", column_sums));
    cases
}

/// Rows, inner dimension, columns: around a tile's, and of one.
const SHAPES: [[usize; 3]; 6] = [[1, 1, 1], [3, 17, 5], [64, 16, 64], [65, 33, 63], [130, 7, 129], [2, 300, 70]];

/// Element (row, col) of `[rows, cols]`, or of its transpose where it lies turned.
fn at(values: &[f32], row: usize, col: usize, rows: usize, cols: usize, turned: bool) -> f64 {
    f64::from(if turned { values[col * rows + row] } else { values[row * cols + col] })
}

struct Found {
    value: f64,
    /// The root of the squares of the terms.
    scale: f64,
}

fn product(a: &[f32], b: &[f32], [rows, inner, cols]: [usize; 3], turned: [bool; 2]) -> Vec<Found> {
    let element = |row: usize, col: usize| {
        let terms = (0..inner).map(|i| at(a, row, i, rows, inner, turned[0]) * at(b, i, col, inner, cols, turned[1]));
        let (value, squares) = terms.fold((0.0, 0.0), |(sum, squares), term| (sum + term, squares + term * term));
        Found { value, scale: squares.sqrt() + 1.0 }
    };
    (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col))).map(|(row, col)| element(row, col)).collect()
}

fn agree(got: &[f32], wanted: &[Found], width: usize) -> Outcome {
    let (values, scale): (Vec<f64>, Vec<f64>) = wanted.iter().map(|found| (found.value, found.scale)).unzip();
    agree_on_scale(got, &values, &scale, width, F32_SUMS)
}

/// Runs what is recorded beside a table of `rows` rows, for as many rows of a step.
async fn run(gpu: &Gpu, rows: usize, coefficients: &[f32], record: impl FnOnce(&mut Recorder)) -> Outcome {
    let table = floats(gpu, &vec![0.0; rows], 1)?;
    let mut recorder = Recorder::new(gpu, MANY);
    let x = recorder.embed(&table);
    record(&mut recorder);
    recorder.tap(&x, TapRows::All);
    drop(x);
    let plan = recorder.finish().map_err(said)?;
    tapped(&plan, &one_sequence(rows), &[], coefficients).await.map(|_| ())
}

pub(super) async fn read(vector: &Vector) -> Result<Vec<f32>, String> {
    vector.read(0, vector.len()).await.map_err(said)
}

/// All of numbers that stay: with a bias, something beside, a factor, and added to what is there.
async fn of_numbers(gpu: Gpu, turned: [bool; 2]) -> Outcome {
    let mut numbers = Numbers::new(90);
    for shape @ [rows, inner, cols] in SHAPES {
        let (a, b) = (numbers.vector(rows * inner), numbers.vector(inner * cols));
        let (bias, beside, before) = (numbers.vector(cols), numbers.vector(rows * cols), numbers.vector(rows * cols));
        let plain = product(&a, &b, shape, turned);
        let [on_a, on_b, on_bias, on_beside] =
            [vector(&gpu, &a)?, vector(&gpu, &b)?, vector(&gpu, &bias)?, vector(&gpu, &beside)?];
        let table = |numbers, turned: bool, rows: usize, cols: usize| match turned {
            true => Table::numbers(numbers, rows as u32).turned(),
            false => Table::numbers(numbers, cols as u32),
        };
        let (left, right) = (table(&on_a, turned[0], rows, inner), table(&on_b, turned[1], inner, cols));
        let aside = Table::numbers(&on_beside, cols as u32);
        for (sign, by, adds) in [(0.0, 1.0, false), (1.0, -0.5, false), (-1.0, 1.0, true)] {
            let y = vector(&gpu, &before)?;
            let product = Product {
                bias: (sign > 0.0).then_some(&on_bias),
                beside: match sign {
                    1.0 => Some(Beside::Plus(aside)),
                    -1.0 => Some(Beside::Less(aside)),
                    _ => None,
                },
                slot: (by != 1.0).then_some(30),
                ..Product::of(left, right)
            };
            let mut coefficients = [7.0; 31];
            coefficients[30] = by;
            run(&gpu, 1, &coefficients, |r| r.product_into(&product, Table::numbers(&y, cols as u32), adds)).await?;
            let wanted: Vec<Found> = plain
                .iter()
                .enumerate()
                .map(|(i, plain)| {
                    let bias = if sign > 0.0 { f64::from(bias[i % cols]) } else { 0.0 };
                    let before = if adds { f64::from(before[i]) } else { 0.0 };
                    let value = f64::from(by) * (plain.value + bias + sign * f64::from(beside[i])) + before;
                    Found { value, scale: plain.scale + 2.0 }
                })
                .collect();
            agree(&read(&y).await?, &wanted, cols).map_err(|what| format!("{shape:?}, {sign}, {by}: {what}"))?;
        }
    }
    Ok(())
}

/// The rows of the step as rows, and as the inner dimension: what lies beyond the rows that a step has is not read.
async fn of_steps(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(91);
    for (rows, inner, cols) in [(1, 3, 2), (5, 65, 70), (66, 20, 9), (128, 33, 130)] {
        let (x, w) = (numbers.vector(rows * inner), numbers.vector(inner * cols));
        let table = floats(&gpu, &x, inner)?;
        let weights = vector(&gpu, &w)?;
        let squares = vector(&gpu, &vec![0.0; inner * inner])?;
        let room = vector(&gpu, &vec![7.0; MANY as usize * cols])?;
        let mut recorder = Recorder::new(&gpu, MANY);
        let on_x = recorder.embed(&table);
        let x_table = Table::act(&on_x);
        let y = recorder.product(&Product::of(x_table, Table::numbers(&weights, cols as u32)));
        recorder.product_into(&Product::of(x_table.turned(), x_table), Table::numbers(&squares, inner as u32), false);
        let weights_table = Table::numbers(&weights, cols as u32);
        recorder.product_into(&Product::of(x_table, weights_table), Table::step_numbers(&room, cols as u32), false);
        recorder.tap(&y, TapRows::All);
        drop((on_x, y));
        let plan = recorder.finish().map_err(said)?;
        let got = tapped(&plan, &one_sequence(rows), &[], &[]).await?;
        agree(&got, &product(&x, &w, [rows, inner, cols], [false, false]), cols)
            .map_err(|what| format!("{rows} rows: {what}"))?;
        let found = read(&room).await?;
        if found[..got.len()] != got || found[got.len()..].iter().any(|&x| x != 7.0) {
            return Err(format!("{rows} rows are not the same where they stay"));
        }
        agree(&read(&squares).await?, &product(&x, &x, [inner, rows, inner], [true, false]), inner)
            .map_err(|what| format!("over {rows} rows: {what}"))?;
    }
    Ok(())
}

async fn guarded(gpu: Gpu) -> Outcome {
    let (a, b) = (vector(&gpu, &[2.0, 3.0])?, vector(&gpu, &[5.0, 7.0])?);
    // Features have been silent for no activation: of those that are dead after none there are some.
    for (dead_after, wanted) in [(1, 100.0), (0, 31.0)] {
        let figures = Figures::new(&gpu, 3, MANY).map_err(said)?;
        let y = vector(&gpu, &[100.0])?;
        let (left, right) = (Table::numbers(&a, 2), Table::numbers(&b, 1));
        let product = Product { if_dead: Some(&figures), ..Product::of(left, right) };
        run(&gpu, 1, &[], |r| {
            r.count_dead(&figures, dead_after);
            r.product_into(&product, Table::numbers(&y, 1), false);
        })
        .await?;
        let found = read(&y).await?;
        if found != [wanted] {
            return Err(format!("dead after {dead_after}: {found:?} instead of {wanted}"));
        }
    }
    Ok(())
}

async fn refused(gpu: Gpu) -> Outcome {
    let (three, four) = (vector(&gpu, &[1.0; 3])?, vector(&gpu, &[1.0; 4])?);
    fn table(numbers: &Vector, width: u32) -> Table<'_> {
        Table::numbers(numbers, width)
    }
    let bad = [
        ("other inner dimensions", Product::of(table(&three, 3), table(&four, 1)), &four, 1),
        ("another width", Product::of(table(&three, 1), table(&three, 3)), &four, 2),
        ("half a row", Product::of(table(&three, 2), table(&four, 2)), &four, 2),
        ("too few biases", Product { bias: Some(&three), ..Product::of(table(&four, 1), table(&four, 4)) }, &four, 4),
        (
            "something else beside",
            Product { beside: Some(Beside::Plus(table(&three, 3))), ..Product::of(table(&four, 1), table(&four, 1)) },
            &four,
            1,
        ),
    ];
    for (what, product, into, width) in bad {
        let mut recorder = Recorder::new(&gpu, 1);
        recorder.product_into(&product, table(into, width), false);
        if recorder.finish().is_ok() {
            return Err(format!("{what} was recorded"));
        }
    }
    match four.read(2, 3).await {
        Ok(_) => Err("numbers beyond a vector's end were read".to_owned()),
        Err(_) => Ok(()),
    }
}

async fn column_sums(gpu: Gpu) -> Outcome {
    let mut numbers = Numbers::new(92);
    for (rows, width) in [(1, 1), (3, 33), (66, 7), (128, 65)] {
        let (x, w, before) = (numbers.vector(rows * width), numbers.vector(rows), numbers.vector(width));
        let (on_x, on_w) = (vector(&gpu, &x)?, vector(&gpu, &w)?);
        let table = floats(&gpu, &x, width)?;
        let unweighted = vector(&gpu, &before)?;
        let weighted = vector(&gpu, &before)?;
        let mut recorder = Recorder::new(&gpu, MANY);
        let act = recorder.embed(&table);
        let of_step = WeightedSums { of: Table::act(&act), weights: None, factor: 1.5, slot: Some(1) };
        recorder.column_sums(&of_step, &unweighted, false);
        let of = Table::numbers(&on_x, width as u32);
        recorder.column_sums(&WeightedSums { of, weights: Some(&on_w), factor: -1.0, slot: None }, &weighted, true);
        recorder.tap(&act, TapRows::All);
        drop(act);
        let plan = recorder.finish().map_err(said)?;
        tapped(&plan, &one_sequence(rows), &[], &[9.0, 2.0]).await?;
        let ones = vec![1.0; rows];
        for (found, weights, by, before) in [(unweighted, &ones, 3.0, &vec![0.0; width]), (weighted, &w, -1.0, &before)]
        {
            let wanted: Vec<Found> = product(weights, &x, [1, rows, width], [false, false])
                .into_iter()
                .zip(before)
                .map(|(sum, &before)| Found { value: by * sum.value + f64::from(before), scale: 3.0 * sum.scale })
                .collect();
            agree(&read(&found).await?, &wanted, width).map_err(|what| format!("{rows} by {width}: {what}"))?;
        }
    }
    Ok(())
}
