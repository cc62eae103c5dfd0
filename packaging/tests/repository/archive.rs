//! A repository with packages of a few bytes, made by the script that makes the real one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/apt");

/// A directory with packages, keys and the repository made of them.
pub(crate) struct Archive {
    directory: TempDir,
}

impl Archive {
    pub(crate) fn new() -> Self {
        let archive = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(archive.path("debs")).unwrap();
        archive.set_version("0.1.0");
        archive
    }

    /// What a web server would serve.
    pub(crate) fn root(&self) -> PathBuf {
        self.path("apt")
    }

    /// A new secret key in a file.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        let file = self.path(name);
        succeed(Command::new(format!("{SCRIPTS}/trial-key")).arg(&file));
        file
    }

    /// A secret key that is made at one time, as gpg writes it, and expires after some days.
    pub(crate) fn key_from(&self, made: &str, days: u32) -> PathBuf {
        let file = self.path(&format!("key-of-{days}-days"));
        let script = r#"
            export GNUPGHOME=$(mktemp -d)
            gpg --batch --quiet --passphrase '' --faked-system-time "$1" --quick-generate-key test ed25519 sign "$2"
            gpg --batch --armor --export-secret-keys --output "$3"
            gpgconf --kill all && rm -rf "$GNUPGHOME""#;
        succeed(Command::new("sh").args(["-euc", script, "sh", made, &format!("{days}d")]).arg(&file));
        file
    }

    /// The version of the keyring package from now on.
    pub(crate) fn set_version(&self, version: &str) {
        let changelog = format!(
            "reflector ({version}) stable; urgency=medium\n\n  * A change.\n\n -- A <a@example.com>  Sun, 22 Nov 2026 11:00:00 +0000\n"
        );
        fs::write(self.path("changelog"), changelog).unwrap();
    }

    /// Builds a package to be published; `text` is what it holds.
    pub(crate) fn package(&self, version: &str, text: &str) {
        let tree = self.path("tree");
        let document = tree.join("usr/share/doc/reflector-agent");
        fs::create_dir_all(&document).unwrap();
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        fs::write(document.join("text"), text).unwrap();
        let control = format!(
            "Package: reflector-agent\nVersion: {version}\nArchitecture: amd64\nMaintainer: A <a@example.com>\nDescription: small\n"
        );
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        succeed(
            Command::new("dpkg-deb")
                .args(["--root-owner-group", "--build"])
                .arg(&tree)
                .arg(self.path("debs")),
        );
        fs::remove_dir_all(tree).unwrap();
    }

    /// Publishes, signed with these keys; none: with a trial key.
    pub(crate) fn try_publish(&self, keys: &[&Path]) -> Output {
        let keys: Vec<_> = keys.iter().map(|key| key.to_str().unwrap()).collect();
        Command::new(format!("{SCRIPTS}/build"))
            .arg(self.path("debs"))
            .arg(self.root())
            .env("APT_SIGNING_KEY", keys.join(" "))
            .env("GNUPGHOME", self.path("no-keyring-of-a-user"))
            .env("APT_CHANGELOG", self.path("changelog"))
            .env_remove("APT_URL")
            .output()
            .unwrap()
    }

    /// As [`Self::try_publish`], which has to succeed; what the script said.
    pub(crate) fn publish(&self, keys: &[&Path]) -> String {
        let output = self.try_publish(keys);
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        said
    }

    /// The public keys in the keyring package of this version.
    pub(crate) fn packed_keyring(&self, version: &str) -> PathBuf {
        let package =
            self.root().join(format!("pool/main/r/reflector/reflector-archive-keyring_{version}_all.deb"));
        let tree = self.path(&format!("keyring-{version}"));
        succeed(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&tree));
        tree.join("usr/share/keyrings/reflector-archive-keyring.pgp")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// What a program wrote, on both streams.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
}
