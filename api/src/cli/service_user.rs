//! Root acts as the service's user on what is the service's.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::Path;

use anyhow::Context as _;
use nix::unistd::{Uid, User, initgroups, setgid, setuid};

use super::configuration::Settings;
use crate::config::{Config, Database};

/// The user that the package makes.
const NAME: &str = "reflector-api";

/// Becomes the service's user where root works with the service's settings: what a private Postgres writes is the service's then, and
/// a Postgres that knows callers by their user knows it. Does nothing for anybody else, or where there is no such user.
pub(super) fn become_it(settings: &Settings, config: &Config) -> anyhow::Result<()> {
    if !settings.has_file || !Uid::effective().is_root() {
        return Ok(());
    }
    let Some(user) = User::from_name(NAME).ok().flatten() else { return Ok(()) };
    if config.database == Database::Embedded {
        make_state_directory(&config.state_dir, &user)
            .with_context(|| format!("cannot make {}", config.state_dir.display()))?;
    }
    let name = std::ffi::CString::new(NAME).expect("the name has no zero byte");
    let changed = initgroups(&name, user.gid).and_then(|()| setgid(user.gid)).and_then(|()| setuid(user.uid));
    changed.with_context(|| format!("cannot become the user {NAME}"))
}

/// Before its first start the service has no state directory, and its user may make none in `/var/lib`.
fn make_state_directory(path: &Path, user: &User) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
