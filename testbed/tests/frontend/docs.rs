//! The page of the API's document, in a browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::scene::{Scene, installed, run, sources};

/// A prefix, as a proxy may put it before every path.
const PREFIX: &str = "/server-api";

#[test]
fn the_docs_show_every_operation_and_try_one_without_asking_another_host_also_under_a_prefix() {
    let scene = Scene::with(&[("ROOT_PATH", PREFIX)]);
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docs");
    fs::create_dir_all(&pictures).unwrap();
    for (prefix, picture) in [("", "docs.png"), (PREFIX, "docs-under-a-prefix.png")] {
        let mut command = Command::new(installed().join("python/bin/python"));
        command.arg(sources().join("docs.py")).arg(format!("{}{prefix}/docs", scene.api.url()));
        let found: Value = serde_json::from_str(&run(command.arg(pictures.join(picture)))).unwrap();
        assert_eq!(
            found["operations"],
            scene.document()["paths"].as_object().unwrap().values().map(operations).sum::<usize>()
        );
        assert!(found["answer"].as_str().unwrap().contains("healthy"), "{found:#}");
        assert_eq!(found["elsewhere"], Value::Array(Vec::new()), "the page asked other hosts: {found:#}");
        assert_eq!(found["complaints"], Value::Array(Vec::new()), "the browser complains: {found:#}");
        let health = format!("{}{PREFIX}/health", scene.api.url());
        assert!(found["asked"].as_array().unwrap().contains(&Value::from(health)), "{found:#}");
    }
}

fn operations(path: &Value) -> usize {
    path.as_object().unwrap().len()
}
