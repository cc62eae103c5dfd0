//! Where recordings are looked for.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use super::configuration::{Configuration, Setting};
use crate::config;
use crate::kept;

/// Where the Jitsi guide puts recordings.
const GUIDE: &str = "/var/recordings";

/// Where docker-jitsi-meet's Jibri puts them, inside its container: the old place and the new one.
const CONTAINER: [&str; 2] = ["/config/recordings", "/storage/recordings"];

/// Where the same directories are on the container's host, below the home of whoever runs it.
const CONTAINER_HOST: [&str; 2] =
    [".jitsi-meet-cfg/jibri/recordings", ".jitsi-meet-cfg/storage/jibri/recordings"];

/// A directory in which recordings are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The directory; it may not exist yet.
    pub path: PathBuf,
    /// Who says so.
    pub origin: Origin,
}

/// Who says that recordings are in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The operator, in our own configuration.
    Operator,
    /// Jibri's configuration.
    Jibri(Setting),
    /// Jibri's program, whose configuration names no directory.
    JibriDefault,
    /// Nobody: it is where the guide or docker-jitsi-meet puts them.
    Custom,
    /// `reflector-agent finalize`, which kept recordings from a script that deletes them.
    Kept,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("`roots` in [recordings]"),
            Self::Jibri(setting) => write!(f, "`{}` in {}", setting.key, setting.file.display()),
            Self::JibriDefault => f.write_str("the default of Jibri, whose configuration names none"),
            Self::Custom => f.write_str("a customary place"),
            Self::Kept => f.write_str("kept from a finalize script"),
        }
    }
}

/// Finds the roots, again and again: they are known once Jibri is installed, perhaps after the agent.
#[derive(Debug, Clone)]
pub struct Finder {
    /// What the operator says; then nothing else is looked at.
    roots: Vec<PathBuf>,
    /// Where Jibri's configuration may be.
    jibri: Vec<PathBuf>,
    /// The top of the file system, for tests another one.
    top: PathBuf,
}

/// What a [`Finder`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The roots, each once.
    pub roots: Vec<Root>,
    /// Jibri's configuration.
    pub jibri: Configuration,
    /// What an operator should know.
    pub advice: Vec<String>,
}

impl Finder {
    /// A finder with these settings.
    pub fn new(recordings: &config::Recordings, jibri: &config::Jibri) -> Self {
        Self { roots: recordings.roots.clone(), jibri: jibri.configuration.clone(), top: "/".into() }
    }

    /// Looks.
    pub fn find(&self) -> Found {
        let jibri = Configuration::read(&self.jibri);
        let mut advice = jibri.troubles.clone();
        let roots = if self.roots.is_empty() {
            self.roots_of(&jibri)
        } else {
            advice.extend(self.overlooked(&jibri));
            self.roots.iter().map(|path| Root { path: path.clone(), origin: Origin::Operator }).collect()
        };
        let kept = |root: &Root| Root { path: root.path.join(kept::DIRECTORY), origin: Origin::Kept };
        let kept: Vec<Root> = roots.iter().map(kept).filter(|root| root.path.is_dir()).collect();
        let mut known = HashSet::new();
        let roots =
            roots.into_iter().chain(kept).filter(|root: &Root| known.insert(root.path.clone())).collect();
        Found { roots, jibri, advice }
    }

    /// What Jibri says, and the customary places that exist. On a host that says nothing the guide's place may come later.
    fn roots_of(&self, jibri: &Configuration) -> Vec<Root> {
        let said = jibri.recordings_directory().map(|path| {
            let origin = jibri.recordings.clone().map_or(Origin::JibriDefault, Origin::Jibri);
            Root { path, origin }
        });
        let custom = |path: PathBuf| Root { path, origin: Origin::Custom };
        let guide = self.top.join(GUIDE.trim_start_matches('/'));
        let mut roots: Vec<Root> = said.into_iter().collect();
        if roots.is_empty() || guide.is_dir() {
            roots.push(custom(guide));
        }
        roots.extend(self.container_places().into_iter().filter(|path| path.is_dir()).map(custom));
        roots
    }

