//! What a client gets.

use std::fs;

use crate::archive::Archive;
use crate::client::Client;
use crate::server::Server;

#[test]
fn apt_accepts_the_repository_by_its_hashes_and_can_go_back_to_an_older_version() {
    let archive = Archive::new();
    let key = archive.key("key");
    archive.package("0.0.9", "old");
    archive.package("0.1.0", "new");
    archive.publish(&[&key]);
    let server = Server::start(archive.root());
    let client = Client::new(&archive, &server, &archive.root().join("reflector-archive-keyring.pgp"));

    let (accepted, said) = client.update();
    assert!(accepted, "{said}");
    assert!(!said.contains("W:"), "{said}");
    assert_eq!(client.versions(), ["0.1.0", "0.0.9"]);
    for version in ["0.1.0", "0.0.9"] {
        let (fetched, said) = client.download(version);
        assert!(fetched, "{said}");
        assert!(client.has(&format!("reflector-agent_{version}_amd64.deb")));
    }
    assert!(
        client.policy().contains("o=Reflector,a=stable,n=stable,l=Reflector,c=main"),
        "{}",
        client.policy()
    );

    let indexes: Vec<_> =
        server.asked().into_iter().filter(|path| path.contains("/main/binary-amd64/")).collect();
    assert!(!indexes.is_empty());
    assert!(indexes.iter().all(|path| path.contains("/by-hash/SHA256/")), "{indexes:?}");
}

#[test]
fn a_publication_keeps_what_was_published_and_the_indexes_that_clients_are_reading() {
    let archive = Archive::new();
    let key = archive.key("key");
    archive.package("0.0.9", "old");
    archive.publish(&[&key]);
    let server = Server::start(archive.root());
    let client = Client::new(&archive, &server, &archive.packed_keyring("0.1.0"));
    assert!(client.update().0);
    let hashes = archive.root().join("dists/stable/main/binary-amd64/by-hash/SHA256");
    let before: Vec<_> = fs::read_dir(&hashes).unwrap().map(|entry| entry.unwrap().path()).collect();

    archive.package("0.1.0", "new");
    archive.publish(&[&key]);
    assert!(client.update().0);
    assert_eq!(client.versions(), ["0.1.0", "0.0.9"]);
    assert!(!before.is_empty() && before.iter().all(|file| file.exists()), "{before:?}");
}

#[test]
fn a_version_that_is_published_keeps_its_bytes_except_in_a_trial_repository() {
    let archive = Archive::new();
    let key = archive.key("key");
    archive.package("0.1.0", "one");
    archive.publish(&[&key]);
    archive.package("0.1.0", "another");
    let refused = archive.try_publish(&[&key]);
    assert!(!refused.status.success());
    assert!(crate::archive::said(&refused).contains("give the new ones a higher version"));

    let trial = Archive::new();
    trial.package("0.1.0", "one");
    assert!(trial.publish(&[]).contains("TRIAL KEY"));
    trial.package("0.1.0", "another");
    assert!(trial.publish(&[]).contains("Replacing reflector-agent_0.1.0_amd64.deb"));
}

#[test]
fn the_readme_shows_the_sources_and_the_origin_that_the_repository_has() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let archive = Archive::new();
    let key = archive.key("key");
    archive.package("0.1.0", "new");
    archive.publish(&[&key]);
    let sources = fs::read_to_string(archive.root().join("reflector.sources")).unwrap();
    let sources = sources.replace(&format!("file:{}", archive.root().display()), "https://apt.example.com");
    assert!(readme.contains(&format!("```text\n{sources}```")), "{sources}");

    let (_, line) = readme.split_once("Unattended-Upgrade::Origins-Pattern:: \"").unwrap();
    let (pattern, _) = line.split_once('"').unwrap();
    let server = Server::start(archive.root());
    let client = Client::new(&archive, &server, &archive.packed_keyring("0.1.0"));
    assert!(client.update().0);
    let policy = client.policy();
    for part in pattern.split(',') {
        let part = part.replace("origin=", "o=").replace("label=", "l=").replace("suite=", "a=");
        assert!(policy.contains(&part), "{part} is not in {policy}");
    }
}
