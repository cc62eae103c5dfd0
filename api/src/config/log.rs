//! What is logged, and how.

use tracing_subscriber::EnvFilter;

use super::reader::Reader;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How lines look: `REFLECTOR_API_LOG_FORMAT`.
    pub format: LogFormat,
    /// Which lines there are, as `tracing_subscriber` reads it: `RUST_LOG`, else state changes and worse.
    pub filter: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per event.
    Plain,
    /// One JSON object per event.
    Json,
}

impl Log {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let filter = reader.text_or("RUST_LOG", "info");
        if let Err(error) = EnvFilter::builder().parse(&filter) {
            reader.error(
                "RUST_LOG",
                format!("{filter:?} is no filter ({error}); write a level such as info, or api=debug,info"),
            );
        }
        Self { format: LogFormat::read(reader), filter }
    }
}

impl LogFormat {
    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.text_or("REFLECTOR_API_LOG_FORMAT", "plain").as_str() {
            "plain" => Self::Plain,
            "json" => Self::Json,
            other => {
                let message = format!("{other:?} is no log format; there are plain and json");
                reader.error("REFLECTOR_API_LOG_FORMAT", message);
                Self::Plain
            }
        }
    }
}
