//! One pass on the CPU: every operation computes at once.

use super::attention::{HeadGains, rotate, softmax};
use super::edits::{Latches, change, holds, value};
use super::features;
use super::matrix::multiply;
use super::norm;
use super::team::Team;
use super::{Cpu, CpuKv, CpuMatrix, Geometry, Way};
use crate::EngineError;
use crate::backend::{HeadNorms, Norm, Pass};
use crate::edit::{Change, Columns, Condition, PlannedEdit};
use crate::features::{Encoders, FeatureReading};
use candle_core::{Device, Tensor};
use std::ops::Range;
use std::rc::Rc;
use tiller_kernels::{Drawn, LANE_BIT, LANES, Row, Step, TapRows};
use tiller_model::Activation;
use tiller_sites::Site;

/// What the CPU backend carries from step to step.
pub(crate) struct StepState {
    pub kv: CpuKv,
    pub geometry: Geometry,
    /// The token each lane drew last.
    pub lane_tokens: [u32; LANES as usize],
    pub latches: Latches,
    /// The token at each place of the KV cache, while tokens are remembered.
    pub text: Vec<u32>,
    /// By SAE.
    pub encoders: Encoders<CpuMatrix>,
    /// Other threads that take a part in large products.
    pub team: Option<Rc<Team>>,
}

pub(crate) struct CpuPass<'a> {
    pub step: &'a Step<'a>,
    pub state: &'a mut StepState,
    pub edits: &'a [PlannedEdit],
    pub way: Way,
    /// By edit: for which of the step's rows its condition holds.
    pub gates: Vec<Option<Vec<bool>>>,
    pub taps: Vec<Vec<f32>>,
    pub drawn: Vec<Drawn>,
}

impl<'a> CpuPass<'a> {
    pub fn new(step: &'a Step<'a>, state: &'a mut StepState, edits: &'a [PlannedEdit], way: Way) -> CpuPass<'a> {
        CpuPass { step, state, edits, way, gates: vec![None; edits.len()], taps: Vec::new(), drawn: Vec::new() }
    }
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
    /// The indices of the step's rows that the rows of `act` belong to.
    fn rows_of(&self, act: &CpuAct) -> Vec<usize> {
        match act.picked {
            true => self.step.picks.iter().map(|pick| pick.row as usize).collect(),
            false => (0..self.step.rows.len()).collect(),
        }
    }

    fn token(&self, row: &Row) -> u32 {
        match row.token & LANE_BIT {
            0 => row.token,
            _ => self.state.lane_tokens[(row.token & !LANE_BIT) as usize],
        }
    }
}

fn values(x: &Tensor) -> Result<Vec<f32>, EngineError> {
    Ok(x.flatten_all()?.to_vec1()?)
}

fn activated(x: &Tensor, activation: Activation) -> Result<Tensor, EngineError> {
    Ok(match activation {
        Activation::Silu => x.silu()?,
        Activation::GeluTanh => x.gelu()?,
        Activation::GeluErf => x.gelu_erf()?,
        Activation::Relu => x.relu()?,
    })
}

