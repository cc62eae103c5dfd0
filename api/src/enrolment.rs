//! Agents with a secret of their own: who they are, what they sign with, and for how long that is believed.
//!
//! A secret is derived: HMAC-SHA256 of the agent's name and a random salt, keyed with `SECRET_KEY`. The database holds name and salt.
//! So a copy of the database signs for nobody, and every replica with the same key knows every secret.
//!
//! Verifying costs no round trip: all agents are read together, at most every [`FRESH`], by whichever request is the first to find
//! that it is time. So an agent that is revoked is refused after that long, on every replica.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use contract::id::hex;
use contract::signature::Secrets;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::Secret;
use crate::db::agent_secrets::{self, Enrolled};

/// For how long what was read is believed.
pub const FRESH: Duration = Duration::from_secs(2);

/// The longest name of an agent, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// The agents that may sign with a secret of their own.
pub struct Enrolment {
    db: PgPool,
    key: Option<Secret>,
    known: RwLock<Option<Known>>,
    /// Held while reading, so that many requests make one query; holds when the last one failed.
    reading: Mutex<Option<Instant>>,
}

/// What was read last.
struct Known {
    at: Instant,
    agents: Agents,
}

type Agents = Arc<HashMap<String, Arc<Secrets>>>;

impl Enrolment {
    /// The agents of this database, whose secrets are derived from `key`; without a key there are none.
    pub fn new(db: PgPool, key: Option<Secret>) -> Self {
        Self { db, key, known: RwLock::default(), reading: Mutex::default() }
    }

    /// What the agent with this name signs with; `None` when nobody with this name may sign.
    pub async fn secrets(&self, name: &str) -> Result<Option<Arc<Secrets>>, sqlx::Error> {
        let Some(key) = self.key.as_ref().filter(|_| is_name(name)) else { return Ok(None) };
        let agents = match self.fresh() {
            Some(agents) => agents,
            None => self.read(key).await?,
        };
        Ok(agents.get(name).cloned())
    }

    fn fresh(&self) -> Option<Agents> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|known| known.at.elapsed() < FRESH).map(|known| Arc::clone(&known.agents))
    }

    async fn read(&self, key: &Secret) -> Result<Agents, sqlx::Error> {
        let asked = Instant::now();
        let mut failed = self.reading.lock().await;
        if let Some(agents) = self.fresh() {
            return Ok(agents);
        }
        // Whoever waited for a question without an answer would else ask it once more, one after the other.
        if failed.is_some_and(|failed| failed >= asked) {
            return Err(sqlx::Error::PoolTimedOut);
        }
        // Taken before the question: what is revoked after it may be missing from the answer.
        let at = Instant::now();
        let enrolled =
            agent_secrets::enrolled(&self.db).await.inspect_err(|_| *failed = Some(Instant::now()))?;
        let agents: Agents = Arc::new(enrolled.iter().filter_map(|agent| with_secrets(key, agent)).collect());
        *self.known.write().unwrap_or_else(PoisonError::into_inner) =
            Some(Known { at, agents: Arc::clone(&agents) });
        Ok(agents)
    }
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolment").field("has_key", &self.key.is_some()).finish_non_exhaustive()
    }
}

fn with_secrets(key: &Secret, agent: &Enrolled) -> Option<(String, Arc<Secrets>)> {
    let secrets = Secrets::parse(&secret(key, &agent.name, &agent.salt)).ok()?;
    Some((agent.name.clone(), Arc::new(secrets)))
}

/// Whether an agent may be called this.
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The secret of the agent `name`: 64 hexadecimal digits.
pub fn secret(key: &Secret, name: &str, salt: &str) -> String {
    let mut mac = keyed(key);
    // Neither part can hold a zero, so that no two agents share their input.
    for part in ["reflector agent", name, salt] {
        mac.update(part.as_bytes());
        mac.update(&[0]);
    }
    hex(&mac.finalize().into_bytes())
}

fn keyed(key: &Secret) -> Hmac<Sha256> {
    Hmac::new_from_slice(key.expose().as_bytes()).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_depends_on_key_name_and_salt() {
        let keys = ["one", "two"].map(Secret::new);
        let secrets = [
            secret(&keys[0], "a", "b"),
            secret(&keys[1], "a", "b"),
            secret(&keys[0], "b", "b"),
            secret(&keys[0], "a", "c"),
            secret(&keys[0], "ab", ""),
            secret(&keys[0], "", "ab"),
        ];
        for (place, one) in secrets.iter().enumerate() {
            assert_eq!(one.len(), 64);
            assert!(secrets[place + 1..].iter().all(|other| one != other), "{place}");
        }
        assert_eq!(secrets[0], secret(&keys[0], "a", "b"), "the same on every replica");
    }

    #[test]
    fn a_name_is_short_and_plain() {
        let (longest, too_long) = ("x".repeat(MAX_NAME_BYTES), "x".repeat(MAX_NAME_BYTES + 1));
        for (text, expected) in [
            ("jitsi-1.example.com", true),
            ("a", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("two words", false),
            ("jitsi/1", false),
            ("käthe", false),
        ] {
            assert_eq!(is_name(text), expected, "{text}");
        }
    }
}
