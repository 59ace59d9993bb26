//! Options out of a configuration.

use super::Config;
use super::error::{SaeFileError, shown};
use serde_json::Value;

/// The longest name of a model, a site or a set of texts.
const LONGEST_NAME: usize = 300;
/// No SAE has more features, and no activation more numbers.
const MOST: u64 = 1 << 32;

fn wrong(option: &'static str, value: &Value, known: &'static str) -> SaeFileError {
    let value = value.as_str().map_or_else(|| shown(&value.to_string()), |text| format!("\"{}\"", shown(text)));
    SaeFileError::UnknownValue { option, value, known }
}

/// What is there and is not null.
pub fn given<'a>(config: &'a Config, option: &str) -> Option<&'a Value> {
    config.get(option).filter(|value| !value.is_null())
}

pub fn text<'a>(config: &'a Config, option: &'static str) -> Result<Option<&'a str>, SaeFileError> {
    let read = |value: &'a Value| {
        let text = value.as_str().filter(|text| text.len() <= LONGEST_NAME);
        text.ok_or_else(|| wrong(option, value, "texts of at most 300 bytes"))
    };
    given(config, option).map(read).transpose()
}

/// A name that is not needed to run the SAE: what is no text, or is endless, is passed over.
pub fn name(config: &Config, option: &str) -> Option<String> {
    let name = given(config, option)?.as_str()?;
    (name.len() <= LONGEST_NAME).then(|| name.to_string())
}

pub fn flag(config: &Config, option: &'static str) -> Result<Option<bool>, SaeFileError> {
    let read = |value: &Value| value.as_bool().ok_or_else(|| wrong(option, value, "true and false"));
    given(config, option).map(read).transpose()
}

pub fn count(config: &Config, option: &'static str) -> Result<Option<usize>, SaeFileError> {
    let read = |value: &Value| {
        let count = value.as_u64().filter(|&count| count < MOST).and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| wrong(option, value, "whole numbers, not below 0"))
    };
    given(config, option).map(read).transpose()
}

pub fn needed(config: &Config, option: &'static str) -> Result<usize, SaeFileError> {
    count(config, option)?.ok_or(SaeFileError::NoOption { option })
}

pub fn number(config: &Config, option: &'static str) -> Result<Option<f32>, SaeFileError> {
    let read = |value: &Value| value.as_f64().map(|n| n as f32).ok_or_else(|| wrong(option, value, "numbers"));
    given(config, option).map(read).transpose()
}

/// Refuses a value that changes what the SAE computes and is not known.
pub fn refuse(config: &Config, option: &'static str, known: &'static str) -> SaeFileError {
    wrong(option, config.get(option).unwrap_or(&Value::Null), known)
}
