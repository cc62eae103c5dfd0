//! `[jibri]`: what this host's Jibri is asked.

use std::path::PathBuf;

use serde::Deserialize;

use super::finding::{Finding, Section, absolute, has_usable_port, require};

/// `[jibri]`: what this host's Jibri is asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Jibri {
    /// Directories that may hold Jibri's own configuration, `config.json` and `jibri.conf`; the first that does counts.
    pub configuration: Vec<PathBuf>,
    /// Where Jibri says how it is, as `http://host:port/path`; by default the port of its configuration on this host. Empty:
    /// it is not asked.
    pub health_url: Option<String>,
}

impl Default for Jibri {
    fn default() -> Self {
        Self { configuration: vec!["/etc/jitsi/jibri".into(), "/run/jibri/config".into()], health_url: None }
    }
}

impl Section for Jibri {
    const NAME: &'static str = "jibri";

    fn findings(&self) -> Vec<Finding> {
        let url = self.health_url.as_deref().filter(|url| !url.is_empty());
        let is_address = |url: &str| {
            url.parse::<hyper::Uri>().is_ok_and(|url| {
                url.scheme_str() == Some("http") && url.host().is_some() && has_usable_port(&url)
            })
        };
        absolute("jibri.configuration", &self.configuration)
            .into_iter()
            .chain(require(
                url.is_none_or(is_address),
                "jibri.health-url",
                "must be an http:// address, or empty",
            ))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_health_address_is_plain_http_or_nothing() {
        for (url, good) in [
            (None, true),
            (Some(""), true),
            (Some("http://127.0.0.1:2222/jibri/api/v1.0/health"), true),
            (Some("https://127.0.0.1:2222/"), false),
            (Some("127.0.0.1:2222"), false),
            (Some("http://127.0.0.1:99999/"), false),
        ] {
            let jibri = Jibri { health_url: url.map(str::to_owned), ..Jibri::default() };
            assert_eq!(jibri.findings().is_empty(), good, "{url:?}");
        }
    }
}
