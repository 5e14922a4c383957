//! What can be wrong with a configuration, in words that say what to do.

use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A value that must be given was not.
    #[error("{flag} (environment variable {variable}) is missing: {remedy}")]
    Missing {
        /// The flag that would set it, with its dashes.
        flag: &'static str,
        /// The environment variable that would set it as well.
        variable: &'static str,
        /// What to give, and how to find it out.
        remedy: &'static str,
    },
    /// A value that cannot be used.
    #[error("{flag}={value}: {why}")]
    Unusable {
        /// The flag or variable that it came by.
        flag: &'static str,
        /// The value as it was given.
        value: String,
        /// What is wrong and what to do.
        why: String,
    },
}

/// Everything that is wrong, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// All that is wrong, never empty.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.problems.as_slice() {
            return write!(f, "{only}");
        }
        write!(f, "{} settings cannot be used:", self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
