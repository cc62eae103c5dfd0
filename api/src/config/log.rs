//! What is logged, and how.

use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};

use super::http::is_web_address;
use super::reader::Reader;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How lines look: `REFLECTOR_API_LOG_FORMAT`.
    pub format: LogFormat,
    /// Which lines there are, as [`Log::targets`] reads it: `RUST_LOG`, else state changes and worse.
    pub filter: String,
    /// The OpenTelemetry collector that gets a span for each request, if one does: `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub traces: Option<String>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Entries with fields where standard error is the journal, and lines of text elsewhere.
    #[default]
    Fitting,
    /// One line of text per event.
    Plain,
    /// One JSON object per event.
    Json,
}

/// What holds before the settings are read, and while they are wrong.
impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::default(), filter: "info".to_owned(), traces: None }
    }
}

impl Log {
    /// The filter, which was found to be one when the settings were read.
    pub fn targets(&self) -> Result<Targets, ParseError> {
        targets(&self.filter)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let filter = reader.text_or("RUST_LOG", "info");
        if let Err(error) = targets(&filter) {
            reader.error(
                "RUST_LOG",
                format!("{filter:?} is no filter ({error}); write a level such as info, or api=debug,info"),
            );
        } else if let Some(word) = misspelt_level(&filter) {
            let message = format!(
                "{word:?} is no level, and would be read as a part of the program; the levels are off, error, warn, info, debug and trace, \
                 and a part is written with one: {word}=debug"
            );
            reader.error("RUST_LOG", message);
        }
        Self { format: LogFormat::read(reader), filter, traces: traces(reader) }
    }
}

/// A level, or levels of parts of the program, separated by commas: `info,api::webhooks=debug`.
fn targets(filter: &str) -> Result<Targets, ParseError> {
    words(filter).collect::<Vec<_>>().join(",").parse()
}

/// A word of `filter` that stands alone and is no level. A filter of nothing else silences all but that part.
fn misspelt_level(filter: &str) -> Option<&str> {
    words(filter).find(|word| !word.contains('=') && word.parse::<LevelFilter>().is_err())
}

fn words(filter: &str) -> impl Iterator<Item = &str> {
    filter.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn traces(reader: &mut Reader<'_>) -> Option<String> {
    const VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let endpoint = reader.text(VARIABLE)?;
    if !is_web_address(&endpoint) {
        reader.error(
            VARIABLE,
            "is no address; write it as http://collector.example.com:4318, for OTLP over HTTP",
        );
        return None;
    }
    Some(endpoint)
}

impl LogFormat {
    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.text("REFLECTOR_API_LOG_FORMAT").as_deref() {
            None => Self::Fitting,
            Some("plain") => Self::Plain,
            Some("json") => Self::Json,
            Some(other) => {
                let message = format!("{other:?} is no log format; there are plain and json");
                reader.error("REFLECTOR_API_LOG_FORMAT", message);
                Self::Fitting
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_parts_are_filters_whatever_blanks_stand_between() {
        use tracing::Level;
        let filter = targets("info, api::webhooks=debug ,").unwrap();
        assert!(filter.would_enable("api::webhooks", &Level::DEBUG));
        assert!(filter.would_enable("api::ingest", &Level::INFO));
        assert!(!filter.would_enable("api::ingest", &Level::DEBUG));
        assert!(targets("api=loud").is_err());
    }

    #[test]
    fn a_word_that_is_no_level_is_found() {
        for (filter, expected) in [
            ("info", None),
            ("WARN", None),
            ("off", None),
            ("3", None),
            ("info, api::webhooks=debug", None),
            ("nonsense", Some("nonsense")),
            ("inof", Some("inof")),
            ("api=debug,inof", Some("inof")),
        ] {
            assert_eq!(misspelt_level(filter), expected, "{filter}");
        }
    }
}
