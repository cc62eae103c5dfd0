//! What may be wrong with a configuration, and the bounds that sections share.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use hyper::Uri;
use serde::de::DeserializeOwned;

/// A section of the configuration: its keys with their defaults, and what may be wrong with values of the right type.
pub(super) trait Section: DeserializeOwned + Default {
    /// Its name in the file.
    const NAME: &'static str;

    /// Everything that is wrong with these values, or probably not meant.
    fn findings(&self) -> Vec<Finding>;
}

/// Something wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The key, or the file, that is meant.
    pub key: String,
    /// What is wrong, and what to do.
    pub problem: String,
    /// Whether the agent can run all the same.
    pub severity: Severity,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The agent runs, but probably not as intended.
    Warning,
    /// The agent does not start.
    Error,
}

impl Finding {
    pub(super) fn error(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into(), severity: Severity::Error }
    }

    pub(super) fn warning(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into(), severity: Severity::Warning }
    }
}

/// Any wait: from a second to a day. A longer one is a slip of the pen, and would overflow clocks.
pub(super) const SECONDS: RangeInclusive<u64> = 1..=86_400;

/// How long anything may be remembered: ten years.
pub(super) const DAYS: RangeInclusive<u64> = 1..=3650;

/// An error unless `value` is within `bounds`.
pub(super) fn within(key: &str, value: u64, bounds: &RangeInclusive<u64>) -> Option<Finding> {
    let problem = format!("is {value}: must be between {} and {}", bounds.start(), bounds.end());
    (!bounds.contains(&value)).then(|| Finding::error(key, problem))
}

/// An error with `problem` unless it `holds`.
pub(super) fn require(holds: bool, key: &str, problem: impl Into<String>) -> Option<Finding> {
    (!holds).then(|| Finding::error(key, problem))
}

/// An error for each of these paths that is not absolute.
pub(super) fn absolute(key: &str, paths: &[PathBuf]) -> Vec<Finding> {
    let relative = paths.iter().filter(|path| !path.is_absolute());
    let problem = |path: &PathBuf| format!("`{}` is not an absolute path, from / on", path.display());
    relative.map(|path| Finding::error(key, problem(path))).collect()
}

/// Whether an address has no port, or one that exists. The parser takes any digits, and whoever asks it for a number that is
/// too big is told that there is no port.
pub(super) fn has_usable_port(address: &Uri) -> bool {
    let host = address.host().unwrap_or_default();
    let authority = address.authority().map_or("", |authority| authority.as_str());
    let behind_user = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = behind_user.strip_prefix(host).unwrap_or_default();
    matches!(port, "" | ":") || address.port_u16().is_some_and(|port| port != 0)
}

/// Tries a number of a section at the edges of its bounds: outside is an error with its key, inside is none.
#[cfg(test)]
pub(super) fn assert_bounds<S: Section + Clone>(
    good: &S,
    key: &str,
    bounds: &RangeInclusive<u64>,
    set: fn(&mut S, u64),
) {
    let found = |value: u64| {
        let mut section = good.clone();
        set(&mut section, value);
        let key = format!("{}.{key}", S::NAME);
        section.findings().into_iter().any(|f| f.key == key && f.severity == Severity::Error)
    };
    let (lowest, highest) = (*bounds.start(), *bounds.end());
    let outside = [lowest.checked_sub(1), Some(highest + 1), Some(i64::MAX as u64)];
    for value in outside.into_iter().flatten() {
        assert!(found(value), "{}.{key} = {value} is taken", S::NAME);
    }
    for value in [lowest, highest] {
        assert!(!found(value), "{}.{key} = {value} is refused", S::NAME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_none_or_a_number_below_65536() {
        for (address, usable) in [
            ("http://proxy", true),
            ("http://proxy:", true),
            ("http://proxy:1", true),
            ("proxy:65535", true),
            ("http://[::1]:3128/", true),
            ("http://u:p@[::1]", true),
            ("http://u:p@proxy:3128", true),
            ("http://u:p@proxy:99999", false),
            ("http://proxy:65536/path", false),
            ("proxy:99999", false),
            ("http://proxy:0", false),
            ("http://[::1]:99999", false),
        ] {
            assert_eq!(has_usable_port(&address.parse().unwrap()), usable, "{address}");
        }
    }
}
