//! What is asked of every error.

use std::fmt::Display;

/// The most bytes of a message: a few lines on a screen, however long the names that the input gives things.
const LONGEST_MESSAGE: usize = 2000;

/// What was read, if it could be; or else the error must be a sentence that can be shown.
pub fn read<T, E: Display>(result: Result<T, E>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && message.len() <= LONGEST_MESSAGE, "{} bytes: {message}", message.len());
            None
        }
    }
}
