//! Whom the private Postgres runs as.

use nix::unistd::{Gid, Uid, User};

use super::Error;

/// The account that owns the data and runs the server.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether this process runs as somebody else, namely root, and has to hand things over.
    pub(super) is_other: bool,
}

/// This process's own user; when that is root, the service's user if it exists, else the one that Postgres packages make.
pub(super) fn choose() -> Result<Owner, Error> {
    if !Uid::effective().is_root() {
        let uid = Uid::effective();
        let name = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
        return Ok(Owner { name, uid: uid.as_raw(), gid: Gid::effective().as_raw(), is_other: false });
    }
    ["reflector-api", "postgres"]
        .into_iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .map(|user| Owner { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), is_other: true })
        .ok_or(Error::NoOwner)
}

impl Owner {
    /// A command that runs as this user, in an environment of its own: variables like `PGDATA` or `LANG` of whoever starts the
    /// service must not reach the server.
    pub(super) fn command(&self, program: std::path::PathBuf) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        if self.is_other {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }
}
