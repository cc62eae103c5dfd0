//! The secret that signs, as it is now: an operator may put another one into its file while the agent runs.
//!
//! The file is read every two seconds and compared: no way of replacing it (an editor, `mv`, a link that is pointed
//! elsewhere) can be missed, whatever it does to times and inodes. A file that is gone, empty or unfit changes nothing:
//! the secret that was good stays, and the log says so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract::signature::Headers;
use hyper::header::HeaderValue;
use tokio::sync::watch;

use crate::config::{Finding, Secret};

/// How often the file is read.
const LOOK: Duration = Duration::from_secs(2);

/// A handle on the secret; clones see the same changes.
#[derive(Clone)]
pub struct SharedSecret(Arc<Shared>);

struct Shared {
    current: watch::Sender<Arc<Secret>>,
    trouble: Mutex<Trouble>,
}

/// What was wrong with the file when it was read last. Said when it is so twice: a file that is just being written is
/// empty for a moment.
#[derive(Default)]
struct Trouble {
    what: Option<Finding>,
    said: bool,
}

impl SharedSecret {
    /// Begins with the secret that was found at start.
    pub fn new(secret: Secret) -> Self {
        let current = watch::Sender::new(Arc::new(secret));
        Self(Arc::new(Shared { current, trouble: Mutex::default() }))
    }

    /// The secret to sign with now. Ask for every request.
    pub fn current(&self) -> Arc<Secret> {
        Arc::clone(&self.0.current.borrow())
    }

    /// Wakes whoever waits for another secret.
    pub fn changes(&self) -> watch::Receiver<Arc<Secret>> {
        self.0.current.subscribe()
    }

    /// Follows the file for as long as this is polled.
    pub async fn follow(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look();
        }
    }

    /// Takes `secret`, and follows the file that it came from; says so if it is another one than now.
    pub fn replace(&self, secret: Secret) {
        let replaced = self.0.current.send_if_modified(|current| {
            let differs = mark(current) != mark(&secret);
            *current = Arc::new(secret);
            differs
        });
        if replaced {
            tracing::info!(
                from = self.current().origin,
                "the secret has changed; deliveries are signed with the new one"
            );
        }
    }

    /// Reads the secret's file once more.
    fn look(&self) {
        let Some(read) = self.current().read_again() else { return };
        let mut trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(secret) => {
                *trouble = Trouble::default();
                self.replace(secret);
            }
            Err(finding) if trouble.what.as_ref() == Some(&finding) => {
                if !trouble.said {
                    trouble.said = true;
                    tracing::warn!(
                        from = finding.key,
                        "the secret's file is not usable any more, so the secret that it held before stays in use: {}",
                        finding.problem
                    );
                }
            }
            Err(finding) => *trouble = Trouble { what: Some(finding), said: false },
        }
    }
}

/// What tells two secrets apart: whose they are, and a signature, since the keys themselves cannot be looked at.
fn mark(secret: &Secret) -> (Option<HeaderValue>, Headers) {
    (secret.agent.clone(), secret.keys.sign("", 0, b""))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use contract::signature::Secrets;

    use super::*;

    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210";

    fn shared(path: &Path) -> SharedSecret {
        fs::write(path, OLD).unwrap();
        SharedSecret::new(Secret::from_file(path, "test").unwrap())
    }

    fn signs_like(secret: &SharedSecret, text: &str) -> bool {
        mark(&secret.current()).1 == Secrets::parse(text).unwrap().sign("", 0, b"")
    }

    #[test]
    fn another_secret_in_the_file_is_taken_and_wakes_those_who_wait() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let secret = shared(&path);
        let changes = secret.changes();
        secret.look();
        assert!(!changes.has_changed().unwrap(), "nothing has changed");
        let beside = directory.path().join("new");
        for (how, text, written) in [("in place", NEW, &path), ("by rename", OLD, &beside)] {
            fs::write(written, text).unwrap();
            fs::rename(written, &path).unwrap();
            secret.look();
            assert!(signs_like(&secret, text), "{how}");
        }
        assert!(changes.has_changed().unwrap());
    }

    #[test]
    fn another_file_with_the_same_secret_is_followed_from_then_on() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (directory.path().join("old"), directory.path().join("new"));
        let secret = shared(&old);
        fs::write(&new, OLD).unwrap();
        let changes = secret.changes();
        secret.replace(Secret::from_file(&new, "test").unwrap());
        assert!(!changes.has_changed().unwrap(), "the secret is the same");
        fs::write(&new, NEW).unwrap();
        secret.look();
        assert!(signs_like(&secret, NEW));
    }

    #[test]
    fn a_file_that_is_gone_or_unfit_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let secret = shared(&path);
        for text in [Some(""), Some("short"), Some("your-webhook-secret-here"), None] {
            match text {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            for look in 0..3 {
                secret.look();
                let said = secret.0.trouble.lock().unwrap().said;
                assert_eq!(said, look > 0, "{text:?}: said from the second look on");
            }
            assert!(signs_like(&secret, OLD), "{text:?}");
        }
        fs::write(&path, NEW).unwrap();
        secret.look();
        assert!(signs_like(&secret, NEW));
        assert!(secret.0.trouble.lock().unwrap().what.is_none());
    }
}
