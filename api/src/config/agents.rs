//! Agents with a secret of their own.

use super::reader::Reader;
use super::secret::Secret;

/// 128 bits in hexadecimal; the remedy makes twice that.
const LEAST_KEY: usize = 32;

/// Agents with a secret of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agents {
    /// What the secrets of enrolled agents are derived from: `SECRET_KEY`. Without it no agent has one.
    pub secret_key: Option<Secret>,
    /// Whether whoever delivers must be an enrolled agent: `JITSI_REQUIRE_AGENT`.
    pub required: bool,
}

impl Agents {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let is_set = reader.text("SECRET_KEY").is_some();
        let secret_key = reader.secret("SECRET_KEY", LEAST_KEY, "openssl rand -hex 32");
        let required = reader.flag("JITSI_REQUIRE_AGENT", false);
        if required && !is_set {
            reader.error(
                "JITSI_REQUIRE_AGENT",
                "needs SECRET_KEY, which the secrets of agents are derived from; make one with: openssl rand -hex 32",
            );
        }
        Self { secret_key, required }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Surroundings, Variables};

    fn read(variables: &[(&str, &str)]) -> (Agents, Vec<String>) {
        let variables: Variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let read_file = |_: &std::path::Path| Ok(Vec::new());
        let surroundings = Surroundings { read_file: &read_file, is_root: false };
        let mut reader = Reader::new(&variables, &surroundings);
        let agents = Agents::read(&mut reader);
        (agents, reader.into_findings().into_iter().map(|finding| finding.variable).collect())
    }

    #[test]
    fn a_key_is_needed_where_agents_must_be_enrolled_and_a_weak_one_is_refused() {
        let good = "9f8e7d6c5b4a39281706f5e4d3c2b1a0";
        for (variables, has_key, required, found) in [
            (&[][..], false, false, &[][..]),
            (&[("SECRET_KEY", good)], true, false, &[]),
            (&[("SECRET_KEY", good), ("JITSI_REQUIRE_AGENT", "true")], true, true, &[]),
            (&[("JITSI_REQUIRE_AGENT", "true")], false, true, &["JITSI_REQUIRE_AGENT"]),
            (&[("SECRET_KEY", "changeme-f02f86fd8b3e4fd892c6043e5a298e21")], false, false, &["SECRET_KEY"]),
            (&[("SECRET_KEY", "short")], false, false, &["SECRET_KEY"]),
        ] {
            let (agents, findings) = read(variables);
            assert_eq!((agents.secret_key.is_some(), agents.required), (has_key, required), "{variables:?}");
            assert_eq!(findings, found, "{variables:?}");
        }
    }
}
