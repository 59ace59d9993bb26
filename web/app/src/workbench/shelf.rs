//! The shelf: vectors kept, named, combined and taken down to steer with.

use super::{ModelState, Workbench};
use crate::experiment::{ChosenVector, model_label};
use crate::shelf::{Combination, NAME_LENGTH, combine};
use leptos::prelude::*;
use std::sync::Arc;
use tiller_protocol::{Failure, LayerDirection, Request, VectorFormat, VectorToSave};
use tiller_recipe::{SHELF_LIMIT, Shelved, View};

impl Workbench {
    /// The vector that is steered with, at its layer, as it would stand on the shelf.
    pub fn current_vector(self) -> Option<Shelved> {
        self.experiment.with(|experiment| {
            let recipe = experiment.to_recipe(View::Steer, None);
            let at = experiment.vector.as_ref()?.layer;
            let vector = recipe.vectors.into_iter().next().filter(|vector| vector.layer == at)?;
            Some(Shelved { model: model_label(&experiment.model), vector })
        })
    }

    pub fn shelve(self, shelved: Shelved) {
        self.put_on_shelf("shelve", shelved);
    }

    fn put_on_shelf(self, kind: &'static str, shelved: Shelved) {
        if self.experiment.with_untracked(|experiment| experiment.shelf.len()) >= SHELF_LIMIT {
            let remedy = format!("It holds {SHELF_LIMIT} vectors: save one as a file and remove it, then try again.");
            self.notice(Failure::new("The shelf is full", remedy, false));
            return;
        }
        self.change_shelf(kind, |shelf| {
            if !shelf.contains(&shelved) {
                shelf.push(shelved);
            }
        });
    }

    pub fn remove_from_shelf(self, place: usize) {
        self.change_shelf("take off the shelf", |shelf| {
            if place < shelf.len() {
                shelf.remove(place);
            }
        });
        self.say("Removed from the shelf; Undo brings it back");
    }

    pub fn rename_on_shelf(self, place: usize, name: &str) {
        let name: String = name.trim().chars().take(NAME_LENGTH).collect();
        self.change_shelf("rename on the shelf", |shelf| {
            if let Some(shelved) = shelf.get_mut(place).filter(|_| !name.is_empty()) {
                shelved.vector.name = name;
            }
        });
    }

    /// Puts a combination of two on the shelf, or says why there is none.
    pub fn combine_on_shelf(self, a: usize, how: Combination, b: usize) {
        let made = self.experiment.with_untracked(|experiment| {
            let (a, b) = (experiment.shelf.get(a)?, experiment.shelf.get(b)?);
            combine(a, how, b)
        });
        match made {
            Some(made) => self.put_on_shelf("combine", made),
            None => {
                let remedy = "Nothing is left of them, or they are of different models: choose two others.";
                self.notice(Failure::new("The two cannot be combined", remedy, false));
            }
        }
    }

    /// `kind` as for [`Workbench::change`]: what is done in quick succession is undone apart, but for letters of a name.
    fn change_shelf(self, kind: &'static str, change: impl FnOnce(&mut Vec<Shelved>)) {
        self.change(kind, |experiment| {
            let mut shelf = experiment.shelf.to_vec();
            change(&mut shelf);
            if shelf != *experiment.shelf {
                experiment.shelf = Arc::new(shelf);
            }
        });
    }

    /// Why a vector does not fit the model that is set; `None` where it does.
    pub fn misfit(self, shelved: &Shelved) -> Option<String> {
        let own = self.experiment.with(|experiment| model_label(&experiment.model));
        if shelved.model != own {
            return Some(format!("It was read from {}: load that model to steer with it", shelved.model));
        }
        match self.model.get() {
            ModelState::Ready(model) if model.width as usize != shelved.vector.direction.width() => Some(format!(
                "It is {} numbers wide, and this model's stream {}",
                shelved.vector.direction.width(),
                model.width
            )),
            ModelState::Ready(model) if model.layers <= shelved.vector.layer => {
                Some(format!("It is of layer {}, and this model has {}", shelved.vector.layer, model.layers))
            }
            _ => None,
        }
    }

    /// Steers with a vector of the shelf, in place of the one that is set.
    pub fn steer_with(self, place: usize) {
        let Some(shelved) = self.experiment.with_untracked(|experiment| experiment.shelf.get(place).cloned()) else {
            return;
        };
        self.change("vector", |experiment| {
            experiment.name = shelved.vector.name.clone();
            experiment.vector = Some(ChosenVector::alone(shelved.vector, &[]));
        });
        self.show(View::Steer);
        self.write();
    }

    /// Saves a vector of the shelf as a file.
    pub fn save_shelved(self, shelved: &Shelved, format: VectorFormat) {
        let vector = &shelved.vector;
        let layer = LayerDirection {
            layer: vector.layer,
            direction: vector.direction.clone(),
            norm: vector.norm,
            typical_norm: vector.typical_norm,
            separability: None,
        };
        let vector = VectorToSave {
            name: vector.name.clone(),
            method: vector.method.clone(),
            model: shelved.model.clone(),
            pairs: 0,
            layers: vec![layer],
            format,
        };
        crate::bridge::send(&Request::ExportVector { job: self.new_job(), vector });
    }
}
