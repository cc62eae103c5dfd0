//! A client in TypeScript, with types made from the running API's document.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use testbed::replicas::Replicas;

use crate::scene::{Scene, installed, run, sources};

#[test]
fn a_client_with_types_made_from_the_document_does_what_the_frontends_do() {
    let scene = Scene::new();
    let tokens = ["owner", "guest"].map(|user| scene.api.token(user).unwrap());
    do_what_frontends_do(&scene.api.url(), tokens);
}

#[test]
fn the_same_client_cannot_tell_three_replicas_behind_a_balancer_from_one() {
    let replicas = Replicas::start(3, |_| Ok(())).unwrap();
    let tokens = ["owner", "guest"].map(|user| replicas.token(user).unwrap());
    do_what_frontends_do(&replicas.url(), tokens);
}

/// Makes the client and runs it against the API at `base`.
fn do_what_frontends_do(base: &str, tokens: [String; 2]) {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let modules = place.join("node_modules");
    symlink(installed().join("node/node_modules"), &modules).unwrap();
    for file in ["client.ts", "known.ts", "tsconfig.json", "package.json"] {
        fs::copy(sources().join("frontend").join(file), place.join(file)).unwrap();
    }
    let node = |program: &str| {
        let mut command = Command::new("node");
        command.current_dir(place).arg(place.join(program));
        command
    };
    let document = format!("{base}/openapi.json");
    run(node("node_modules/openapi-typescript/bin/cli.js").args([&document, "--output", "schema.ts"]));
    run(&mut node("node_modules/typescript/bin/tsc"));
    let said = run(node("built/client.js").arg(base).args(tokens));
    assert!(said.contains("all answers were as the frontends expect them"), "{said}");
}
