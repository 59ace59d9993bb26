//! The GPU backend: running the forward pass records a plan, and a step replays it.

mod features;
mod prepared;
mod state;

use crate::EngineError;
use crate::backend::{Device, HeadNorms, Norm, Pass};
use crate::edit::PlannedEdit;
use crate::features::FeatureReading;
use prepared::{PreparedChange, PreparedCondition, PreparedEdit};
use std::ops::Range;
use tiller_formats::Quant;
use tiller_kernels::{
    Act, Columns, Gate, Gpu, Matrix, Plan, Recorder, Rotation, Store, TapRows, UnitList, Vector, When,
};
use tiller_model::{Activation, NormKind};
use tiller_sites::Site;

pub(crate) use state::GpuState;

impl Device for Gpu {
    type Matrix = Matrix;
    type Vector = Vector;

    fn matrix(&self, quant: Quant, rows: u32, cols: u32) -> Result<Matrix, EngineError> {
        Ok(Matrix::new(self, quant, rows, cols)?)
    }

    fn write_rows(&self, matrix: &mut Matrix, first_row: u32, bytes: &[u8]) -> Result<(), EngineError> {
        Ok(matrix.write_rows(first_row, bytes)?)
    }

    fn vector(&self, values: &[f32]) -> Result<Vector, EngineError> {
        Ok(Vector::new(self, values)?)
    }
}

/// A pass that is being recorded.
pub(crate) struct GpuPass<'a> {
    recorder: Recorder,
    state: &'a GpuState,
    /// By slot.
    edits: Vec<PreparedEdit>,
    gates: Vec<Option<Gate>>,
    /// Where taps go, in the order of the taps; without any, to the host.
    stores: Option<Vec<(Site, Store)>>,
}

impl<'a> GpuPass<'a> {
    pub fn new(
        gpu: &Gpu,
        capacity: u32,
        state: &'a GpuState,
        vocab: u32,
        edits: &[PlannedEdit],
    ) -> Result<GpuPass<'a>, EngineError> {
        let prepared = edits.iter().map(|edit| PreparedEdit::new(gpu, state, vocab, edit)).collect::<Result<_, _>>()?;
        Ok(GpuPass {
            recorder: Recorder::new(gpu, capacity),
            state,
            edits: prepared,
            gates: vec![None; edits.len()],
            stores: None,
        })
    }

    /// Taps fill these stores instead of being read back.
    pub fn capture_into(&mut self, stores: Vec<(Site, Store)>) {
        self.stores = Some(stores);
    }

    pub fn finish(self) -> Result<Plan, EngineError> {
        Ok(self.recorder.finish()?)
    }
}

fn kind(kind: NormKind) -> tiller_kernels::NormKind {
    match kind {
        NormKind::Rms => tiller_kernels::NormKind::Rms,
        NormKind::Layer => tiller_kernels::NormKind::Layer,
    }
}

fn of(norm: &Norm<Vector>) -> tiller_kernels::Norm<'_> {
    let Norm { gain, bias, epsilon, .. } = norm;
    tiller_kernels::Norm { kind: kind(norm.kind), gain, bias: bias.as_ref(), epsilon: *epsilon }
}

fn function(activation: Activation) -> tiller_kernels::Activation {
    match activation {
        Activation::Silu => tiller_kernels::Activation::Silu,
        Activation::GeluTanh => tiller_kernels::Activation::GeluTanh,
        Activation::GeluErf => tiller_kernels::Activation::GeluErf,
        Activation::Relu => tiller_kernels::Activation::Relu,
    }
}

impl<'a> GpuPass<'a> {
    fn rotation<'b>(&self, norms: Option<&'b HeadNorms<Vector>>, layer: usize) -> Rotation<'b>
    where
        'a: 'b,
    {
        let state = self.state;
        Rotation {
            rope: state.rope(layer),
            q_norm: norms.map(|norms| &norms.q),
            k_norm: norms.map(|norms| &norms.k),
            epsilon: norms.map_or(0.0, |norms| norms.epsilon),
            keeps_keys: false,
        }
    }
}

