//! The search for a layer and a strength.

use super::{ModelState, Workbench};
use crate::bridge;
use crate::grid::GridFindings;
use leptos::prelude::*;
use tiller_protocol::{GridCell, GridReport, JobId, Progress, Request};
use tiller_recipe::{GRID_STRENGTHS, Pair, grid_layers};
use tiller_sites::{ModelRef, VectorMethod};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct GridSearch {
    /// While it searches.
    pub job: Option<JobId>,
    pub progress: Option<Progress>,
    /// What was searched last, or is being searched.
    pub of: Option<(ModelRef, Vec<Pair>, VectorMethod)>,
    pub found: GridFindings,
}

/// Half of the pairs choose, half report, and one pair has no interval.
pub const GRID_FEWEST_PAIRS: usize = 4;

impl Workbench {
    fn to_search(self) -> (ModelRef, Vec<Pair>, VectorMethod) {
        self.experiment.with_untracked(|e| (e.model.clone(), e.complete_pairs(), e.method))
    }

    /// Whether what was found is of another model, other pairs, or another method than are set now.
    pub fn grid_is_stale(self) -> bool {
        let now = self.experiment.with(|e| (e.model.clone(), e.complete_pairs(), e.method));
        self.grid.with(|grid| grid.of.as_ref().is_some_and(|of| *of != now))
    }

    /// Tries layers and strengths on the pairs, in place of what was tried before.
    pub fn search_grid(self) {
        let ModelState::Ready(model) = self.model.get_untracked() else { return };
        let of = self.to_search();
        if of.1.len() < GRID_FEWEST_PAIRS {
            return;
        }
        self.dismiss_all();
        let job = self.new_job();
        let (layers, strengths) = (grid_layers(model.layers), GRID_STRENGTHS.to_vec());
        let (pairs, method) = (of.1.clone(), of.2.name().to_string());
        self.grid.set(GridSearch {
            job: Some(job),
            progress: None,
            of: Some(of),
            found: GridFindings {
                method: method.clone(),
                layers: layers.clone(),
                strengths: strengths.clone(),
                ..GridFindings::default()
            },
        });
        bridge::send(&Request::SearchGrid { job, method, pairs, layers, strengths });
    }

    /// Steers at this layer, this strongly.
    pub fn steer_at(self, layer: u32, strength: f32) {
        self.change("grid", |experiment| {
            experiment.strength = strength;
            if let Some(chosen) = &mut experiment.vector
                && chosen.directions.layers.iter().any(|at| at.layer == layer)
            {
                chosen.layer = layer;
            }
        });
        self.write_again_soon();
    }

    fn searches(self, job: JobId) -> bool {
        self.grid.with_untracked(|grid| grid.job == Some(job))
    }

    pub(super) fn on_grid_cell(self, job: JobId, cell: GridCell) {
        if self.searches(job) {
            self.grid.update(|grid| {
                // A job that began again on a new device tries all cells again.
                grid.found.cells.retain(|old| (old.layer, old.strength) != (cell.layer, cell.strength));
                grid.found.cells.push(cell);
            });
        }
    }

    pub(super) fn on_grid_searched(self, job: JobId, report: GridReport) {
        if self.searches(job) {
            self.grid.update(|grid| {
                (grid.job, grid.progress) = (None, None);
                grid.found.report = Some(report);
            });
        }
    }

    pub(super) fn on_grid_progress(self, job: JobId, progress: &Progress) {
        if self.searches(job) {
            self.grid.update(|grid| grid.progress = Some(progress.clone()));
        }
    }

    /// It ended without a result; the cells that were tried stay.
    pub(super) fn on_grid_end(self, job: JobId) {
        if self.searches(job) {
            self.grid.update(|grid| (grid.job, grid.progress) = (None, None));
        }
    }
}
