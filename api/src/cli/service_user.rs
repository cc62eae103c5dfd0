//! Root acts as the service's user on what is the service's.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use anyhow::Context as _;
use nix::fcntl::OFlag;
use nix::unistd::{Uid, User, initgroups, setgid, setuid};

use super::configuration::Settings;
use super::standing::STATE_DIR;
use crate::config::{Config, Database};

/// The user that the package makes.
pub(super) const NAME: &str = "reflector-api";

/// Becomes the service's user where root works with the service's settings: what a private Postgres writes is the service's then, and
/// a Postgres that knows callers by their user knows it. Does nothing for anybody else, or where there is no such user.
pub(super) fn become_it(settings: &Settings, config: &Config) -> anyhow::Result<()> {
    become_one(it(settings.has_file || is_its_place(config)), config)
}

/// The same for a service that root runs by hand, which has no settings but those of its environment.
pub(super) fn serve_as_it(config: &Config) -> anyhow::Result<()> {
    become_one(it(is_its_place(config)), config)
}

fn become_one(user: Option<User>, config: &Config) -> anyhow::Result<()> {
    let Some(user) = user else { return Ok(()) };
    if config.database == Database::Embedded {
        make_state_directory(&config.state_dir, &user)
            .with_context(|| format!("cannot make {}", config.state_dir.display()))?;
    }
    change_to(&user)
}

/// The same before settings are read, for a command that only looks: what they name is read with the service's rights then.
pub(super) fn look_as_it(settings: &Settings) -> anyhow::Result<()> {
    it(settings.has_file).map_or(Ok(()), |user| change_to(&user))
}

/// Whether a private Postgres is the service's: what root left there, the service could not use.
fn is_its_place(config: &Config) -> bool {
    config.database == Database::Embedded && config.state_dir == Path::new(STATE_DIR)
}

/// The user, if this is root on what `is_the_services`, and there is one.
fn it(is_the_services: bool) -> Option<User> {
    let is_concerned = is_the_services && Uid::effective().is_root();
    is_concerned.then(|| User::from_name(NAME).ok().flatten())?
}

/// Whether there is such a user, and this is root.
pub(super) fn is_another() -> bool {
    it(true).is_some()
}

fn change_to(user: &User) -> anyhow::Result<()> {
    let name = std::ffi::CString::new(NAME).expect("the name has no zero byte");
    let changed = initgroups(&name, user.gid).and_then(|()| setgid(user.gid)).and_then(|()| setuid(user.uid));
    changed.with_context(|| format!("cannot become the user {NAME}"))
}

/// Before its first start the service has no state directory, and its user may make none in `/var/lib`.
fn make_state_directory(path: &Path, user: &User) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => give(path, user.uid.as_raw(), user.gid.as_raw()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives a directory away. By its name it might be another one by now: whoever may write beside it may have put a link there.
fn give(path: &Path, user: u32, group: u32) -> io::Result<()> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let directory = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    fchown(directory, Some(user), Some(group))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn a_directory_is_given_away_and_what_a_link_leads_to_is_not() {
        let place = tempfile::tempdir().unwrap();
        let [directory, link, file] = ["directory", "link", "file"].map(|name| place.path().join(name));
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(&file, "").unwrap();
        symlink(&directory, &link).unwrap();
        let own = std::fs::metadata(&directory).unwrap();
        give(&directory, own.uid(), own.gid()).unwrap();
        for other in [&link, &file] {
            give(other, own.uid(), own.gid()).unwrap_err();
        }
    }
}
