//! Whether the service may read its configuration: root, who asks, may read everything, and the service is another user.

use std::path::{Path, PathBuf};

use super::host::{Host, Need, User};
use crate::config::{DEFAULT_PATH, Finding, Severity};

/// The service's user.
const SERVICE: &str = "reflector-agent";

/// An error for each of these files and directories that the service's user may not read, if there is such a user.
pub(super) fn by_service(host: &Host, paths: &[PathBuf]) -> Vec<Finding> {
    host.user(SERVICE).map_or_else(Vec::new, |user| by(host, &user, paths))
}

fn by(host: &Host, user: &User, paths: &[PathBuf]) -> Vec<Finding> {
    let mut closed: Vec<PathBuf> = paths.iter().filter_map(|path| closed(host, user, path)).collect();
    closed.dedup();
    let group = user.groups.first().map_or_else(|| user.name.clone(), |gid| host.group(*gid));
    let finding = |path: PathBuf| Finding {
        problem: format!(
            "{} may not read it, so the service does not start: `{}`",
            user.name,
            opened(&path, host.at(&path).is_dir(), &group)
        ),
        key: path.display().to_string(),
        severity: Severity::Error,
    };
    closed.into_iter().map(finding).collect()
}

/// What keeps `user` from reading this: a directory above it, or itself.
fn closed(host: &Host, user: &User, path: &Path) -> Option<PathBuf> {
    host.barred(user, path).or_else(|| {
        let access = host.access(path).ok()?;
        let needs_entry = host.at(path).is_dir();
        let may = access.allows(user, Need::Read) && (!needs_entry || access.allows(user, Need::Enter));
        (!may).then(|| path.to_owned())
    })
}

/// The command that lets the group read this. A directory of others keeps its group.
fn opened(path: &Path, is_directory: bool, group: &str) -> String {
    let shown = path.display();
    let is_ours = Path::new(DEFAULT_PATH).parent().is_some_and(|ours| path.starts_with(ours));
    match (is_directory, is_ours) {
        (true, false) => format!("chmod a+x {shown}"),
        (true, true) => format!("chgrp {group} {shown} && chmod 2750 {shown}"),
        (false, _) => format!("chgrp {group} {shown} && chmod 640 {shown}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::super::host::tests::tree;
    use super::*;

    #[test]
    fn what_root_can_read_and_the_service_cannot_is_said_with_the_command_that_opens_it() {
        const DIRECTORY: &str = "/etc/reflector-agent/agent.d";
        const FILE: &str = "/etc/reflector-agent/agent.d/10.toml";
        let (directory, host) = tree(&[(FILE, "")]);
        let owner = std::fs::metadata(directory.path()).unwrap();
        let passwd = format!("reflector-agent:x:{}:77::/:/\n", owner.uid() + 1);
        std::fs::write(host.at("/etc/passwd"), passwd).unwrap();
        std::fs::write(host.at("/etc/group"), "agents:x:77:\n").unwrap();
        for (etc, of_directory, of_file, expected) in [
            (0o755, 0o755, 0o644, None),
            (
                0o755,
                0o755,
                0o640,
                Some((FILE, "`chgrp agents /etc/reflector-agent/agent.d/10.toml && chmod 640 ")),
            ),
            (
                0o755,
                0o750,
                0o644,
                Some((DIRECTORY, "`chgrp agents /etc/reflector-agent/agent.d && chmod 2750 ")),
            ),
            (0o700, 0o755, 0o644, Some(("/etc", "`chmod a+x /etc`"))),
        ] {
            for (path, mode) in [("/etc", etc), (DIRECTORY, of_directory), (FILE, of_file)] {
                set_permissions(host.at(path), Permissions::from_mode(mode)).unwrap();
            }
            let found = by_service(&host, &[DIRECTORY.into(), FILE.into()]);
            let said: Vec<_> =
                found.iter().map(|found| (found.key.as_str(), found.problem.as_str())).collect();
            match (expected, &said[..]) {
                (None, []) => {}
                (Some((key, command)), [(of, problem)]) => {
                    assert!(*of == key && problem.contains(command), "{said:?}");
                }
                _ => panic!("{etc:o} {of_directory:o} {of_file:o}: {said:?}"),
            }
        }
    }

    #[test]
    fn where_there_is_no_such_user_nothing_is_said() {
        let (_directory, host) = tree(&[("/etc/passwd", "root:x:0:0::/root:/bin/sh\n"), ("/x.toml", "")]);
        assert!(by_service(&host, &["/x.toml".into()]).is_empty());
    }
}
