//! The error of an invalid value: its variable, and the problem in one line.

use std::fmt;

/// An invalid value.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub(super) variable: &'static str,
    problem: String,
}

impl ConfigError {
    pub fn new(variable: &'static str, problem: impl fmt::Display) -> Self {
        Self {
            variable,
            // One line, whatever a library says.
            problem: problem
                .to_string()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.problem)
    }
}

impl std::error::Error for ConfigError {}
