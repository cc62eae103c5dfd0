//! One key follows another.

use std::fs;
use std::process::Command;

use crate::archive::{Archive, said};
use crate::client::Client;
use crate::server::Server;

#[test]
fn clients_follow_from_one_key_to_the_next_by_upgrading_the_keyring_package() {
    let archive = Archive::new();
    let (old, new) = (archive.key("old"), archive.key("new"));
    archive.package("0.1.0", "new");
    archive.publish(&[&old]);
    let server = Server::start(archive.root());
    let slow = Client::new(&archive, &server, &archive.packed_keyring("0.1.0"));
    assert!(slow.update().0);

    archive.set_version("0.1.1");
    archive.publish(&[&old, &new]);
    let (accepted, said) = slow.update();
    assert!(accepted, "both keys sign, and the client knows the first: {said}");
    let prompt = Client::new(&archive, &server, &archive.packed_keyring("0.1.1"));
    assert!(prompt.update().0);

    archive.set_version("0.1.2");
    archive.publish(&[&new]);
    let (accepted, said) = prompt.update();
    assert!(accepted, "{said}");
    let (accepted, said) = slow.update();
    assert!(!accepted, "the old key signs no more: {said}");
    assert!(said.contains("NO_PUBKEY"), "{said}");
}

#[test]
fn other_keys_under_the_same_version_are_refused_because_no_client_would_get_them() {
    let archive = Archive::new();
    let (old, new) = (archive.key("old"), archive.key("new"));
    archive.package("0.1.0", "new");
    archive.publish(&[&old]);
    let refused = archive.try_publish(&[&old, &new]);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("reflector-archive-keyring_0.1.0_all.deb is published with other bytes"));
}

#[test]
fn the_same_keys_give_the_same_keyring_package_and_a_key_that_is_missing_is_named() {
    let (one, other) = (Archive::new(), Archive::new());
    let key = one.key("key");
    let package = |archive: &Archive| {
        archive.package("0.1.0", "new");
        archive.publish(&[&key]);
        fs::read(archive.root().join("pool/main/r/reflector/reflector-archive-keyring_0.1.0_all.deb"))
            .unwrap()
    };
    assert_eq!(package(&one), package(&other));
    let refused = one.try_publish(&["0123456789ABCDEF".as_ref()]);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("names 0123456789ABCDEF, which is neither a file nor a secret key"));
}

#[test]
fn lintian_finds_nothing_in_the_keyring_package() {
    let archive = Archive::new();
    let key = archive.key("key");
    archive.package("0.1.0", "new");
    archive.publish(&[&key]);
    let lintian = Command::new("lintian")
        .args(["--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0"])
        .arg(archive.root().join("pool/main/r/reflector/reflector-archive-keyring_0.1.0_all.deb"))
        .output()
        .unwrap();
    assert!(lintian.status.success(), "{}", said(&lintian));
}

#[test]
fn a_key_that_ends_within_half_a_year_is_warned_of_and_one_that_has_ended_is_refused() {
    let archive = Archive::new();
    archive.package("0.1.0", "new");
    let soon = archive.key_from(&now().to_string(), 100);
    assert!(archive.publish(&[&soon]).contains("Add the next key now"));
    let ended = archive.key_from("20200101T000000", 30);
    let refused = archive.try_publish(&[&ended]);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("expired on 2020-01-31"), "{}", said(&refused));

    let fresh = Archive::new();
    fresh.package("0.1.0", "new");
    let later = fresh.key_from(&now().to_string(), 200);
    assert!(!fresh.publish(&[&later]).contains("Add the next key now"));
}

/// Seconds since 1970.
fn now() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}
