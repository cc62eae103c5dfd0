//! Whom to trust: the system's CA certificates, and those of the configured file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::{ClientConfig, RootCertStore};

use super::error::ConnectError;
use crate::config::certificates;

/// What certificates are judged by, read when it is needed first.
pub(super) struct Trust {
    ca_file: Option<PathBuf>,
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl Trust {
    pub(super) fn new(ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, config: Mutex::new(None) }
    }

    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, ConnectError> {
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = &*config {
            return Ok(Arc::clone(config));
        }
        Ok(Arc::clone(config.insert(Arc::new(client_config(roots(self.ca_file.as_deref())?)))))
    }

    /// Reads the certificates again next time: somebody may have installed the missing one meanwhile.
    pub(super) fn forget(&self) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, ConnectError> {
    let system = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system's store may hold certificates of forms that nobody uses any more.
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        let failed = |source| ConnectError::CaFile { path: path.to_owned(), source };
        roots.add_parsable_certificates(certificates(path).map_err(failed)?);
    }
    if roots.is_empty() {
        let reason = system.errors.first().map_or_else(|| "none was found".to_owned(), ToString::to_string);
        return Err(ConnectError::NoTrust { reason });
    }
    Ok(roots)
}

fn client_config(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
