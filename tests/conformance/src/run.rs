//! Running a few operations on the device.

use tiller_kernels::{
    Act, Draw, Gpu, Matrix, Pick, Plan, Quant, Recorder, Row, Step, StepOutput, TapRows, Vector, Want,
};

use crate::dequantise::Weights;

/// Capacities of the two paths through the matrix kernels.
pub const FEW: u32 = 4;
pub const MANY: u32 = 128;

/// An error of the device as a case reports it.
pub fn said(error: tiller_kernels::GpuError) -> String {
    error.to_string()
}

/// `rows` tokens 0, 1, 2 ... of one sequence, no edits.
pub fn one_sequence(rows: usize) -> Vec<Row> {
    (0..rows as u32).map(|at| Row { token: at, position: at, kv_start: 0, edits: 0 }).collect()
}

/// A matrix of floats, `[values / cols, cols]`.
pub fn floats(gpu: &Gpu, values: &[f32], cols: usize) -> Result<Matrix, String> {
    let matrix = Matrix::new(gpu, Quant::F32, (values.len() / cols) as u32, cols as u32).map_err(said)?;
    matrix.write_rows(0, bytemuck::cast_slice(values)).map_err(said)?;
    Ok(matrix)
}

/// A matrix written in two blocks of rows, as loading streams it.
pub fn matrix(gpu: &Gpu, quant: Quant, weights: &Weights, cols: usize) -> Result<Matrix, String> {
    let rows = weights.values.len() / cols;
    let matrix = Matrix::new(gpu, quant, rows as u32, cols as u32).map_err(said)?;
    let (head, tail) = weights.bytes.split_at(rows / 2 * (weights.bytes.len() / rows));
    matrix.write_rows((rows / 2) as u32, tail).map_err(said)?;
    matrix.write_rows(0, head).map_err(said)?;
    Ok(matrix)
}

pub fn vector(gpu: &Gpu, values: &[f32]) -> Result<Vector, String> {
    Vector::new(gpu, values).map_err(said)
}

/// Records `operations` on the activations `x` (`[rows, width]`, which row r of a step selects by token r) and returns
/// the plan; what the operations return is tapped.
pub fn recorded(
    gpu: &Gpu,
    capacity: u32,
    x: &[f32],
    width: usize,
    operations: impl FnOnce(&mut Recorder, Act) -> Act,
) -> Result<Plan, String> {
    let table = floats(gpu, x, width)?;
    let mut recorder = Recorder::new(gpu, capacity);
    let x = recorder.embed(&table);
    let y = operations(&mut recorder, x);
    recorder.tap(&y, TapRows::All);
    drop(y);
    recorder.finish().map_err(said)
}

/// Replays a plan and returns its first tap.
pub async fn tapped(plan: &Plan, rows: &[Row], picks: &[Pick], coefficients: &[f32]) -> Result<Vec<f32>, String> {
    let step = Step { rows, picks, sampling: Draw::GREEDY, coefficients };
    let mut output = replay(plan, &step, Want { taps: true, ..Want::default() }).await?;
    Ok(output.taps.swap_remove(0))
}

pub async fn replay(plan: &Plan, step: &Step<'_>, want: Want) -> Result<StepOutput, String> {
    let ticket = plan.submit(step, want).map_err(said)?;
    plan.read(ticket).await.map_err(said)
}
