//! What is wrong with the configuration.

use std::fmt;

/// One thing that is wrong, or worth knowing, about one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether the service can start.
    pub severity: Severity,
    /// The variable's name.
    pub variable: String,
    /// What is wrong and what to do. Never holds a secret's value.
    pub message: String,
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The service does not start.
    Error,
    /// The service starts; something will not work.
    Warning,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}: {}", self.variable, self.message)
    }
}
