//! The file with CA certificates that are trusted beside the system's.

use std::io;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Finding;
use crate::chain::Chain;

/// The certificates of a PEM file; an error if there is none in it.
pub(crate) fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let text = std::fs::read(path)?;
    let found = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "there is no certificate in it"));
    }
    let mut roots = RootCertStore::empty();
    for certificate in &found {
        roots
            .add(certificate.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    }
    Ok(found)
}

/// What is wrong with the configured file.
pub(super) fn finding(path: &Path) -> Option<Finding> {
    let error = certificates(path).err()?;
    let path = path.display();
    Some(Finding::error(
        "api.ca-file",
        format!(
            "{path} cannot be used: {}; it must hold certificates in PEM and be readable by the agent's user",
            Chain(&error)
        ),
    ))
}
