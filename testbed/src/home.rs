//! Directories for programs that run as another user.

use std::os::unix::fs::PermissionsExt;

use anyhow::Context;
use tempfile::TempDir;

/// A new directory on a disk (`/tmp` may be memory, where a sync costs nothing) that every user can enter. It goes when dropped.
pub fn directory() -> anyhow::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("reflector-testbed-")
        .permissions(PermissionsExt::from_mode(0o755))
        .tempdir_in("/var/tmp")
        .context("cannot create a directory in /var/tmp")
}