impl Pass for CpuPass<'_> {
    type Device = Cpu;
    type Act = CpuAct;

    fn embed(&mut self, table: &CpuMatrix, scale: f32) -> Result<CpuAct, EngineError> {
        let ids: Vec<u32> = self.step.rows.iter().map(|row| self.token(row)).collect();
        let x = table.gather(&ids)?;
        Ok(CpuAct { x: if scale == 1.0 { x } else { (x * f64::from(scale))? }, picked: false })
    }

    fn add_positions(&mut self, x: CpuAct, table: &CpuMatrix) -> Result<CpuAct, EngineError> {
        let positions: Vec<u32> = self.step.rows.iter().map(|row| row.position).collect();
        Ok(x.over((&x.x + table.gather(&positions)?)?))
    }

    fn norm(&mut self, x: &CpuAct, norm: &Norm<Tensor>) -> Result<CpuAct, EngineError> {
        let scale = self.norm_scale(x, norm)?;
        let normalized = self.divide_by_scale(x, &scale, norm)?;
        self.gain(normalized, norm)
    }

    fn norm_scale(&mut self, x: &CpuAct, norm: &Norm<Tensor>) -> Result<CpuAct, EngineError> {
        let (rows, width) = x.x.dims2()?;
        let scales = norm::scales(&values(&x.x)?, width, norm.kind, norm.epsilon);
        Ok(x.over(Tensor::from_vec(scales, (rows, 1), &Device::Cpu)?))
    }

    fn divide_by_scale(&mut self, x: &CpuAct, scale: &CpuAct, norm: &Norm<Tensor>) -> Result<CpuAct, EngineError> {
        let (rows, width) = x.x.dims2()?;
        let mut divided = values(&x.x)?;
        norm::divide(&mut divided, width, norm.kind, &values(&scale.x)?);
        Ok(x.over(Tensor::from_vec(divided, (rows, width), &Device::Cpu)?))
    }

    fn gain(&mut self, x: CpuAct, norm: &Norm<Tensor>) -> Result<CpuAct, EngineError> {
        let mut gained = values(&x.x)?;
        let bias = norm.bias.as_ref().map(values).transpose()?;
        norm::gain(&mut gained, &values(&norm.gain)?, bias.as_deref());
        Ok(x.over(Tensor::from_vec(gained, x.x.shape().clone(), &Device::Cpu)?))
    }

    fn add_normed(&mut self, a: &CpuAct, norm: &Norm<Tensor>, into: CpuAct) -> Result<CpuAct, EngineError> {
        let normed = self.norm(a, norm)?;
        self.add(&normed, into)
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
        let n = normed.x.dim(0)?;
        let products = multiply(&values(&normed.x)?, w, self.way, self.state.team.as_deref());
        let width = w.iter().map(CpuMatrix::rows).sum::<usize>();
        let y = Tensor::from_vec(products, (n, width), &Device::Cpu)?;
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

    fn add(&mut self, a: &CpuAct, into: CpuAct) -> Result<CpuAct, EngineError> {
        Ok(into.over((&into.x + &a.x)?))
    }

    fn rotate_and_append(
        &mut self,
        qkv: CpuAct,
        norms: Option<&HeadNorms<Tensor>>,
        layer: usize,
    ) -> Result<CpuAct, EngineError> {
        let qkv = self.rotate(qkv, norms, layer)?;
        self.append(qkv, layer)
    }

    fn rotate(&mut self, qkv: CpuAct, norms: Option<&HeadNorms<Tensor>>, layer: usize) -> Result<CpuAct, EngineError> {
        let shape = qkv.x.shape().clone();
        let mut rotated = values(&qkv.x)?;
        let gains = match norms {
            Some(norms) => Some((values(&norms.q)?, values(&norms.k)?, norms.epsilon)),
            None => None,
        };
        let gains = gains.as_ref().map(|(q, k, epsilon)| HeadGains { q, k, epsilon: *epsilon });
        rotate(&mut rotated, self.step.rows, gains.as_ref(), layer, &self.state.geometry);
        Ok(qkv.over(Tensor::from_vec(rotated, shape, &Device::Cpu)?))
    }

    fn append(&mut self, qkv: CpuAct, layer: usize) -> Result<CpuAct, EngineError> {
        let StepState { kv, geometry, .. } = &mut *self.state;
        kv.append(&values(&qkv.x)?, self.step.rows, layer, geometry);
        Ok(qkv)
    }

    fn attention(&mut self, qkv: &CpuAct, layer: usize) -> Result<CpuAct, EngineError> {
        let StepState { kv, geometry, .. } = &*self.state;
        let z = kv.attention(&values(&qkv.x)?, self.step.rows, layer, geometry);
        let shape = (self.step.rows.len(), geometry.heads * geometry.head_dim);
        Ok(qkv.over(Tensor::from_vec(z, shape, &Device::Cpu)?))
    }

    fn attention_scores(&mut self, qkv: &CpuAct, layer: usize, keys: u32) -> Result<CpuAct, EngineError> {
        let StepState { kv, geometry, .. } = &*self.state;
        let scores = kv.scores(&values(&qkv.x)?, self.step.rows, layer, keys as usize, geometry);
        let shape = (self.step.rows.len(), geometry.heads * keys as usize);
        Ok(qkv.over(Tensor::from_vec(scores, shape, &Device::Cpu)?))
    }

    fn attention_softmax(&mut self, scores: CpuAct, layer: usize, keys: u32) -> Result<CpuAct, EngineError> {
        let geometry = &self.state.geometry;
        let mut pattern = values(&scores.x)?;
        for (i, head) in pattern.chunks_exact_mut(keys as usize).enumerate() {
            let seen = geometry.visible(layer, self.step.rows[i / geometry.heads].position);
            softmax(&mut head[seen.clone()]);
            head[..seen.start].fill(0.0);
            head[seen.end..].fill(0.0);
        }
        Ok(scores.over(Tensor::from_vec(pattern, scores.x.shape().clone(), &Device::Cpu)?))
    }

    fn attention_mix(&mut self, pattern: &CpuAct, layer: usize, keys: u32) -> Result<CpuAct, EngineError> {
        let StepState { kv, geometry, .. } = &*self.state;
        let z = kv.mix_all(&values(&pattern.x)?, self.step.rows, layer, keys as usize, geometry);
        let shape = (self.step.rows.len(), geometry.heads * geometry.head_dim);
        Ok(pattern.over(Tensor::from_vec(z, shape, &Device::Cpu)?))
    }

    fn head_results(&mut self, z: &CpuAct, out: &CpuMatrix) -> Result<CpuAct, EngineError> {
        let Geometry { heads, head_dim, .. } = self.state.geometry;
        let alone = |head: usize| {
            let columns = 0..heads * head_dim;
            let mask: Vec<f32> = columns.map(|c| f32::from(u8::from(c / head_dim == head))).collect();
            let z = CpuAct { x: z.x.broadcast_mul(&Tensor::new(mask, &Device::Cpu)?)?, picked: z.picked };
            Ok(self.linear(&z, None, std::slice::from_ref(out), None)?.x)
        };
        let results = (0..heads).map(alone).collect::<Result<Vec<_>, EngineError>>()?;
        Ok(z.over(Tensor::cat(&results, 1)?))
    }

    fn sum_heads(&mut self, results: &CpuAct, bias: Option<&Tensor>) -> Result<CpuAct, EngineError> {
        let (rows, width) = results.x.dims2()?;
        let heads = self.state.geometry.heads;
        let sum = results.x.reshape((rows, heads, width / heads))?.sum(1)?;
        Ok(results.over(match bias {
            Some(bias) => sum.broadcast_add(bias)?,
            None => sum,
        }))
    }

    fn gated(&mut self, gate_up: &CpuAct, activation: Activation) -> Result<CpuAct, EngineError> {
        let [gate, up] = <[Tensor; 2]>::try_from(gate_up.x.chunk(2, 1)?).expect("a gate and an up-projection");
        Ok(gate_up.over((activated(&gate, activation)? * up)?))
    }

    fn activate(&mut self, x: &CpuAct, activation: Activation) -> Result<CpuAct, EngineError> {
        Ok(x.over(activated(&x.x, activation)?))
    }

    fn soft_cap(&mut self, x: CpuAct, cap: f32) -> Result<CpuAct, EngineError> {
        let cap = f64::from(cap);
        Ok(x.over(((&x.x / cap)?.tanh()? * cap)?))
    }

    fn pick_rows(&mut self, x: &CpuAct) -> Result<CpuAct, EngineError> {
        let rows: Vec<u32> = self.step.picks.iter().map(|pick| pick.row).collect();
        Ok(CpuAct { x: x.x.index_select(&Tensor::new(rows, &Device::Cpu)?, 0)?, picked: true })
    }

    fn open_gate_on_tokens(&mut self, slot: usize) -> Result<(), EngineError> {
        let Some(Condition::Token(tokens)) = self.edits[slot].gate.as_ref().map(|gate| &gate.condition) else {
            unreachable!("the edit's condition reads a token");
        };
        self.gates[slot] = Some(self.step.rows.iter().map(|row| tokens.contains(&self.token(row))).collect());
        Ok(())
    }

    fn open_gate(&mut self, x: &CpuAct, slot: usize) -> Result<(), EngineError> {
        let gate = self.edits[slot].gate.as_ref().expect("the edit has a condition");
        let columns = gate.columns.start as usize..gate.columns.end as usize;
        let mut holding = vec![false; self.step.rows.len()];
        let width = x.x.dim(1)?;
        let h = values(&x.x)?;
        // A feature is read of all rows at once, whether they look or not.
        let found: Option<Vec<f32>> = match &gate.feature {
            None => None,
            Some(test) => {
                let seen: Vec<f32> = h.chunks_exact(width).flat_map(|h| &h[columns.clone()]).copied().collect();
                let all = features::encode(&test.encoder, &seen, self.state, self.way)?;
                let of = |found: &tiller_sae::Features| found.iter().find(|(i, _)| *i == test.feature).map(|f| f.1);
                Some(all.iter().map(|found| of(found).unwrap_or(0.0)).collect())
            }
        };
        for (j, (h, r)) in h.chunks_exact(width).zip(self.rows_of(x)).enumerate() {
            let looks = self.step.rows[r].edits >> gate.slot & 1 == 1;
            let compared = || match &found {
                Some(found) => found[j],
                None => value(&gate.condition, &h[columns.clone()]),
            };
            holding[r] = looks && holds(&gate.condition, compared());
        }
        if let Condition::Activation { latched: true, .. } = gate.condition {
            holding = self.state.latches.latch(gate.slot as usize, self.step.rows, &holding);
        }
        self.gates[slot] = Some(holding);
        Ok(())
    }

    fn edit(&mut self, x: CpuAct, slot: usize) -> Result<CpuAct, EngineError> {
        let (edit, coefficient) = (&self.edits[slot], self.step.coefficients[slot]);
        let width = x.x.dim(1)?;
        let mut edited = values(&x.x)?;
        let acts = |r: &usize| {
            let open = self.gates[slot].as_ref().is_none_or(|gate| gate[*r]);
            self.step.rows[*r].edits >> slot & 1 == 1 && open
        };
        let rows = edited.chunks_exact_mut(width).zip(self.rows_of(&x)).filter(|(_, r)| acts(r));
        if let (Change::Features(what), Columns::Range(columns)) = (&edit.change, &edit.columns) {
            let columns = columns.start as usize..columns.end as usize;
            let mut rows: Vec<&mut [f32]> = rows.map(|(x, _)| &mut x[columns.clone()]).collect();
            let seen: Vec<f32> = rows.iter().flat_map(|x| x.iter()).copied().collect();
            let found = features::encode(&what.encoder, &seen, self.state, self.way)?;
            rows.iter_mut().zip(&found).for_each(|(x, found)| features::change(x, what, found, coefficient));
        } else {
            rows.for_each(|(x, r)| change(x, edit, coefficient, self.step.rows[r].position));
        }
        Ok(x.over(Tensor::from_vec(edited, x.x.shape().clone(), &Device::Cpu)?))
    }

    fn tap(&mut self, x: &CpuAct, _: Site, columns: Range<u32>, rows: TapRows) -> Result<(), EngineError> {
        let tapped = match rows {
            TapRows::Picks if !x.picked => self.pick_rows(x)?,
            _ => x.over(x.x.clone()),
        };
        let columns = tapped.x.narrow(1, columns.start as usize, columns.len())?;
        self.taps.push(values(&columns)?);
        Ok(())
    }

    fn strongest_features(
        &mut self,
        x: &CpuAct,
        columns: Range<u32>,
        reading: &FeatureReading,
    ) -> Result<(), EngineError> {
        let seen = values(&x.x.narrow(1, columns.start as usize, columns.len())?)?;
        let found = features::encode(&reading.sae, &seen, self.state, self.way)?;
        self.taps.push(found.into_iter().flat_map(|found| features::strongest(found, reading.most)).collect());
        Ok(())
    }

    fn remember_tokens(&mut self) -> Result<(), EngineError> {
        for row in self.step.rows {
            let (at, token) = ((row.kv_start + row.position) as usize, self.token(row));
            if self.state.text.len() <= at {
                self.state.text.resize(at + 1, 0);
            }
            self.state.text[at] = token;
        }
        Ok(())
    }

    fn tap_logits(&mut self, logits: &CpuAct, tokens: &[u32]) -> Result<(), EngineError> {
        let width = logits.x.dim(1)?;
        let mut found = Vec::new();
        for logits in values(&logits.x)?.chunks_exact(width) {
            found.extend(tokens.iter().map(|&token| logits[token as usize]));
            let highest = logits.iter().copied().fold(f32::MIN, f32::max);
            let total: f64 = logits.iter().map(|&logit| f64::from(logit - highest).exp()).sum();
            found.push((f64::from(highest) + total.ln()) as f32);
        }
        self.taps.push(found);
        Ok(())
    }

    fn penalise(&mut self, logits: CpuAct, penalty: f32) -> Result<CpuAct, EngineError> {
        let vocabulary = logits.x.dim(1)?;
        let plain = values(&logits.x)?;
        let mut penalised = plain.clone();
        for (j, r) in self.rows_of(&logits).into_iter().enumerate() {
            let row = &self.step.rows[r];
            for &token in &self.state.text[row.kv_start as usize..][..=row.position as usize] {
                let at = j * vocabulary + token as usize;
                penalised[at] = if plain[at] > 0.0 { plain[at] / penalty } else { plain[at] * penalty };
            }
        }
        Ok(logits.over(Tensor::from_vec(penalised, logits.x.shape().clone(), &Device::Cpu)?))
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
