//! How much one caller may ask for, and how callers are told apart.

use std::net::IpAddr;
use std::num::NonZeroU32;

use ipnet::IpNet;

use super::networks::is_too_wide;
use super::reader::Reader;

/// Proxies on this host. Nobody else can connect from there.
const THIS_HOST: &str = "127.0.0.0/8, ::1";

/// How much one caller may ask for, and how callers are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Whose `X-Forwarded-For` is believed: `REFLECTOR_API_TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<IpNet>,
    /// The most connections that are open: `REFLECTOR_API_MAX_CONNECTIONS`.
    pub connections: usize,
    /// The most of them from one address that is no trusted proxy: `REFLECTOR_API_MAX_CONNECTIONS_PER_ADDRESS`.
    pub connections_per_address: usize,
    /// The most deliveries in a second from one address: `REFLECTOR_API_DELIVERIES_PER_SECOND`.
    pub deliveries_per_second: NonZeroU32,
    /// How many deliveries in a minute from one address are told that their signature is wrong; the others are told to wait:
    /// `REFLECTOR_API_SIGNATURE_FAILURES_PER_MINUTE`.
    pub failures_per_minute: NonZeroU32,
    /// The most answers in a minute from one address to whether somebody agrees to be recorded: `REFLECTOR_API_ANSWERS_PER_MINUTE`.
    pub answers_per_minute: NonZeroU32,
}

impl Limits {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            trusted_proxies: trusted_proxies(reader),
            // Together with what Postgres and the storage need this stays below 1024, the usual limit of a process's files.
            connections: number(reader, "REFLECTOR_API_MAX_CONNECTIONS", 900, 100_000),
            connections_per_address: number(
                reader,
                "REFLECTOR_API_MAX_CONNECTIONS_PER_ADDRESS",
                200,
                100_000,
            ),
            deliveries_per_second: rate(reader, "REFLECTOR_API_DELIVERIES_PER_SECOND", 50_000),
            failures_per_minute: rate(reader, "REFLECTOR_API_SIGNATURE_FAILURES_PER_MINUTE", 60),
            // A frontend does not repeat an answer, and a whole company may come in from one address.
            answers_per_minute: rate(reader, "REFLECTOR_API_ANSWERS_PER_MINUTE", 600),
        }
    }
}

fn number(reader: &mut Reader<'_>, variable: &'static str, default: u64, most: u64) -> usize {
    usize::try_from(reader.within(variable, default, 1..=most)).unwrap_or(usize::MAX)
}

fn rate(reader: &mut Reader<'_>, variable: &'static str, default: u64) -> NonZeroU32 {
    let number = reader.within(variable, default, 1..=1_000_000);
    u32::try_from(number).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX)
}

fn trusted_proxies(reader: &mut Reader<'_>) -> Vec<IpNet> {
    const VARIABLE: &str = "REFLECTOR_API_TRUSTED_PROXIES";
    let list = reader.text_or(VARIABLE, THIS_HOST);
    if list == "none" {
        return Vec::new();
    }
    let mut networks = Vec::new();
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        match network(entry) {
            Some(network) => {
                if is_too_wide(&network) {
                    reader.warning(
                        VARIABLE,
                        format!(
                            "{entry} lets nearly everybody say in X-Forwarded-For who they are, past all limits; name the proxies alone"
                        ),
                    );
                }
                networks.push(network);
            }
            None => reader.error(
                VARIABLE,
                format!(
                    "{entry:?} is neither an address nor a network; write 10.0.0.7 or 10.0.0.0/8, or none"
                ),
            ),
        }
    }
    networks
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Surroundings, Variables};

    fn read(variable: &str, value: &str) -> (Limits, Vec<String>) {
        let variables = Variables::from([(variable.to_owned(), value.to_owned())]);
        let read_file = |_: &std::path::Path| Ok(Vec::new());
        let surroundings = Surroundings { read_file: &read_file, is_root: false };
        let mut reader = Reader::new(&variables, &surroundings);
        let limits = Limits::read(&mut reader);
        (limits, reader.into_findings().into_iter().map(|finding| finding.variable).collect())
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        for (value, expected) in [
            ("", Some(&["127.0.0.0/8", "::1/128"][..])),
            ("none", Some(&[])),
            ("10.0.0.7", Some(&["10.0.0.7/32"])),
            ("10.0.0.0/8, fd00::/8", Some(&["10.0.0.0/8", "fd00::/8"])),
            ("proxy.example.com", None),
            ("10.0.0.0/33", None),
        ] {
            let (limits, findings) = read("REFLECTOR_API_TRUSTED_PROXIES", value);
            let networks: Vec<_> = limits.trusted_proxies.iter().map(ToString::to_string).collect();
            match expected {
                Some(expected) => {
                    assert!(findings.is_empty() && networks == expected, "{value}: {networks:?}");
                }
                None => assert_eq!(findings, ["REFLECTOR_API_TRUSTED_PROXIES"], "{value}"),
            }
        }
    }

    #[test]
    fn whoever_trusts_everybody_is_warned() {
        for (value, warns) in [
            ("0.0.0.0/0", true),
            ("0.0.0.0/1, 10.0.0.7", true),
            ("::/0", true),
            ("10.0.0.0/8, fc00::/7", false),
        ] {
            let (limits, findings) = read("REFLECTOR_API_TRUSTED_PROXIES", value);
            assert_eq!(!findings.is_empty(), warns, "{value}: {findings:?}");
            assert!(!limits.trusted_proxies.is_empty(), "{value}");
        }
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        for variable in [
            "REFLECTOR_API_MAX_CONNECTIONS",
            "REFLECTOR_API_MAX_CONNECTIONS_PER_ADDRESS",
            "REFLECTOR_API_DELIVERIES_PER_SECOND",
            "REFLECTOR_API_SIGNATURE_FAILURES_PER_MINUTE",
            "REFLECTOR_API_ANSWERS_PER_MINUTE",
        ] {
            assert_eq!(read(variable, "0").1, [variable]);
            assert!(read(variable, "1").1.is_empty());
        }
    }
}
