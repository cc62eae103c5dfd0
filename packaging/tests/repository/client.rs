//! A host with the repository among its sources: Debian's apt, with its files in a directory of the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::archive::{Archive, said};
use crate::server::Server;

pub(crate) struct Client {
    directory: TempDir,
}

impl Client {
    /// Trusts the keys in `keyring`, and takes all else from the repository's own `reflector.sources`.
    pub(crate) fn new(archive: &Archive, server: &Server, keyring: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let client = Self { directory };
        for part in [
            "etc/apt.conf.d",
            "etc/preferences.d",
            "etc/sources.list.d",
            "state/lists/partial",
            "cache/archives/partial",
            "downloads",
        ] {
            fs::create_dir_all(client.path(part)).unwrap();
        }
        fs::copy(keyring, client.path("keyring.pgp")).unwrap();
        fs::write(client.path("status"), "").unwrap();
        fs::write(client.path("apt.conf"), client.configuration()).unwrap();
        let sources = fs::read_to_string(archive.root().join("reflector.sources")).unwrap();
        let sources = sources.replace(&format!("file:{}", archive.root().display()), &server.url()).replace(
            "/usr/share/keyrings/reflector-archive-keyring.pgp",
            client.path("keyring.pgp").to_str().unwrap(),
        );
        fs::write(client.path("etc/sources.list.d/reflector.sources"), sources).unwrap();
        client
    }

    /// Fetches the indexes; whether apt accepted all of them, and what it said.
    pub(crate) fn update(&self) -> (bool, String) {
        outcome(&self.run("apt-get", &["update"]))
    }

    /// Fetches one version of the agent's package.
    pub(crate) fn download(&self, version: &str) -> (bool, String) {
        outcome(&self.run("apt-get", &["download", &format!("reflector-agent={version}")]))
    }

    /// Whether a package was fetched.
    pub(crate) fn has(&self, file: &str) -> bool {
        self.path("downloads").join(file).exists()
    }

    /// Every version of the agent that apt knows, the newest first.
    pub(crate) fn versions(&self) -> Vec<String> {
        let output = self.run("apt-cache", &["madison", "reflector-agent"]);
        let text = said(&output);
        text.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned())).collect()
    }

    /// What apt's preferences and unattended-upgrades match the repository by.
    pub(crate) fn policy(&self) -> String {
        said(&self.run("apt-cache", &["policy"]))
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("APT_CONFIG", self.path("apt.conf"))
            .current_dir(self.path("downloads"))
            .output()
            .unwrap()
    }

    fn configuration(&self) -> String {
        let here = self.directory.path().display();
        format!(
            r#"APT::Architecture "amd64"; APT::Architectures {{ "amd64"; }}; APT::Sandbox::User "root";
            APT::Update::Error-Mode "any"; Acquire::http::Proxy "DIRECT"; Acquire::Languages "none"; Acquire::Retries "0";
            Dir::Etc "{here}/etc"; Dir::State "{here}/state"; Dir::State::status "{here}/status"; Dir::Cache "{here}/cache";"#
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn outcome(output: &Output) -> (bool, String) {
    (output.status.success(), said(output))
}
