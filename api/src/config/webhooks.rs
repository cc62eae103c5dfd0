//! Webhooks that go out.

use ipnet::IpNet;

use super::http::is_web_address;
use super::networks::is_too_wide;
use super::reader::Reader;
use super::secret::Secret;

const NETWORKS: &str = "WEBHOOK_ALLOWED_NETWORKS";
const URL: &str = "PIPELINE_WEBHOOK_URL";
const SECRET: &str = "PIPELINE_WEBHOOK_SECRET";

/// As long as the secrets of deliveries that come in.
const LEAST_SECRET: usize = 16;

/// Webhooks that go out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Webhooks {
    /// Networks that rooms' webhooks may be sent to although they are not public: `WEBHOOK_ALLOWED_NETWORKS`.
    pub allowed_networks: Vec<IpNet>,
    /// Who is told of all rooms' meetings and recordings, if anybody is.
    pub pipeline: Option<Pipeline>,
}

/// The processing pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// Where it takes webhooks: `PIPELINE_WEBHOOK_URL`. It may hold a credential, and is not printed.
    pub url: Secret,
    /// What they are signed with: `PIPELINE_WEBHOOK_SECRET`.
    pub secret: Secret,
}

impl Webhooks {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self { allowed_networks: networks(reader), pipeline: pipeline(reader) }
    }
}

fn networks(reader: &mut Reader<'_>) -> Vec<IpNet> {
    let list = reader.text_or(NETWORKS, "");
    let mut networks = Vec::new();
    for text in list.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        match text.parse::<IpNet>() {
            Ok(network) if is_too_wide(&network) => {
                reader.error(
                    NETWORKS,
                    format!("{text} is wider than any private network and may hold this host's own addresses; name the networks that receivers are in, at most a /8 (IPv6: a /7)"),
                );
            }
            Ok(network) => networks.push(network.trunc()),
            Err(_) => {
                reader.error(
                    NETWORKS,
                    format!("{text:?} is no network; write it as 10.1.0.0/16 or fd00:1::/32"),
                );
            }
        }
    }
    networks
}

fn pipeline(reader: &mut Reader<'_>) -> Option<Pipeline> {
    let url = reader.text(URL);
    let secret = reader.secret(SECRET, LEAST_SECRET, "openssl rand -hex 32");
    match url {
        Some(url) if !is_web_address(&url) => {
            // The text may hold a password.
            reader.error(URL, "is no address; write it as https://pipeline.example.com/hooks/reflector");
            None
        }
        Some(url) => {
            if reader.text(SECRET).is_none() {
                reader.error(
                    SECRET,
                    format!("must be set with {URL}: the pipeline cannot tell our webhooks from others'; make one with: openssl rand -hex 32"),
                );
            }
            Some(Pipeline { url: Secret::new(url), secret: secret? })
        }
        None => {
            if reader.text(SECRET).is_some() {
                reader.warning(SECRET, format!("is not used without {URL}"));
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Finding, Severity, Surroundings};

    const GOOD_SECRET: (&str, &str) = (SECRET, "9f8e7d6c5b4a39281706f5e4d3c2b1a0");

    fn read(variables: &[(&str, &str)]) -> Result<(Webhooks, Vec<Finding>), Vec<Finding>> {
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let read_file = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
        let (config, warnings) =
            Config::read(&variables, &Surroundings { read_file: &read_file, is_root: false })?;
        Ok((config.webhooks, warnings))
    }

    #[test]
    fn a_pipeline_has_an_address_and_a_secret_and_neither_is_printed() {
        let (webhooks, _) =
            read(&[(URL, "https://user:hunter2@pipeline.example.com/hook"), GOOD_SECRET]).unwrap();
        assert_eq!(webhooks.pipeline.as_ref().unwrap().secret.expose(), GOOD_SECRET.1);
        let printed = format!("{webhooks:?}");
        assert!(!printed.contains("hunter2") && !printed.contains(GOOD_SECRET.1), "{printed}");
    }

    #[test]
    fn networks_are_read_with_or_without_bits_behind_their_length() {
        let (webhooks, _) = read(&[(NETWORKS, "10.1.2.3/16, fd00:1::/32,")]).unwrap();
        let expected: [IpNet; 2] = ["10.1.0.0/16".parse().unwrap(), "fd00:1::/32".parse().unwrap()];
        assert_eq!(webhooks.allowed_networks, expected);
    }

    #[test]
    fn what_cannot_work_is_an_error_and_what_is_not_used_a_warning() {
        for (variables, variable, severity) in [
            (vec![(NETWORKS, "10.1.0.0")], NETWORKS, Severity::Error),
            (vec![(NETWORKS, "0.0.0.0/0")], NETWORKS, Severity::Error),
            (vec![(NETWORKS, "::/0")], NETWORKS, Severity::Error),
            (vec![(NETWORKS, "10.0.0.0/8, 0.0.0.0/1")], NETWORKS, Severity::Error),
            (vec![(NETWORKS, "8000::/1")], NETWORKS, Severity::Error),
            (vec![(URL, "pipeline.example.com"), GOOD_SECRET], URL, Severity::Error),
            (vec![(URL, "https://pipeline.example.com")], SECRET, Severity::Error),
            (vec![(URL, "https://pipeline.example.com"), (SECRET, "short")], SECRET, Severity::Error),
            (vec![GOOD_SECRET], SECRET, Severity::Warning),
        ] {
            let findings = read(&variables).map_or_else(|findings| findings, |(_, warnings)| warnings);
            let found: Vec<_> = findings
                .iter()
                .filter(|finding| finding.variable == variable)
                .map(|finding| finding.severity)
                .collect();
            assert_eq!(found, [severity], "{variables:?}");
        }
    }
}