    fn container_places(&self) -> Vec<PathBuf> {
        let below = |path: &str| self.top.join(path.trim_start_matches('/'));
        let mut homes = vec![below("/root")];
        if let Ok(entries) = std::fs::read_dir(below("/home")) {
            homes.extend(entries.flatten().map(|entry| entry.path()));
        }
        homes.sort();
        let on_host = homes.iter().flat_map(|home| CONTAINER_HOST.map(|path| home.join(path)));
        CONTAINER.into_iter().map(below).chain(on_host).collect()
    }

    /// Whether Jibri writes somewhere where the operator does not have us look.
    fn overlooked(&self, jibri: &Configuration) -> Option<String> {
        let setting = jibri.recordings.clone().filter(|setting| !self.roots.contains(&setting.path))?;
        let (path, origin) = (setting.path.display().to_string(), Origin::Jibri(setting));
        Some(format!(
            "Jibri writes its recordings to {path} ({origin}), which is not among `roots` in [recordings]: they are not seen"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn finder(top: &Path, roots: &[&str]) -> Finder {
        Finder {
            roots: roots.iter().map(PathBuf::from).collect(),
            jibri: vec![top.join("etc/jitsi/jibri")],
            top: top.to_owned(),
        }
    }

    fn make(top: &Path, directories: &[&str]) {
        for directory in directories {
            fs::create_dir_all(top.join(directory)).unwrap();
        }
    }

    fn configure(top: &Path, text: &str) {
        make(top, &["etc/jitsi/jibri"]);
        fs::write(top.join("etc/jitsi/jibri/jibri.conf"), text).unwrap();
    }

    fn found(top: &Path, roots: &[&str]) -> Vec<String> {
        let found = finder(top, roots).find();
        let shown = |root: &Root| {
            let path = root.path.strip_prefix(top).unwrap_or(&root.path).display().to_string();
            let origin = root.origin.to_string();
            format!("{path}: {}", origin.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        };
        found.roots.iter().map(shown).collect()
    }

    #[test]
    fn a_host_that_says_nothing_has_the_guides_place_even_before_it_exists() {
        let top = tempfile::tempdir().unwrap();
        assert_eq!(found(top.path(), &[]), ["var/recordings: a customary"]);
    }

    #[test]
    fn the_operator_is_asked_first_then_jibri_then_custom() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path();
        configure(top, "jibri { }");
        assert_eq!(found(top, &[]), ["/tmp/recordings: the default"]);
        make(top, &["var/recordings"]);
        assert_eq!(found(top, &[]), ["/tmp/recordings: the default", "var/recordings: a customary"]);
        configure(top, "jibri.recording.recordings-directory = /srv/rec");
        assert_eq!(
            found(top, &[]),
            ["/srv/rec: `jibri.recording.recordings-directory` in", "var/recordings: a customary"]
        );
        assert_eq!(found(top, &["/a", "/b", "/a"]), ["/a: `roots` in", "/b: `roots` in"]);
    }

    #[test]
    fn both_layouts_of_docker_jitsi_meet_are_found_in_the_container_and_on_its_host() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path();
        make(
            top,
            &["config/recordings", "storage/recordings", "home/b/.jitsi-meet-cfg/storage/jibri/recordings"],
        );
        make(top, &["home/a", "root/.jitsi-meet-cfg/jibri/recordings"]);
        let paths: Vec<String> =
            found(top, &[]).iter().filter_map(|root| Some(root.split_once(':')?.0.to_owned())).collect();
        assert_eq!(
            paths,
            [
                "var/recordings",
                "config/recordings",
                "storage/recordings",
                "home/b/.jitsi-meet-cfg/storage/jibri/recordings",
                "root/.jitsi-meet-cfg/jibri/recordings"
            ]
        );
    }

    #[test]
    fn a_directory_of_jibri_that_the_operator_left_out_is_told() {
        let directory = tempfile::tempdir().unwrap();
        configure(directory.path(), "jibri.recording.recordings-directory = /srv/rec");
        for (roots, told) in [(&["/a"][..], true), (&["/a", "/srv/rec"], false), (&[], false)] {
            let advice = finder(directory.path(), roots).find().advice;
            assert_eq!(
                advice.iter().any(|advice| advice.contains("/srv/rec")),
                told,
                "{roots:?}: {advice:?}"
            );
        }
    }
}
