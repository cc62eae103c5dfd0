//! Jibri's own configuration, as far as the agent cares.
//!
//! Jibri's launcher passes it two files: `config.json`, the older form, whose keys count where they are set, and
//! `jibri.conf`, which is HOCON with includes and substitutions. Both hold passwords: nothing but the keys named here is
//! taken, and of a file that cannot be understood only the line is told.

use std::path::{Path, PathBuf};

use hocon::{Config, HoconError, ParseOptions, ResolveOptions};

/// Where recordings go when Jibri is not told: the default in its own program.
pub const DEFAULT_RECORDINGS: &str = "/tmp/recordings";

/// What Jibri takes for "no finalize script": the default in its own program, which never exists.
pub const DEFAULT_FINALIZE: &str = "/path/to/finalize";

/// The port on which Jibri says how it is.
pub const DEFAULT_PORT: u16 = 2222;

/// The files, in the order in which their keys count, each with what it calls things.
const FILES: [Names; 2] = [
    Names {
        file: "config.json",
        recordings: "recording_directory",
        finalize: "finalize_recording_script_path",
        port: None,
    },
    Names {
        file: "jibri.conf",
        recordings: "jibri.recording.recordings-directory",
        finalize: "jibri.recording.finalize-script",
        port: Some("jibri.api.http.external-api-port"),
    },
];

struct Names {
    file: &'static str,
    recordings: &'static str,
    finalize: &'static str,
    port: Option<&'static str>,
}

/// What Jibri is configured to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// The files that exist, whether they could be read or not; none where there is no Jibri.
    pub files: Vec<PathBuf>,
    /// Where recordings go; `None` if no file says so.
    pub recordings: Option<Setting>,
    /// The script that is run when a recording is finished; `None` if no file names one.
    pub finalize: Option<Setting>,
    /// The port on which Jibri says how it is.
    pub port: Option<u16>,
    /// What could not be understood, with the next step. What it would have said is not known.
    pub troubles: Vec<String>,
}

/// A path that a file sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The path.
    pub path: PathBuf,
    /// The file that says so.
    pub file: PathBuf,
    /// The key in that file.
    pub key: &'static str,
}

impl Configuration {
    /// Reads the first of these directories that holds any of Jibri's files.
    pub fn read(directories: &[PathBuf]) -> Self {
        let mut found = directories.iter().map(|directory| Self::read_one(directory));
        found.find(|configuration| !configuration.files.is_empty()).unwrap_or_default()
    }

    fn read_one(directory: &Path) -> Self {
        let mut all = Self::default();
        for names in &FILES {
            let file = directory.join(names.file);
            // A file that may not even be asked for is there as far as we know.
            if !file.try_exists().unwrap_or(true) {
                continue;
            }
            match parse(&file) {
                Ok(config) => all.take(names, &file, &config),
                Err(problem) => all.troubles.push(format!("{} {problem}", file.display())),
            }
            all.files.push(file);
        }
        all
    }

    /// Takes what this file says and no file before it said.
    fn take(&mut self, names: &Names, file: &Path, config: &Config) {
        let mut path = |key: &'static str| match config.get_string(key) {
            Ok(path) if !path.is_empty() => Some(Setting { path: path.into(), file: file.to_owned(), key }),
            Err(error) if error.is_not_resolved() => {
                let file = file.display();
                self.troubles.push(format!(
                    "{file} makes {key} of a variable of Jibri's environment, which is not known here: set `roots` in [recordings]"
                ));
                None
            }
            Ok(_) | Err(_) => None,
        };
        let (recordings, finalize) = (path(names.recordings), path(names.finalize));
        let port = names.port.and_then(|key| config.get_i64(key).ok());
        self.recordings = self.recordings.take().or(recordings);
        self.finalize = self.finalize.take().or(finalize);
        self.port = self.port.or(port.and_then(|port| u16::try_from(port).ok()));
    }

    /// Where this Jibri keeps its recordings and who says so; `None` when nobody can know.
    pub fn recordings_directory(&self) -> Option<PathBuf> {
        match &self.recordings {
            Some(setting) => Some(setting.path.clone()),
            None if self.files.is_empty() || !self.troubles.is_empty() => None,
            None => Some(DEFAULT_RECORDINGS.into()),
        }
    }
}

