//! Writes the file of settings, so that a crash leaves the old one or the new one.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use host::durable::Wanted;
use nix::unistd::User;

use super::plan::Addition;
use crate::cli::service_user;
use crate::config::Variables;
use crate::config::environment_file::{self, quoted};

/// What a new file begins with.
const HEAD: &str = "\
# The settings of reflector-api, read by systemd: one NAME=value in a line. docs/operations.md names all of them.
# After a change: sudo reflector-api check && sudo systemctl restart reflector-api
";

/// `existing` with `additions`: in the place of another value, which may be a secret and is not to stay, or after everything.
pub(super) fn with(existing: Option<&str>, additions: &[Addition]) -> String {
    let mut text = existing.unwrap_or(HEAD).to_owned();
    for Addition { name, value, why } in additions {
        if let Some(replaced) = environment_file::replaced(&text, name, value) {
            text = replaced;
            continue;
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        write!(text, "\n# {why}\n{name}={}\n", quoted(value)).expect("a text takes everything");
    }
    text
}

/// What the service will read from `text`, if that is what was `known` with `additions`; else the variable that is read otherwise. A quote
/// that is left open and a backslash at the end take what follows for their own.
pub(super) fn reads_back(text: &str, known: &Variables, additions: &[Addition]) -> Result<Variables, String> {
    let mut meant = known.clone();
    meant.extend(additions.iter().map(|addition| (addition.name.to_owned(), addition.value.clone())));
    let read = environment_file::parse(text);
    match meant.iter().find(|(name, value)| read.get(*name) != Some(value)) {
        Some((name, _)) => Err(name.clone()),
        None => Ok(read),
    }
}

/// Makes the directory of `path` if there is none, for the service to look into, as the package does.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    let group = User::from_name(service_user::NAME).ok().flatten().map(|user| user.gid.as_raw());
    host::durable::directory(path.parent().unwrap_or(path), group)
}

/// Puts `text` in the place of `path`. A new file is root's alone; another keeps its owner and its mode.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    // Where the name is a link, what it leads to is written.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = fs::metadata(path).ok();
    let old = old.as_ref();
    let wanted = Wanted {
        path,
        bytes: text.as_bytes(),
        mode: old.map_or(0o600, |old| old.mode() & 0o7777),
        owner: old.map(MetadataExt::uid),
        group: old.map(MetadataExt::gid),
    };
    wanted.write().map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn addition(value: &str) -> Addition {
        Addition { name: "B", value: value.to_owned(), why: "Because." }
    }

    #[test]
    fn what_was_there_stays_and_what_is_added_counts() {
        let text = with(Some("# mine\nB=2\nA=1"), &[addition("3")]);
        assert_eq!(text, "# mine\nB=3\nA=1", "another value does not stay");
        let text = with(Some("# mine\nA=1"), &[addition("3 #")]);
        assert_eq!(text, "# mine\nA=1\n\n# Because.\nB=\"3 #\"\n");
        let read = environment_file::parse(&text);
        assert_eq!((read["A"].as_str(), read["B"].as_str()), ("1", "3 #"));
        assert_eq!(environment_file::parse(&with(None, &[addition("x")])).len(), 1);
    }

    #[test]
    fn what_the_end_of_a_file_would_swallow_or_change_is_noticed() {
        for (existing, lost) in [
            ("A=1\n", None),
            ("", None),
            ("A=1\\", None),
            ("# a comment", None),
            ("A='1\n", Some("A")),
            ("A=\"1", Some("A")),
            ("A='1' 'B=2\n", Some("A")),
            ("A", None),
        ] {
            let additions = [addition("3 #")];
            let (text, known) = (with(Some(existing), &additions), environment_file::parse(existing));
            let read = reads_back(&text, &known, &additions);
            assert_eq!(read.as_ref().err().map(String::as_str), lost, "{existing:?}: {text:?}");
            assert!(read.is_err() || read.unwrap()["B"] == "3 #", "{existing:?}");
        }
        assert_eq!(with(Some("A='1"), &[]), "A='1");
        let unwritable = [addition("a\u{7}")];
        let text = with(None, &unwritable);
        assert_eq!(reads_back(&text, &Variables::new(), &unwritable).unwrap_err(), "B");
    }

    #[test]
    fn a_new_file_is_its_owners_alone_and_another_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.env");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        write(&path, "A=1\n").unwrap();
        assert_eq!((mode(&path), fs::read_to_string(&path).unwrap().as_str()), (0o600, "A=1\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write(&link, "A=2\n").unwrap();
        assert_eq!((mode(&path), fs::read_to_string(&path).unwrap().as_str()), (0o640, "A=2\n"));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing else is left");
    }
}
