//! `[log]`: what the agent says about itself.

use serde::Deserialize;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::finding::{Finding, Section, require};

/// Log directives as an example.
const DIRECTIVES: &str = "info,agent::delivery=debug";

/// `[log]`: what the agent says about itself, on standard error.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Log {
    /// A level (`error` to `trace`), or directives such as `info,agent::delivery=debug`.
    pub filter: String,
    /// `auto`: with fields of its own in systemd's journal, else `text`. `text` for people, `json` for programs.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// The journal's own where standard error is the journal's, else text.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Auto }
    }
}

impl Section for Log {
    const NAME: &'static str = "log";

    fn findings(&self) -> Vec<Finding> {
        let problem = format!(
            "must be a level (off, error, warn, info, debug, trace) or directives such as `{DIRECTIVES}`"
        );
        require(is_log_filter(&self.filter), "log.filter", problem).into_iter().collect()
    }
}

/// The parser alone takes too much: a bare word that is no level is a module's name to it, and nothing is a level.
fn is_log_filter(text: &str) -> bool {
    let is_directive = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    text.parse::<Targets>().is_ok()
        && text.split(',').all(|part| !part.is_empty() && !part.contains(' ') && is_directive(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_filter_is_a_level_or_directives() {
        for (filter, expected) in [
            ("info", true),
            ("off", true),
            ("warn,agent::spool=trace", true),
            ("warn, agent::spool=trace", false),
            (DIRECTIVES, true),
            ("inof", false),
            ("agent=loud", false),
            ("", false),
        ] {
            assert_eq!(is_log_filter(filter), expected, "{filter}");
        }
    }

    #[test]
    fn the_example_of_directives_names_a_module_of_ours() {
        let (this_crate, _) = module_path!().split_once("::").unwrap();
        let targets: Targets = DIRECTIVES.parse().unwrap();
        assert!(targets.would_enable(&format!("{this_crate}::delivery::lanes"), &tracing::Level::DEBUG));
        assert!(!targets.would_enable(&format!("{this_crate}::spool"), &tracing::Level::DEBUG));
    }
}
