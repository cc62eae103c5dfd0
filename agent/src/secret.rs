//! The secret that signs, as it is now: it may change while the agent runs.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::Secret;

/// A handle on the secret; clones see the same changes.
#[derive(Clone)]
pub struct SharedSecret(Arc<watch::Sender<Arc<Secret>>>);

impl SharedSecret {
    /// Begins with the secret that was found at start.
    pub fn new(secret: Secret) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(secret))))
    }

    /// The secret to sign with now. Ask for every request.
    pub fn current(&self) -> Arc<Secret> {
        Arc::clone(&self.0.borrow())
    }

    /// Wakes whoever waits for another secret.
    pub fn changes(&self) -> watch::Receiver<Arc<Secret>> {
        self.0.subscribe()
    }
}
