//! `[event-sync]`: the local listener for the stock `mod_event_sync_component`, and for health checks and metrics.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::finding::{Finding, Section};

/// The shortest token that is accepted, in bytes.
const SHORTEST: usize = 16;

/// `[event-sync]`: the local listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EventSync {
    /// Off: nothing listens, so there are neither health checks nor metrics.
    pub enabled: bool,
    /// The address; its `…/events/…` is the stock module's `api_prefix`, `/healthz` and `/metrics` are for monitoring.
    pub listen: SocketAddr,
    /// The file with the bearer token that the stock module must send. Without it, whoever reaches the address may report.
    pub token_file: Option<PathBuf>,
    /// Domains of recorders and transcribers, as patterns with `*` and `?`: they are occupants, but no people.
    pub hidden_domains: Vec<String>,
}

impl Default for EventSync {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 9471)),
            token_file: None,
            hidden_domains: vec!["recorder.*".into(), "hidden.*".into()],
        }
    }
}

impl Section for EventSync {
    const NAME: &'static str = "event-sync";

    fn findings(&self) -> Vec<Finding> {
        let open = self.enabled && !self.listen.ip().is_loopback() && self.token_file.is_none();
        let problem = "is reachable from other hosts, and everybody there may report events: use 127.0.0.1, or set `token-file` and the same token in the module's `api_headers`";
        let open = open.then(|| Finding::warning("event-sync.listen", problem));
        open.into_iter().chain(self.token().err()).collect()
    }
}

impl EventSync {
    /// The text of the token file, if one is set. Never to be printed.
    pub(crate) fn token(&self) -> Result<Option<String>, Finding> {
        const KEY: &str = "event-sync.token-file";
        let Some(path) = self.token_file.as_ref().filter(|_| self.enabled) else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Finding::error(KEY, format!("{} cannot be read: {error}", path.display())))?;
        if text.trim().len() < SHORTEST {
            let problem = format!(
                "{} has fewer than {SHORTEST} characters: make a token with `openssl rand -hex 16`",
                path.display()
            );
            return Err(Finding::error(KEY, problem));
        }
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_reach_without_a_token_is_warned_about() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "0123456789abcdef\n").unwrap();
        let token = Some(file.path().to_owned());
        for (listen, token_file, enabled, warned) in [
            ("127.0.0.1:9471", None, true, false),
            ("[::1]:9471", None, true, false),
            ("0.0.0.0:9471", None, true, true),
            ("0.0.0.0:9471", None, false, false),
            ("0.0.0.0:9471", token, true, false),
        ] {
            let section =
                EventSync { enabled, listen: listen.parse().unwrap(), token_file, ..EventSync::default() };
            assert_eq!(!section.findings().is_empty(), warned, "{section:?}");
        }
    }

    #[test]
    fn a_token_that_is_not_there_or_too_short_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let section = EventSync { token_file: Some(path.clone()), ..EventSync::default() };
        assert!(section.findings()[0].problem.contains("cannot be read"));
        std::fs::write(&path, "hunter2").unwrap();
        let said = section.findings()[0].problem.clone();
        assert!(said.contains("fewer than 16") && !said.contains("hunter2"), "{said}");
        std::fs::write(&path, " 0123456789abcdef\n").unwrap();
        assert_eq!(section.findings(), []);
    }
}
