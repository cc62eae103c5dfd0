//! Which directories the private Postgres uses.
//!
//! ```text
//! <state>/                 0755, so that the owner gets through
//!   lock                   held by the one process that works here
//!   postgres/              0700, the owner's
//!     data/                what initdb made
//!     start.log            what the server said before it had a log
//!   run/                   0700, the owner's: the socket
//! ```
//!
//! A socket's address has room for 107 bytes. When `<state>/run` is too long for that, a directory below `/run` or `/tmp` takes
//! its place, named after the state directory so that the next start finds it again.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Uid, User};

use super::owner::Owner;
use super::{Error, PORT};

/// The room for a socket's path in `sockaddr_un`, without the final zero.
const MAX_SOCKET_PATH: usize = 107;

/// The directories, all of them there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    state: PathBuf,
    pub(super) data: PathBuf,
    pub(super) socket: PathBuf,
}

impl Place {
    /// Makes what is missing and checks that the owner can get in.
    pub(super) fn prepare(state: &Path, owner: &Owner) -> Result<Self, Error> {
        if !state.is_dir() {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o755).create(state).map_err(failed("make", state))?;
        }
        let state = state.canonicalize().map_err(failed("find", state))?;
        if let Some(directory) = first_closed(&state, owner)? {
            return Err(Error::Inaccessible { user: owner.name.clone(), directory });
        }
        let postgres = state.join("postgres");
        private_directory(&postgres, owner, &state)?;
        let socket = socket_directory(&state);
        private_directory(&socket, owner, &state)?;
        let place = Self { data: postgres.join("data"), socket, state };
        for file in [place.lock_file(), place.start_log()] {
            place.is_writable(&file)?;
        }
        Ok(place)
    }

    /// Makes sure that no second process works here for as long as the lock lives.
    pub(super) fn lock(&self) -> Result<Flock<File>, Error> {
        let path = self.lock_file();
        let file = File::create(&path).map_err(failed("write", &path))?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| Error::InUse(self.state.clone()))
    }

    fn lock_file(&self) -> PathBuf {
        self.state.join("lock")
    }

    /// Whether this process may write `file`, or make it.
    fn is_writable(&self, file: &Path) -> Result<(), Error> {
        match OpenOptions::new().append(true).create(true).open(file) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(not_ours(file, &self.state)),
            Err(error) => Err(failed("write", file)(error)),
            Ok(_) => Ok(()),
        }
    }

    /// The major version of the Postgres that wrote the data; `None` while there is none.
    pub(super) fn data_version(&self) -> Option<u32> {
        fs::read_to_string(self.data.join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    /// Removes a socket directory outside of the state directory, where nobody would know whose it was.
    pub(super) fn tidy(&self) {
        if !self.socket.starts_with(&self.state) {
            // It is empty once the server has stopped; one that is not is left for the next start.
            let _ = fs::remove_dir(&self.socket);
        }
    }

    /// Where the server writes before it has its own log.
    pub(super) fn start_log(&self) -> PathBuf {
        self.data.with_file_name("start.log")
    }
}

/// Makes an error of a file operation.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}

/// The error of what belongs to somebody else in the state directory.
fn not_ours(path: &Path, state: &Path) -> Error {
    let uid = Uid::effective();
    let user = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    Error::NotOurs { path: path.to_owned(), state: state.to_owned(), user }
}

/// Whether there is data below `state`.
pub(super) fn has_data(state: &Path) -> bool {
    state.join("postgres/data/PG_VERSION").is_file()
}

/// Where the socket is of whoever works in `state`.
pub(super) fn socket_of(state: &Path) -> Result<PathBuf, Error> {
    let state = state.canonicalize().map_err(failed("find", state))?;
    Ok(socket_directory(&state))
}

fn socket_directory(state: &Path) -> PathBuf {
    let beside = state.join("run");
    if fits(&beside) {
        return beside;
    }
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    let name = format!("reflector-api-{:016x}", hasher.finish());
    let base = if is_writable(Path::new("/run")) { "/run" } else { "/tmp" };
    Path::new(base).join(name)
}

fn fits(directory: &Path) -> bool {
    directory.join(format!(".s.PGSQL.{PORT}")).as_os_str().len() <= MAX_SOCKET_PATH
}

fn is_writable(directory: &Path) -> bool {
    nix::unistd::access(directory, nix::unistd::AccessFlags::W_OK).is_ok()
}

/// Makes `path` a directory that only the owner can enter. One that is there already and is somebody else's, or a symbolic link,
/// may be a trap and is refused.
fn private_directory(path: &Path, owner: &Owner, state: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(not_ours(path, state)),
        Err(error) => return Err(failed("make", path)(error)),
    }
    let metadata = fs::symlink_metadata(path).map_err(failed("look at", path))?;
    let is_ours = metadata.uid() == owner.uid || metadata.uid() == nix::unistd::Uid::effective().as_raw();
    if metadata.is_dir() && !is_ours && path.starts_with(state) {
        return Err(not_ours(path, state));
    }
    if !metadata.is_dir() || !is_ours {
        let trap = io::Error::other(format!("it is there already and belongs to user {}", metadata.uid()));
        return Err(failed("use", path)(trap));
    }
    if owner.is_other && metadata.uid() != owner.uid {
        chown(path, Some(owner.uid), Some(owner.gid)).map_err(failed("hand over", path))?;
    }
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed("close", path))
}

/// The first directory on the way to `path` that the owner may not enter.
fn first_closed(path: &Path, owner: &Owner) -> Result<Option<PathBuf>, Error> {
    let mut way: Vec<_> = path.ancestors().collect();
    way.reverse();
    for directory in way {
        let metadata = fs::metadata(directory).map_err(failed("look at", directory))?;
        if !may_enter(metadata.mode(), metadata.uid(), metadata.gid(), owner) {
            return Ok(Some(directory.to_owned()));
        }
    }
    Ok(None)
}

fn may_enter(mode: u32, uid: u32, gid: u32, owner: &Owner) -> bool {
    let bit = match () {
        () if uid == owner.uid => 0o100,
        () if gid == owner.gid => 0o010,
        () => 0o001,
    };
    mode & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_open_to_whom_its_mode_says() {
        let owner = Owner { name: "o".into(), uid: 5, gid: 6, is_other: true };
        for (mode, uid, gid, expected) in [
            (0o700, 5, 0, true),
            (0o700, 0, 0, false),
            (0o755, 0, 0, true),
            (0o710, 0, 6, true),
            (0o701, 0, 6, false),
            (0o611, 5, 6, false),
        ] {
            assert_eq!(may_enter(mode, uid, gid, &owner), expected, "{mode:o} {uid} {gid}");
        }
    }

    #[test]
    fn a_socket_moves_to_a_short_path_when_its_own_is_too_long() {
        let short = Path::new("/var/lib/reflector-api");
        assert_eq!(socket_directory(short), short.join("run"));
        let long = Path::new("/var/lib").join("x".repeat(100));
        let moved = socket_directory(&long);
        assert!(fits(&moved), "{}", moved.display());
        assert_eq!(moved, socket_directory(&long));
        assert_ne!(moved, socket_directory(&long.join("y")));
    }
}
