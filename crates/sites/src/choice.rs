//! A choice among named things, read back from its name.

/// A name that is none of those there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no \"{name}\": choose one of {choices}")]
pub struct UnknownChoice {
    pub name: String,
    pub choices: String,
}

pub(crate) fn named<T: Copy>(name: &str, all: &[T], name_of: fn(T) -> &'static str) -> Result<T, UnknownChoice> {
    let found = all.iter().find(|&&choice| name_of(choice) == name);
    found.copied().ok_or_else(|| UnknownChoice {
        name: name.chars().take(64).collect(),
        choices: all.iter().map(|&choice| name_of(choice)).collect::<Vec<_>>().join(", "),
    })
}
