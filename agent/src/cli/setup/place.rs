//! Where `setup` writes, and how that place is set up now.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use host::durable::{self, Wanted};

use super::drop_in;
use crate::config::{self, Environment};

/// Who the service runs as, and the group that may read its configuration.
const GROUP: &str = "reflector-agent";

/// The groups of a host.
const GROUPS: &str = "etc/group";

/// A host's configuration directory: this one's, or that of a tree that becomes a host.
pub(super) struct Place {
    pub(super) main: PathBuf,
    pub(super) drop_in: PathBuf,
    pub(super) secret: PathBuf,
    /// The group of the agent's user; `None` if it does not exist there.
    pub(super) group: Option<u32>,
}

/// How the agent is set up already.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) url: Option<String>,
    pub(super) agent_id: Option<String>,
    pub(super) has_secret: bool,
}

impl Place {
    /// The place in the tree of `root`.
    ///
    /// # Errors
    ///
    /// A link on the way to what is read and written there. It would lead out of the tree of an image, into the host.
    pub(super) fn below(root: &Path) -> anyhow::Result<Self> {
        let place = Self::unchecked(root);
        let files = [&place.drop_in, &place.secret, &root.join(GROUPS)];
        match files.iter().find_map(|path| link_on_the_way(root, path)) {
            Some(link) if root != Path::new("/") => Err(anyhow!(
                "{} is a symbolic link, which may lead out of {}, so nothing was written: put what it leads to in its place, or run `reflector-agent setup --root /` in a chroot of that tree",
                link.display(),
                root.display()
            )),
            _ => Ok(place),
        }
    }

    fn unchecked(root: &Path) -> Self {
        let main = root.join(config::DEFAULT_PATH.trim_start_matches('/'));
        let groups = fs::read_to_string(root.join(GROUPS)).unwrap_or_default();
        Self {
            drop_in: main.with_extension("d").join(drop_in::NAME),
            secret: main.with_file_name("secret"),
            group: number_of(GROUP, &groups),
            main,
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let nothing = Environment::empty();
        let api = config::survey(Some(&self.main), &nothing).api;
        let has_secret = fs::metadata(&self.secret).is_ok_and(|metadata| metadata.len() > 0);
        Standing { url: Some(api.url).filter(|url| !url.is_empty()), agent_id: api.agent_id, has_secret }
    }

    /// Writes both files, the secret last: its appearance starts the service. Returns those that were not so already.
    pub(super) fn write(&self, text: &str, secret: Option<&str>) -> Result<Vec<&Path>, (&Path, io::Error)> {
        for directory in [self.main.parent(), self.drop_in.parent()].into_iter().flatten() {
            durable::directory(directory, self.group).map_err(|error| (directory, error))?;
        }
        let line = secret.map(|secret| format!("{}\n", secret.trim()));
        let files =
            [(&self.drop_in, Some(text), 0o640, self.group), (&self.secret, line.as_deref(), 0o600, None)];
        let mut written = Vec::new();
        for (path, text, mode, group) in files {
            let Some(text) = text else { continue };
            let file = Wanted { path, bytes: text.as_bytes(), mode, owner: None, group };
            if file.write().map_err(|error| (path.as_path(), error))? {
                written.push(path.as_path());
            }
        }
        Ok(written)
    }
}

/// The first of the directories between `root` and a file below it that is a link, or that file if it is one.
fn link_on_the_way(root: &Path, file: &Path) -> Option<PathBuf> {
    let mut ways: Vec<&Path> = file.ancestors().take_while(|way| *way != root).collect();
    ways.reverse();
    ways.into_iter().find(|way| way.is_symlink()).map(Path::to_owned)
}

/// A group's number, as `/etc/group` has it.
fn number_of(name: &str, groups: &str) -> Option<u32> {
    let mut fields = groups.lines().map(|line| line.split(':'));
    fields.find_map(|mut fields| (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_the_number_that_its_line_says() {
        let groups = "root:x:0:\nreflector-agent-x:x:7:\nreflector-agent:x:998:someone\nbroken\n";
        for (name, expected) in
            [("reflector-agent", Some(998)), ("root", Some(0)), ("broken", None), ("x", None)]
        {
            assert_eq!(number_of(name, groups), expected, "{name}");
        }
    }

    #[test]
    fn how_a_place_is_set_up_is_read_from_all_its_files() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::below(root.path()).unwrap();
        assert_eq!(place.standing(), Standing::default());
        fs::create_dir_all(place.drop_in.parent().unwrap()).unwrap();
        fs::write(&place.main, "[api]\nurl = \"https://one.example\"\nagent-id = \"a\"\n").unwrap();
        fs::write(&place.drop_in, "[api]\nurl = \"https://two.example\"\n").unwrap();
        fs::write(&place.secret, "").unwrap();
        let expected = |has_secret| Standing {
            url: Some("https://two.example".into()),
            agent_id: Some("a".into()),
            has_secret,
        };
        assert_eq!(place.standing(), expected(false), "an empty file is no secret");
        fs::write(&place.secret, "x").unwrap();
        assert_eq!(place.standing(), expected(true));
    }
}
