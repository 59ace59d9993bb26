//! One pass on the CPU: every operation computes at once.

use super::{Cpu, CpuKv, CpuMatrix, Geometry};
use crate::EngineError;
use crate::backend::{Norm, Pass};
use candle_core::{D, Device, Tensor};
use std::sync::Arc;
use tiller_kernels::{Drawn, LANE_BIT, LANES, Row, Step, TapRows};
use tiller_sites::Site;

/// What the CPU backend carries from step to step.
pub(crate) struct StepState {
    pub kv: CpuKv,
    pub geometry: Geometry,
    /// The token each lane drew last.
    pub lane_tokens: [u32; LANES as usize],
}

pub(crate) struct CpuPass<'a> {
    pub step: &'a Step<'a>,
    pub state: &'a mut StepState,
    pub edits: &'a [(Site, Arc<[f32]>)],
    pub taps: Vec<Vec<f32>>,
    pub drawn: Vec<Drawn>,
}

/// An activation, and whether its rows are the step's or the picked ones.
pub(crate) struct CpuAct {
    x: Tensor,
    picked: bool,
}

impl CpuAct {
    fn over(&self, x: Tensor) -> CpuAct {
        CpuAct { x, picked: self.picked }
    }
}

impl CpuPass<'_> {
    /// The step's rows that the rows of `act` belong to.
    fn rows_of(&self, act: &CpuAct) -> Vec<Row> {
        match act.picked {
            true => self.step.picks.iter().map(|pick| self.step.rows[pick.row as usize]).collect(),
            false => self.step.rows.to_vec(),
        }
    }
}

fn values(x: &Tensor) -> Result<Vec<f32>, EngineError> {
    Ok(x.flatten_all()?.to_vec1()?)
}

impl Pass for CpuPass<'_> {
    type Device = Cpu;
    type Act = CpuAct;

    fn embed(&mut self, table: &CpuMatrix) -> Result<CpuAct, EngineError> {
        let token = |row: &Row| match row.token & LANE_BIT {
            0 => row.token,
            _ => self.state.lane_tokens[(row.token & !LANE_BIT) as usize],
        };
        let ids: Vec<u32> = self.step.rows.iter().map(token).collect();
        Ok(CpuAct { x: table.gather(&ids)?, picked: false })
    }

    fn norm(&mut self, x: &CpuAct, norm: &Norm<Tensor>) -> Result<CpuAct, EngineError> {
        let mean_square = x.x.sqr()?.mean_keepdim(D::Minus1)?;
        let root = (mean_square + f64::from(norm.epsilon))?.sqrt()?;
        Ok(x.over(x.x.broadcast_div(&root)?.broadcast_mul(&norm.gain)?))
    }

    fn linear(
        &mut self,
        x: &CpuAct,
        norm: Option<&Norm<Tensor>>,
        w: &[CpuMatrix],
        bias: Option<&Tensor>,
    ) -> Result<CpuAct, EngineError> {
        let normed = match norm {
            Some(norm) => &self.norm(x, norm)?,
            None => x,
        };
        let parts = w.iter().map(|w| w.multiply(&normed.x)).collect::<Result<Vec<_>, _>>()?;
        let y = Tensor::cat(&parts, 1)?;
        Ok(x.over(match bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        }))
    }

    fn linear_add(
        &mut self,
        x: &CpuAct,
        w: &CpuMatrix,
        bias: Option<&Tensor>,
        into: CpuAct,
    ) -> Result<CpuAct, EngineError> {
        let y = self.linear(x, None, std::slice::from_ref(w), bias)?;
        self.add(&y, into)
    }

    fn scale_columns(&mut self, x: CpuAct, factors: &Tensor) -> Result<CpuAct, EngineError> {
        Ok(x.over(x.x.broadcast_mul(factors)?))
    }

    fn add(&mut self, a: &CpuAct, into: CpuAct) -> Result<CpuAct, EngineError> {
        Ok(into.over((&into.x + &a.x)?))
    }

    fn rotate_and_append(&mut self, qkv: CpuAct, layer: usize) -> Result<CpuAct, EngineError> {
        let shape = qkv.x.shape().clone();
        let mut qkv_values = values(&qkv.x)?;
        let StepState { kv, geometry, .. } = &mut *self.state;
        kv.rotate_and_append(&mut qkv_values, self.step.rows, layer, geometry);
        Ok(qkv.over(Tensor::from_vec(qkv_values, shape, &Device::Cpu)?))
    }

    fn attention(&mut self, qkv: &CpuAct, layer: usize) -> Result<CpuAct, EngineError> {
        let StepState { kv, geometry, .. } = &*self.state;
        let z = kv.attention(&values(&qkv.x)?, self.step.rows, layer, geometry);
        let shape = (self.step.rows.len(), geometry.heads * geometry.head_dim);
        Ok(qkv.over(Tensor::from_vec(z, shape, &Device::Cpu)?))
    }

    fn swiglu(&mut self, gate_up: &CpuAct) -> Result<CpuAct, EngineError> {
        let [gate, up] = <[Tensor; 2]>::try_from(gate_up.x.chunk(2, 1)?).expect("a gate and an up-projection");
        Ok(gate_up.over((gate.silu()? * up)?))
    }

    fn pick_rows(&mut self, x: &CpuAct) -> Result<CpuAct, EngineError> {
        let rows: Vec<u32> = self.step.picks.iter().map(|pick| pick.row).collect();
        Ok(CpuAct { x: x.x.index_select(&Tensor::new(rows, &Device::Cpu)?, 0)?, picked: true })
    }

    fn add_vector(&mut self, x: CpuAct, slot: usize) -> Result<CpuAct, EngineError> {
        let coefficient = self.step.coefficients[slot];
        let scales: Vec<f32> =
            self.rows_of(&x).iter().map(|row| if row.edits >> slot & 1 == 1 { coefficient } else { 0.0 }).collect();
        let scales = Tensor::from_vec(scales, (x.x.dim(0)?, 1), &Device::Cpu)?;
        let vector = Tensor::new(&*self.edits[slot].1, &Device::Cpu)?.unsqueeze(0)?;
        Ok(x.over((&x.x + scales.broadcast_mul(&vector)?)?))
    }

    fn tap(&mut self, x: &CpuAct, rows: TapRows) -> Result<(), EngineError> {
        let tapped = match rows {
            TapRows::Picks if !x.picked => self.pick_rows(x)?,
            _ => x.over(x.x.clone()),
        };
        self.taps.push(values(&tapped.x)?);
        Ok(())
    }

    fn draw(&mut self, logits: &CpuAct, alternatives: bool) -> Result<(), EngineError> {
        let vocabulary = logits.x.dim(1)?;
        let all = values(&logits.x)?;
        for (j, pick) in self.step.picks.iter().enumerate() {
            let row = if logits.picked { j } else { pick.row as usize };
            let logits = &all[row * vocabulary..][..vocabulary];
            let mut drawn = tiller_kernels::draw(logits, &self.step.sampling, pick.draw);
            if !alternatives {
                drawn.alternatives.clear();
            }
            self.state.lane_tokens[pick.lane as usize] = drawn.token;
            self.drawn.push(drawn);
        }
        Ok(())
    }
}
