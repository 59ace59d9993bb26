//! The job that runs, as messages reach it.

use crate::host;
use std::cell::{Cell, RefCell};
use tiller_engine::Controls;
use tiller_hub::Cancel;
use tiller_protocol::JobId;

/// What can be changed about a job while it runs.
pub struct Live {
    pub job: JobId,
    cancelled: Cell<bool>,
    /// Stops a transfer that is under way.
    pub transfer: Cancel,
    /// By edit: how long the vector is at strength 1, and the strength that was asked for last.
    strengths: RefCell<Vec<(f32, f32)>>,
    /// By edit, what was asked for before the job knew its edits.
    early: Vec<(usize, f32)>,
}

impl Live {
    pub fn new(job: JobId, early: Vec<(usize, f32)>) -> Live {
        Live { job, cancelled: Cell::new(false), transfer: Cancel::new(), strengths: RefCell::default(), early }
    }

    pub fn cancel(&self) {
        self.cancelled.set(true);
        self.transfer.cancel();
    }

    /// `units`: by edit, the vector's typical norm and the strength to begin with.
    pub fn set_edits(&self, units: Vec<(f32, f32)>) {
        *self.strengths.borrow_mut() = units;
        for &(edit, strength) in &self.early {
            self.set_strength(edit, strength);
        }
    }

    pub fn set_strength(&self, edit: usize, strength: f32) {
        if let Some((_, current)) = self.strengths.borrow_mut().get_mut(edit)
            && strength.is_finite()
        {
            *current = strength;
        }
    }

    /// The strengths that these coefficients stand for.
    pub fn strengths_of(&self, coefficients: &[f32]) -> Vec<f32> {
        let units = self.strengths.borrow();
        let strength =
            |(&coefficient, &(unit, _)): (&f32, &(f32, f32))| if unit > 0.0 { coefficient / unit } else { 0.0 };
        coefficients.iter().zip(units.iter()).map(strength).collect()
    }
}

impl Controls for Live {
    fn cancelled(&self) -> bool {
        self.cancelled.get()
    }

    fn coefficient(&self, edit: usize, given: f32) -> f32 {
        self.strengths.borrow().get(edit).map_or(given, |(unit, strength)| unit * strength)
    }

    async fn pause(&self) {
        host::breathe().await;
    }
}
