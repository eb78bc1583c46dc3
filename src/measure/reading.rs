//! A figure, or the reason why there is none.

use serde::Serialize;

/// A reading, or why there is none. Never a zero for "not available".
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// It was read.
    Value(f64),
    /// It could not be read, and why.
    Unavailable(String),
}

impl From<Result<f64, String>> for Reading {
    fn from(read: Result<f64, String>) -> Self {
        read.map_or_else(Reading::Unavailable, Reading::Value)
    }
}
