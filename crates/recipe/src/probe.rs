//! A probe as a recipe states it.

use crate::dataset::{LabelledText, ShippedDataset, check_rows};
use crate::schema::{at_most, limits, within};
use serde::{Deserialize, Serialize};

/// What a probe is to read, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    pub data: ProbeData,
    /// By name ("logistic").
    #[serde(default = "default_method")]
    pub method: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub read: ReadAt,
    /// The layer that is looked at; `None`: the one that is best on the validation texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<u32>,
}

/// Labelled texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeData {
    /// A dataset that comes with the program, by name.
    Shipped(String),
    Rows(Vec<LabelledText>),
}

/// Where in a text an activation is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadAt {
    /// At the last token.
    #[default]
    Last,
    /// The mean over all tokens.
    Mean,
}

fn default_method() -> String {
    "logistic".into()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for Probe {
    fn default() -> Probe {
        let data = ProbeData::Shipped(crate::dataset::DATASETS[0].name.into());
        Probe { data, method: default_method(), read: ReadAt::default(), layer: None }
    }
}

impl ProbeData {
    pub fn rows(&self) -> Vec<LabelledText> {
        match self {
            ProbeData::Shipped(name) => ShippedDataset::named(name).map(ShippedDataset::rows).unwrap_or_default(),
            ProbeData::Rows(rows) => rows.clone(),
        }
    }
}

impl Probe {
    pub(crate) fn check(&self) -> Result<(), String> {
        match &self.data {
            ProbeData::Shipped(name) if ShippedDataset::named(name).is_none() => {
                return Err("its probe's dataset is none that comes with this page".into());
            }
            ProbeData::Shipped(_) => {}
            ProbeData::Rows(rows) => check_rows(rows)?,
        }
        at_most("method of a probe", self.method.chars().count(), limits::NAME_CHARS)?;
        within("layer of a probe", self.layer.unwrap_or(0), 0..=limits::LAYERS - 1)
    }
}
