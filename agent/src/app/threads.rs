//! Threads whose end, however it comes, is noticed.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use tokio::sync::oneshot;

/// The threads that were started.
pub(super) struct Threads {
    running: Vec<JoinHandle<()>>,
    ended: Arc<Mutex<Option<oneshot::Sender<()>>>>,
}

impl Threads {
    /// None yet. The receiver hears of the first that ends.
    pub(super) fn new() -> (Self, oneshot::Receiver<()>) {
        let (ended, first) = oneshot::channel();
        (Self { running: Vec::new(), ended: Arc::new(Mutex::new(Some(ended))) }, first)
    }

    /// Starts a thread.
    pub(super) fn start(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let guard = Ended(Arc::clone(&self.ended));
        let body = move || {
            let _guard = guard;
            run();
        };
        self.running.push(Builder::new().name(name.into()).spawn(body)?);
        Ok(())
    }

    /// Waits until all have ended.
    pub(super) fn join(self) {
        for thread in self.running {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// Tells when a thread ends, also by a panic.
struct Ended(Arc<Mutex<Option<oneshot::Sender<()>>>>);

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(ended) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = ended.send(());
        }
    }
}
