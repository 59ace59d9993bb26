//! What is kept between visits: the experiment, the backend, the theme. An experiment that is embedded in someone's page is
//! that page's, and leaves what the visitor keeps alone.

use crate::address;
use crate::experiment::Experiment;
use gloo::storage::{LocalStorage, Storage};
use std::cell::RefCell;
use std::sync::Arc;
use tiller_protocol::{BackendChoice, DeviceTuning, Directions};
use tiller_recipe::{Recipe, Shelved, View};

const EXPERIMENT: &str = "tiller.experiment";
const DIRECTIONS: &str = "tiller.directions";
const SHELF: &str = "tiller.shelf";
const VIEW: &str = "tiller.view";
const BACKEND: &str = "tiller.backend";
const CHECKED: &str = "tiller.checked-devices";
const TUNED: &str = "tiller.tuned-devices";
const THEME: &str = "tiller.theme";

thread_local! {
    /// What lies in the storage under [`DIRECTIONS`]: fifty kilobytes are not written at every key that is pressed.
    static KEPT_DIRECTIONS: RefCell<Option<Arc<Directions>>> = const { RefCell::new(None) };
    /// The same of [`SHELF`].
    static KEPT_SHELF: RefCell<Option<Arc<Vec<Shelved>>>> = const { RefCell::new(None) };
}

/// Storage may be full or refused; then nothing is kept, and nothing else is lost.
pub fn keep_experiment(experiment: &Experiment) {
    if address::embedding().is_some() {
        return;
    }
    let _ = LocalStorage::set(EXPERIMENT, experiment.to_recipe(View::Steer, None));
    keep_shelf(&experiment.shelf);
    let directions = experiment.vector.as_ref().map(|chosen| chosen.directions.clone());
    KEPT_DIRECTIONS.with_borrow_mut(|kept| {
        if kept.as_ref().map(Arc::as_ptr) == directions.as_ref().map(Arc::as_ptr) {
            return;
        }
        match &directions {
            Some(directions) => drop(LocalStorage::set(DIRECTIONS, &**directions)),
            None => LocalStorage::delete(DIRECTIONS),
        }
        *kept = directions;
    });
}

/// The vectors on the shelf; nothing where what lies there is something else.
pub fn kept_shelf() -> Vec<Shelved> {
    LocalStorage::get(SHELF).unwrap_or_default()
}

fn keep_shelf(shelf: &Arc<Vec<Shelved>>) {
    KEPT_SHELF.with_borrow_mut(|kept| {
        if kept.as_ref().is_none_or(|kept| !Arc::ptr_eq(kept, shelf)) {
            let _ = LocalStorage::set(SHELF, &**shelf);
            *kept = Some(shelf.clone());
        }
    });
}

/// The experiment of the last visit, if it is one that can be used.
pub fn kept_experiment() -> Option<Experiment> {
    let recipe: Recipe = LocalStorage::get(EXPERIMENT).ok()?;
    recipe.validate().ok()?;
    let mut experiment = Experiment::from_recipe(recipe);
    if let Some(chosen) = &mut experiment.vector
        && let Ok(directions) = LocalStorage::get(DIRECTIONS)
    {
        chosen.take_other_layers(directions);
    }
    Some(experiment)
}

/// The view that a reload opens. Who looked for a model goes back to what it is for.
pub fn keep_view(view: View) {
    if view != View::Models && address::embedding().is_none() {
        let _ = LocalStorage::set(VIEW, view);
    }
}

pub fn kept_view() -> Option<View> {
    LocalStorage::get(VIEW).ok()
}

pub fn keep_backend(choice: BackendChoice) {
    let _ = LocalStorage::set(BACKEND, choice);
}

pub fn kept_backend() -> Option<BackendChoice> {
    LocalStorage::get(BACKEND).ok()
}

/// The devices that were found to compute what the CPU computes.
pub fn checked_devices() -> Vec<String> {
    LocalStorage::get(CHECKED).unwrap_or_default()
}

/// A machine has few; more than this would be someone else's doing.
const KNOWN_DEVICES: usize = 20;

pub fn keep_checked_device(device: String) {
    let mut devices = checked_devices();
    devices.retain(|known| *known != device);
    devices.push(device);
    let first = devices.len().saturating_sub(KNOWN_DEVICES);
    let _ = LocalStorage::set(CHECKED, &devices[first..]);
}

/// How devices were found to compute best; nothing where what lies there is something else.
pub fn tuned_devices() -> Vec<DeviceTuning> {
    LocalStorage::get(TUNED).unwrap_or_default()
}

pub fn keep_tuned_device(tuning: DeviceTuning) {
    let mut devices = tuned_devices();
    devices.retain(|known| known.device != tuning.device);
    devices.push(tuning);
    let first = devices.len().saturating_sub(KNOWN_DEVICES);
    let _ = LocalStorage::set(TUNED, &devices[first..]);
}

/// Light or dark, where the user has chosen; else the system's.
pub fn keep_theme(theme: Theme) {
    let _ = match theme {
        Theme::System => {
            LocalStorage::delete(THEME);
            Ok(())
        }
        _ => LocalStorage::set(THEME, theme.name()),
    };
}

pub fn kept_theme() -> Theme {
    match LocalStorage::get::<String>(THEME).as_deref() {
        Ok("light") => Theme::Light,
        Ok("dark") => Theme::Dark,
        _ => Theme::System,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    pub fn name(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    pub fn next(self) -> Theme {
        match self {
            Theme::System => Theme::Light,
            Theme::Light => Theme::Dark,
            Theme::Dark => Theme::System,
        }
    }
}
