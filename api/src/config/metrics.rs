//! Who may read metrics.

use super::reader::Reader;
use super::secret::Secret;

const LEAST_TOKEN: usize = 16;

/// Who may read metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Whose word is not asked for: `REFLECTOR_API_METRICS`.
    pub readers: MetricsReaders,
    /// The bearer token that lets anybody else in: `REFLECTOR_API_METRICS_TOKEN`.
    pub token: Option<Secret>,
}

/// Who may read metrics without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsReaders {
    /// Nobody.
    Nobody,
    /// Whoever asks from this host.
    ThisHost,
    /// Everybody.
    Everybody,
}

impl Metrics {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let readers = match reader.text_or("REFLECTOR_API_METRICS", "loopback").as_str() {
            "loopback" => MetricsReaders::ThisHost,
            "any" => MetricsReaders::Everybody,
            "off" => MetricsReaders::Nobody,
            other => {
                let message =
                    format!("{other:?} is nobody who reads metrics; there are loopback, any and off");
                reader.error("REFLECTOR_API_METRICS", message);
                MetricsReaders::Nobody
            }
        };
        let token = reader.secret("REFLECTOR_API_METRICS_TOKEN", LEAST_TOKEN, "openssl rand -hex 16");
        Self { readers, token }
    }
}