/// Reads a file and what it includes. Variables of an environment are not resolved: ours is not Jibri's.
fn parse(file: &Path) -> Result<Config, String> {
    let options = ParseOptions::defaults().with_resolve_substitutions(false);
    let resolve = ResolveOptions::defaults().with_use_system_environment(false).with_allow_unresolved(true);
    hocon::parse_file_with_options(file, options).and_then(|config| config.resolve(resolve)).map_err(|error| {
        // Not the error's own display: it may show what stands there, and passwords do.
        match error {
            HoconError::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                "cannot be read: permission denied; add the agent's user to the group of that file, or set `roots` in [recordings]".to_owned()
            }
            HoconError::Io(error) => format!("cannot be read: {}", error.kind()),
            HoconError::Parse(error) => format!("is not valid HOCON: line {}", error.line),
            HoconError::Resolve(error) => format!("includes or refers to something that cannot be read: line {}", error.line),
            _ => "cannot be understood".to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with these files below it.
    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        directory
    }

    fn read(files: &[(&str, &str)]) -> (Configuration, tempfile::TempDir) {
        let directory = directory(files);
        (Configuration::read(&[directory.path().to_owned()]), directory)
    }

    fn recordings(files: &[(&str, &str)]) -> Option<String> {
        read(files).0.recordings_directory().map(|path| path.display().to_string())
    }

    #[test]
    fn the_directory_is_found_however_it_is_written() {
        for (text, expected) in [
            ("jibri { }", "/tmp/recordings"),
            ("", "/tmp/recordings"),
            ("jibri { recording { recordings-directory = \"/srv/recordings\" } }", "/srv/recordings"),
            ("jibri.recording.recordings-directory = /srv/recordings", "/srv/recordings"),
            ("jibri { recording.recordings-directory: \"/srv/a b\" } // why", "/srv/a b"),
            ("# one\njibri { recording {\n recordings-directory = /a\n recordings-directory = /b\n} }", "/b"),
            ("base = /srv\njibri.recording { recordings-directory = ${base}/recordings }", "/srv/recordings"),
            ("jibri { home = /srv, recording { recordings-directory = ${jibri.home}\"/rec\" } }", "/srv/rec"),
            (
                "jibri.recording.recordings-directory = /a\njibri.recording.recordings-directory = ${?RECORDINGS}",
                "/a",
            ),
            ("jibri { ffmpeg.input = ${elsewhere}, recording.recordings-directory = /a }", "/a"),
            ("{\"jibri\": {\"recording\": {\"recordings-directory\": \"/json\"}}}", "/json"),
            ("jibri { recording { recordings-directory = \"\"\"/raw\"\"\" } }", "/raw"),
            ("jibri { recording { recordings-directory = \"\" } }", "/tmp/recordings"),
        ] {
            assert_eq!(recordings(&[("jibri.conf", text)]).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_included_counts_where_it_is_included() {
        let custom = ("custom-jibri.conf", "recording { recordings-directory = /custom }");
        for (text, expected) in [
            ("jibri { recording { recordings-directory = /a }, include \"custom-jibri.conf\" }", "/custom"),
            ("jibri { include \"custom-jibri.conf\"\n recording { recordings-directory = /a } }", "/a"),
            ("jibri { recording.recordings-directory = /a\n include \"not-there.conf\" }", "/a"),
        ] {
            assert_eq!(recordings(&[("jibri.conf", text), custom]).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_older_file_counts_where_it_says_something() {
        let conf =
            ("jibri.conf", "jibri { recording { recordings-directory = /new, finalize-script = /new.sh } }");
        let json = "{\n // a comment\n \"recording_directory\": \"/old\", \"xmpp_environments\": [{\"name\": \"x\"}]\n}";
        let (both, directory) = read(&[conf, ("config.json", json)]);
        let said = both.recordings.unwrap();
        assert_eq!((said.path, said.key), ("/old".into(), "recording_directory"));
        assert_eq!(said.file, directory.path().join("config.json"));
        assert_eq!(both.finalize.unwrap().path, PathBuf::from("/new.sh"), "the other file says this alone");
        assert_eq!(recordings(&[conf, ("config.json", "{}")]).as_deref(), Some("/new"));
    }

    #[test]
    fn the_first_directory_with_a_configuration_counts_and_none_is_no_error() {
        let (first, second) =
            (directory(&[]), directory(&[("jibri.conf", "jibri.api.http.external-api-port = 4444")]));
        let places = [first.path().to_owned(), second.path().to_owned()];
        assert_eq!(Configuration::read(&places).port, Some(4444));
        assert_eq!(Configuration::read(&places[..1]), Configuration::default());
        assert_eq!(Configuration::default().recordings_directory(), None, "there is no Jibri");
    }

    #[test]
    fn what_cannot_be_understood_is_told_without_what_stands_there() {
        for (text, expected) in [
            ("jibri {\n password = \"hunter2\n}", "line 2"),
            ("jibri { password = hunter2\n include required(\"hunter2.conf\") }", "line"),
            ("jibri.recording.recordings-directory = ${HOME}/rec", "set `roots` in [recordings]"),
        ] {
            let (found, _directory) = read(&[("jibri.conf", text)]);
            let said = found.troubles.join("\n");
            assert!(said.contains(expected) && !said.contains("hunter2"), "{text}: {said}");
            assert_eq!(found.recordings_directory(), None, "nobody can know: {text}");
        }
    }
}
