//! What is logged, and how.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::http::is_web_address;
use super::reader::Reader;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How lines look: `REFLECTOR_API_LOG_FORMAT`.
    pub format: LogFormat,
    /// Which lines there are, as `tracing_subscriber` reads it: `RUST_LOG`, else state changes and worse.
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
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let filter = reader.text_or("RUST_LOG", "info");
        if let Err(error) = EnvFilter::builder().parse(&filter) {
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

/// A word of `filter` that stands alone and is no level. A filter of nothing else silences all but that part. Filters of spans, in
/// brackets, have commas of their own and are left to the parser.
fn misspelt_level(filter: &str) -> Option<&str> {
    let mut words = filter.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.find(|word| !filter.contains('[') && !word.contains('=') && word.parse::<LevelFilter>().is_err())
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
    fn a_word_that_is_no_level_is_found() {
        for (filter, expected) in [
            ("info", None),
            ("WARN", None),
            ("off", None),
            ("3", None),
            ("info, api::webhooks=debug", None),
            ("[request{a=1,b=2}]=debug", None),
            ("nonsense", Some("nonsense")),
            ("inof", Some("inof")),
            ("api=debug,inof", Some("inof")),
        ] {
            assert_eq!(misspelt_level(filter), expected, "{filter}");
        }
    }
}
