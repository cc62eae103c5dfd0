//! The host's files and users, as they are below a root: `/`, or a tree that a test has made.

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The longest file that is read: configurations and scripts are shorter.
const LONGEST: u64 = 4 << 20;

/// A host's file system.
#[derive(Debug, Clone)]
pub(super) struct Host {
    root: PathBuf,
}

/// Somebody, as the system's files know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    /// Every group that they are in.
    pub(super) groups: Vec<u32>,
}

/// What the bits of a file's mode are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Read = 4,
    Write = 2,
    Enter = 1,
}

/// To whom a file or directory belongs, and what they and others may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

impl From<&Metadata> for Access {
    fn from(metadata: &Metadata) -> Self {
        Self { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() & 0o7777 }
    }
}

impl Access {
    /// Whether `user` may, as far as the mode tells: access lists are not looked at.
    pub(super) fn allows(self, user: &User, need: Need) -> bool {
        let shift = match self {
            _ if user.uid == 0 => return need != Need::Enter || self.mode & 0o111 != 0,
            Self { uid, .. } if uid == user.uid => 6,
            Self { gid, .. } if user.groups.contains(&gid) => 3,
            _ => 0,
        };
        (self.mode >> shift) & need as u32 != 0
    }
}

impl Host {
    pub(super) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether this is the running system, whose programs can be asked too.
    pub(super) fn is_this(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where an absolute path is below the root.
    pub(super) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(super) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.at(path).exists()
    }

    /// A file's text, what is no text replaced.
    pub(super) fn read(&self, path: impl AsRef<Path>) -> io::Result<String> {
        let mut bytes = Vec::new();
        std::fs::File::open(self.at(path))?.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn access(&self, path: impl AsRef<Path>) -> io::Result<Access> {
        std::fs::metadata(self.at(path)).map(|metadata| Access::from(&metadata))
    }

    /// Whoever has this name.
    pub(super) fn user(&self, name: &str) -> Option<User> {
        self.find_user(|fields| fields[0] == name)
    }

    /// Whoever has this number, with or without a name.
    pub(super) fn user_with(&self, uid: u32) -> User {
        let number = uid.to_string();
        self.find_user(|fields| fields[2] == number).unwrap_or(User { name: number, uid, groups: vec![] })
    }

    /// The group's name, or its number.
    pub(super) fn group(&self, gid: u32) -> String {
        let number = gid.to_string();
        let groups = self.read("/etc/group").unwrap_or_default();
        let name = groups.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.get(2) == Some(&number.as_str())).then(|| fields[0].to_owned())
        });
        name.unwrap_or(number)
    }

    fn find_user(&self, wanted: impl Fn(&[&str]) -> bool) -> Option<User> {
        let users = self.read("/etc/passwd").ok()?;
        let line = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let fields = line.filter(|fields| fields.len() >= 4).find(|fields| wanted(fields))?;
        let mut groups: Vec<u32> = fields[3].parse().into_iter().collect();
        for line in self.read("/etc/group").unwrap_or_default().lines() {
            let group: Vec<&str> = line.split(':').collect();
            if let [_, _, gid, members] = group[..]
                && members.split(',').any(|member| member == fields[0])
                && let Ok(gid) = gid.parse()
            {
                groups.push(gid);
            }
        }
        Some(User { name: fields[0].to_owned(), uid: fields[2].parse().ok()?, groups })
    }

    /// The first directory on the way to `path` that `user` may not enter.
    pub(super) fn barred(&self, user: &User, path: &Path) -> Option<PathBuf> {
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        let closed =
            |directory: &&Path| self.access(directory).is_ok_and(|access| !access.allows(user, Need::Enter));
        above.into_iter().find(closed).map(Path::to_path_buf)
    }

    /// The version of an installed Debian package.
    pub(super) fn package(&self, wanted: impl Fn(&str) -> bool) -> Option<(String, String)> {
        let status = self.read("/var/lib/dpkg/status").ok()?;
        status.split("\n\n").find_map(|entry| {
            let field = |name: &str| entry.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let (package, version) = (field("Package:")?, field("Version:")?);
            let installed = field("Status:")?.ends_with(" installed");
            (installed && wanted(package)).then(|| (package.to_owned(), version.to_owned()))
        })
    }

    /// The options of the mount that `path` is on.
    pub(super) fn mount_options(&self, path: &Path) -> Option<String> {
        let mounts = self.read("/proc/self/mounts").ok()?;
        let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let on = fields.filter(|fields| fields.len() >= 4 && path.starts_with(fields[1]));
        // The last of the longest: a later mount covers an earlier one.
        on.max_by_key(|fields| fields[1].len()).map(|fields| fields[3].to_owned())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A host in a directory, with these files.
    pub(in crate::cli::doctor) fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::new(directory.path());
        for (path, text) in files {
            let path = host.at(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        (directory, host)
    }

    #[test]
    fn a_mode_is_read_for_the_owner_or_else_a_group_or_else_others() {
        let user = |uid, groups: &[u32]| User { name: "x".into(), uid, groups: groups.to_vec() };
        let access = |mode| Access { uid: 10, gid: 20, mode };
        for (mode, user, need, expected) in [
            (0o700, user(10, &[]), Need::Write, true),
            (0o700, user(11, &[20]), Need::Read, false),
            (0o750, user(11, &[20]), Need::Enter, true),
            (0o750, user(11, &[20]), Need::Write, false),
            (0o755, user(11, &[21]), Need::Read, true),
            // The owner is judged by the owner's bits alone.
            (0o077, user(10, &[20]), Need::Read, false),
            (0o000, user(0, &[]), Need::Write, true),
            (0o644, user(0, &[]), Need::Enter, false),
        ] {
            assert_eq!(access(mode).allows(&user, need), expected, "{mode:o} {user:?} {need:?}");
        }
    }

    #[test]
    fn users_groups_packages_and_mounts_are_found_in_their_files() {
        let (_directory, host) = tree(&[
            ("/etc/passwd", "root:x:0:0::/root:/bin/sh\njibri:x:900:901::/home/jibri:/bin/sh\n"),
            ("/etc/group", "jibri:x:901:\njitsi:x:902:jvb,jibri\naudio:x:903:\n"),
            (
                "/var/lib/dpkg/status",
                "Package: jicofo\nStatus: install ok installed\nVersion: 1\n\nPackage: prosody\nStatus: deinstall ok config-files\nVersion: 0.11\n\nPackage: prosody-13.0\nStatus: install ok installed\nVersion: 13.0.1-1\n",
            ),
            ("/proc/self/mounts", "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw,noexec 0 0\n"),
        ]);
        assert_eq!(
            host.user("jibri").unwrap(),
            User { name: "jibri".into(), uid: 900, groups: vec![901, 902] }
        );
        assert_eq!(host.user_with(900).name, "jibri");
        assert_eq!(host.user_with(77).name, "77");
        assert_eq!((host.group(902), host.group(5)), ("jitsi".into(), "5".into()));
        let prosody = host.package(|name| name.starts_with("prosody"));
        assert_eq!(prosody, Some(("prosody-13.0".into(), "13.0.1-1".into())));
        assert_eq!(host.mount_options(Path::new("/tmp/x")).as_deref(), Some("rw,noexec"));
        assert_eq!(host.mount_options(Path::new("/tmpfile")).as_deref(), Some("rw"));
    }
}
