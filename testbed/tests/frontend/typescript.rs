//! A client in TypeScript, with types made from the running API's document.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::scene::{Scene, installed, run, sources};

#[test]
fn a_client_with_types_made_from_the_document_does_what_the_frontends_do() {
    let scene = Scene::new();
    let place = scene.directory.path().join("frontend");
    let modules = place.join("node_modules");
    fs::create_dir(&place).unwrap();
    symlink(installed().join("node/node_modules"), &modules).unwrap();
    for file in ["client.ts", "known.ts", "tsconfig.json", "package.json"] {
        fs::copy(sources().join("frontend").join(file), place.join(file)).unwrap();
    }
    let node = |program: &str| {
        let mut command = Command::new("node");
        command.current_dir(&place).arg(place.join(program));
        command
    };
    let document = format!("{}/openapi.json", scene.api.url());
    run(node("node_modules/openapi-typescript/bin/cli.js").args([&document, "--output", "schema.ts"]));
    run(&mut node("node_modules/typescript/bin/tsc"));

    let tokens = ["owner", "guest"].map(|user| scene.api.token(user).unwrap());
    let said = run(node("built/client.js").arg(scene.api.url()).args(tokens));
    assert!(said.contains("all answers were as the frontends expect them"), "{said}");
}
