//! What the sources share.

use std::io;
use std::time::Duration;

use crate::outbox::OutboxError;

/// How soon a source tries again what the outbox refused.
pub(crate) const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Why a file was not dealt with.
pub(crate) enum Failure {
    /// The file could not be read: its own trouble, the others go on.
    File(io::Error),
    /// The outbox did not take it: the source waits.
    Outbox(OutboxError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

impl From<OutboxError> for Failure {
    fn from(error: OutboxError) -> Self {
        Self::Outbox(error)
    }
}
