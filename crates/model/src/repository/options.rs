//! The options of a `config.json`, by their names. `null` is as good as nothing.

use crate::ModelError;
use serde_json::{Map, Value};

/// An object of options.
pub(super) struct Options<'a>(&'a Map<String, Value>);

impl<'a> Options<'a> {
    pub fn new(json: &'a Value) -> Result<Options<'a>, ModelError> {
        json.as_object().map(Options).ok_or_else(|| wrong("config.json", "an object"))
    }

    pub fn find(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub fn find_u32(&self, key: &str) -> Result<Option<u32>, ModelError> {
        let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        self.as_kind(key, number, "a whole number")
    }

    pub fn get_u32(&self, key: &str) -> Result<u32, ModelError> {
        self.find_u32(key)?.ok_or_else(|| ModelError::MissingOption { key: key.into() })
    }

    pub fn find_f32(&self, key: &str) -> Result<Option<f32>, ModelError> {
        let number = |value: &Value| value.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
        self.as_kind(key, number, "a number")
    }

    pub fn find_bool(&self, key: &str) -> Result<Option<bool>, ModelError> {
        self.as_kind(key, |value| value.as_bool(), "true or false")
    }

    pub fn find_str(&self, key: &str) -> Result<Option<&'a str>, ModelError> {
        self.as_kind(key, |value| value.as_str(), "a text")
    }

    pub fn find_list(&self, key: &str) -> Result<Option<&'a Vec<Value>>, ModelError> {
        self.as_kind(key, |value| value.as_array(), "a list")
    }

    pub fn find_options(&self, key: &str) -> Result<Option<Options<'a>>, ModelError> {
        self.as_kind(key, |value| value.as_object().map(Options), "an object")
    }

    /// Refuses a model with this option, by its name.
    pub fn refuse(&self, key: &str, when: impl Fn(&Value) -> bool) -> Result<(), ModelError> {
        match self.find(key) {
            Some(value) if when(value) => {
                let shown: String = value.to_string().chars().take(60).collect();
                Err(ModelError::Unsupported { what: format!("the option \"{key}\" of its config.json ({shown})") })
            }
            _ => Ok(()),
        }
    }

    fn as_kind<T>(
        &self,
        key: &str,
        read: impl Fn(&'a Value) -> Option<T>,
        wanted: &'static str,
    ) -> Result<Option<T>, ModelError> {
        self.find(key).map(|value| read(value).ok_or_else(|| wrong(key, wanted))).transpose()
    }
}

pub(super) fn wrong(key: &str, wanted: &'static str) -> ModelError {
    ModelError::WrongOption { key: key.into(), wanted }
}