impl Pass for GpuPass<'_> {
    type Device = Gpu;
    type Act = Act;

    fn embed(&mut self, table: &Matrix, scale: f32) -> Result<Act, EngineError> {
        Ok(self.recorder.embed_scaled(table, scale))
    }

    fn add_positions(&mut self, x: Act, table: &Matrix) -> Result<Act, EngineError> {
        Ok(self.recorder.add_positions(x, table))
    }

    fn norm(&mut self, x: &Act, norm: &Norm<Vector>) -> Result<Act, EngineError> {
        Ok(self.recorder.norm(x, of(norm)))
    }

    fn norm_scale(&mut self, x: &Act, norm: &Norm<Vector>) -> Result<Act, EngineError> {
        Ok(self.recorder.norm_scale(x, kind(norm.kind), norm.epsilon))
    }

    fn divide_by_scale(&mut self, x: &Act, scale: &Act, norm: &Norm<Vector>) -> Result<Act, EngineError> {
        Ok(self.recorder.divide_by_scale(x, scale, kind(norm.kind)))
    }

    fn gain(&mut self, x: Act, norm: &Norm<Vector>) -> Result<Act, EngineError> {
        Ok(self.recorder.affine_columns(x, &norm.gain, norm.bias.as_ref()))
    }

    fn add_normed(&mut self, a: &Act, norm: &Norm<Vector>, into: Act) -> Result<Act, EngineError> {
        Ok(self.recorder.add_normed(a, of(norm), into))
    }

    fn linear(
        &mut self,
        x: &Act,
        norm: Option<&Norm<Vector>>,
        w: &[Matrix],
        bias: Option<&Vector>,
    ) -> Result<Act, EngineError> {
        Ok(self.recorder.linear(x, w, bias, norm.map(of)))
    }

    fn linear_add(&mut self, x: &Act, w: &Matrix, bias: Option<&Vector>, into: Act) -> Result<Act, EngineError> {
        Ok(self.recorder.linear_add(x, w, bias, into))
    }

    fn add(&mut self, a: &Act, into: Act) -> Result<Act, EngineError> {
        Ok(self.recorder.add(a, into))
    }

    fn rotate_and_append(
        &mut self,
        qkv: Act,
        norms: Option<&HeadNorms<Vector>>,
        layer: usize,
    ) -> Result<Act, EngineError> {
        let rotation = self.rotation(norms, layer);
        Ok(self.recorder.rope_append(qkv, rotation, &self.state.kv, layer as u32, &self.state.heads(layer)))
    }

    fn rotate(&mut self, qkv: Act, norms: Option<&HeadNorms<Vector>>, layer: usize) -> Result<Act, EngineError> {
        let rotation = Rotation { keeps_keys: true, ..self.rotation(norms, layer) };
        Ok(self.recorder.rope_append(qkv, rotation, &self.state.kv, layer as u32, &self.state.heads(layer)))
    }

    fn append(&mut self, qkv: Act, layer: usize) -> Result<Act, EngineError> {
        let rotation = Rotation::default();
        Ok(self.recorder.rope_append(qkv, rotation, &self.state.kv, layer as u32, &self.state.heads(layer)))
    }

    fn attention(&mut self, qkv: &Act, layer: usize) -> Result<Act, EngineError> {
        Ok(self.recorder.attention(qkv, &self.state.kv, layer as u32, &self.state.heads(layer)))
    }

    fn attention_scores(&mut self, qkv: &Act, layer: usize, keys: u32) -> Result<Act, EngineError> {
        Ok(self.recorder.attention_scores(qkv, &self.state.kv, layer as u32, &self.state.heads(layer), keys))
    }

    fn attention_softmax(&mut self, scores: Act, layer: usize, keys: u32) -> Result<Act, EngineError> {
        Ok(self.recorder.attention_softmax(scores, &self.state.heads(layer), keys))
    }

    fn attention_mix(&mut self, pattern: &Act, layer: usize, keys: u32) -> Result<Act, EngineError> {
        Ok(self.recorder.attention_mix(pattern, &self.state.kv, layer as u32, &self.state.heads(layer), keys))
    }

    fn head_results(&mut self, z: &Act, out: &Matrix) -> Result<Act, EngineError> {
        // How heads divide the columns is the same in every layer.
        Ok(self.recorder.head_results(z, out, &self.state.heads(0)))
    }

    fn sum_heads(&mut self, results: &Act, bias: Option<&Vector>) -> Result<Act, EngineError> {
        Ok(self.recorder.sum_heads(results, self.state.heads(0).heads, bias))
    }

    fn gated(&mut self, gate_up: &Act, activation: Activation) -> Result<Act, EngineError> {
        Ok(self.recorder.gated(gate_up, function(activation)))
    }

    fn activate(&mut self, x: &Act, activation: Activation) -> Result<Act, EngineError> {
        Ok(self.recorder.activate(x, function(activation)))
    }

    fn soft_cap(&mut self, x: Act, cap: f32) -> Result<Act, EngineError> {
        Ok(self.recorder.soft_cap(x, cap))
    }

    fn pick_rows(&mut self, x: &Act) -> Result<Act, EngineError> {
        Ok(self.recorder.pick_rows(x))
    }

    fn open_gate_on_tokens(&mut self, slot: usize) -> Result<(), EngineError> {
        if let Some((gate_slot, PreparedCondition::Tokens(tokens))) = &self.edits[slot].condition {
            self.gates[slot] = Some(self.recorder.gate_on_tokens(tokens, *gate_slot));
        }
        Ok(())
    }

    fn open_gate(&mut self, x: &Act, slot: usize) -> Result<(), EngineError> {
        match &self.edits[slot].condition {
            Some((gate_slot, PreparedCondition::Activation(condition, columns))) => {
                self.gates[slot] = Some(self.recorder.gate(x, columns.clone(), condition, *gate_slot));
            }
            Some((gate_slot, PreparedCondition::Feature { condition, columns, encoder, feature })) => {
                let found = self.recorder.encode(x, columns.clone(), encoder);
                self.gates[slot] = Some(self.recorder.gate(&found, *feature..feature + 1, condition, *gate_slot));
            }
            Some((_, PreparedCondition::Tokens(_))) | None => {}
        }
        Ok(())
    }

    fn edit(&mut self, x: Act, slot: usize) -> Result<Act, EngineError> {
        let PreparedEdit { columns, units, change, .. } = &self.edits[slot];
        let when = When { slot: slot as u32, gate: self.gates[slot].as_ref() };
        let part = match units {
            Some(units) => Columns::Listed(units),
            None => Columns::Range(columns.clone()),
        };
        let recorder = &mut self.recorder;
        Ok(match change {
            PreparedChange::Add(vector) => recorder.edit_add(x, part, vector, when),
            PreparedChange::Set(values) => recorder.edit_set(x, part, values, when),
            PreparedChange::Scale => recorder.edit_scale(x, part, when),
            PreparedChange::Directions { read, write, coordinate, keep_norm } => {
                let coordinate = coordinate.borrowed();
                recorder.edit_directions(x, columns.clone(), read, write, coordinate, *keep_norm, when)
            }
            PreparedChange::Patch(patch) => recorder.edit_patch(x, columns.clone(), patch, when),
            PreparedChange::PatchFrom(patch) => recorder.edit_patch_stored(x, columns.clone(), patch, when),
            PreparedChange::Displace(patch, directions) => {
                recorder.edit_displace(x, columns.clone(), patch, directions, when)
            }
            PreparedChange::Features { encoder, changes } => {
                let found = recorder.encode(&x, columns.clone(), encoder);
                recorder.edit_features(x, columns.clone(), &found, changes, encoder, when)
            }
        })
    }

    fn tap(&mut self, x: &Act, site: Site, columns: Range<u32>, rows: TapRows) -> Result<(), EngineError> {
        match &self.stores {
            None => drop(self.recorder.tap_columns(x, columns, rows)),
            Some(stores) => {
                for (_, store) in stores.iter().filter(|(of, _)| *of == site) {
                    self.recorder.tap_to(x, columns.clone(), rows, store);
                }
            }
        }
        Ok(())
    }

    fn strongest_features(
        &mut self,
        x: &Act,
        columns: Range<u32>,
        reading: &FeatureReading,
    ) -> Result<(), EngineError> {
        let encoder = self.state.encoder(&reading.sae)?;
        let found = self.recorder.encode(x, columns, &encoder);
        self.recorder.strongest_features(&found, reading.most);
        Ok(())
    }

    fn tap_logits(&mut self, logits: &Act, tokens: &[u32]) -> Result<(), EngineError> {
        let tokens = UnitList::new(&self.state.gpu, tokens)?;
        let found = self.recorder.token_logits(logits, &tokens);
        self.recorder.tap(&found, TapRows::All);
        Ok(())
    }

    fn remember_tokens(&mut self) -> Result<(), EngineError> {
        self.recorder.remember_tokens(&self.state.text()?);
        Ok(())
    }

    fn penalise(&mut self, logits: Act, penalty: f32) -> Result<Act, EngineError> {
        Ok(self.recorder.penalise(logits, &self.state.text()?, penalty))
    }

    fn draw(&mut self, logits: &Act, alternatives: bool) -> Result<(), EngineError> {
        self.recorder.sample(logits, alternatives);
        Ok(())
    }
}
