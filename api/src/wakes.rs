//! How whoever leaves work behind has it done soon, without knowing who does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes jobs of this process before they are due.
#[derive(Debug, Clone, Default)]
pub struct Wakes(Arc<BTreeMap<&'static str, Notify>>);

impl Wakes {
    /// Wakes for jobs of these names.
    pub fn new(names: impl IntoIterator<Item = &'static str>) -> Self {
        Self(Arc::new(names.into_iter().map(|name| (name, Notify::new())).collect()))
    }

    /// Has the job run soon; it may be any replica that does it. A job that this process does not know is none of its concern.
    pub fn wake(&self, name: &str) {
        if let Some(notify) = self.0.get(name) {
            notify.notify_one();
        }
    }

    /// Completes when somebody wants the job run.
    pub async fn woken(&self, name: &str) {
        match self.0.get(name) {
            Some(notify) => notify.notified().await,
            None => std::future::pending().await,
        }
    }
}
