//! Where the installed server is.

use std::path::{Path, PathBuf};

use super::Error;

/// The directory with `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries(PathBuf);

impl Binaries {
    pub(super) fn initdb(&self) -> PathBuf {
        self.0.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }
}

/// The newest installed server, or the one of the major version that the data was written by: others cannot read it.
pub(super) fn find(data_version: Option<u32>) -> Result<Binaries, Error> {
    let versioned = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")]
        .into_iter()
        .flat_map(|(parent, prefix)| installed(Path::new(parent), prefix));
    let chosen = choose(versioned.collect(), data_version).or_else(|| in_path(data_version));
    chosen.map(Binaries).ok_or(Error::NoServer { version: data_version })
}

/// The servers below `parent`, in directories that are named after their version.
fn installed(parent: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            let directory = entry.path().join("bin");
            is_server(&directory).then_some((version, directory))
        })
        .collect()
}

fn choose(mut installed: Vec<(u32, PathBuf)>, data_version: Option<u32>) -> Option<PathBuf> {
    installed.retain(|(version, _)| data_version.is_none_or(|wanted| wanted == *version));
    installed.into_iter().max().map(|(_, directory)| directory)
}

/// A server in `PATH` says its version only when it runs, so it is taken for new data only; with data of any version there is no
/// telling before Postgres itself refuses.
fn in_path(data_version: Option<u32>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let directory = std::env::split_paths(&path).find(|directory| is_server(directory))?;
    match data_version {
        None => Some(directory),
        Some(wanted) => (version_of(&directory)? == wanted).then_some(directory),
    }
}

/// `postgres (PostgreSQL) 15.20 (Debian …)` → 15.
fn version_of(directory: &Path) -> Option<u32> {
    let output = std::process::Command::new(directory.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(2)?.split('.').next()?.parse().ok()
}

fn is_server(directory: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_server_is_taken_unless_the_data_asks_for_another() {
        let installed = || [9, 15, 17].map(|version| (version, PathBuf::from(version.to_string()))).to_vec();
        for (data_version, expected) in [(None, Some("17")), (Some(15), Some("15")), (Some(16), None)] {
            assert_eq!(choose(installed(), data_version), expected.map(PathBuf::from), "{data_version:?}");
        }
    }

    #[test]
    fn the_package_that_is_missing_is_named() {
        for (version, said) in [
            (None, "apt install postgresql, or set DATABASE_URL"),
            (Some(15), "made by PostgreSQL 15,"),
            (Some(15), "apt install postgresql-15."),
        ] {
            let error = Error::NoServer { version }.to_string();
            assert!(error.contains(said), "{error}");
            assert_eq!(
                error.contains("DATABASE_URL"),
                version.is_none(),
                "data would be left behind: {error}"
            );
        }
    }
}
