//! What a client refuses.

use std::fs;
use std::path::Path;

use crate::archive::Archive;
use crate::client::Client;
use crate::server::Server;

/// A client that has accepted version 0.0.9, and a repository that has 0.1.0 since.
struct Scene {
    archive: Archive,
    client: Client,
}

impl Scene {
    fn new() -> Self {
        let archive = Archive::new();
        let key = archive.key("key");
        archive.package("0.0.9", "old");
        archive.publish(&[&key]);
        let server = Server::start(archive.root());
        let client = Client::new(&archive, &server, &archive.root().join("reflector-archive-keyring.pgp"));
        let (accepted, said) = client.update();
        assert!(accepted, "{said}");
        archive.package("0.1.0", "new");
        archive.publish(&[&key]);
        Self { archive, client }
    }

    fn refuses_to_update(&self, because: &str) {
        let (accepted, said) = self.client.update();
        assert!(!accepted, "{said}");
        assert!(said.contains(because), "{said}");
        assert_eq!(self.client.versions(), ["0.0.9"]);
    }
}

#[test]
fn a_changed_inrelease_is_refused_and_the_last_good_index_stays() {
    let scene = Scene::new();
    let file = scene.archive.root().join("dists/stable/InRelease");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("Codename: stable", "Codename: stablf")).unwrap();
    scene.refuses_to_update("BADSIG");
}

#[test]
fn a_changed_index_is_refused_and_the_last_good_one_stays() {
    let scene = Scene::new();
    flip_last_byte_of_all(&scene.archive.root().join("dists/stable/main"));
    scene.refuses_to_update("Hash Sum mismatch");
}

#[test]
fn a_changed_package_is_refused() {
    let scene = Scene::new();
    assert!(scene.client.update().0);
    flip_last_byte_of_all(&scene.archive.root().join("pool"));
    let (fetched, said) = scene.client.download("0.1.0");
    assert!(!fetched, "{said}");
    assert!(said.contains("Hash Sum mismatch"), "{said}");
    assert!(!scene.client.has("reflector-agent_0.1.0_amd64.deb"));
}

fn flip_last_byte_of_all(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            flip_last_byte_of_all(&path);
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    }
}
