//! The dashboards by themselves: their form, by Grafana's own types.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::Value;

use crate::pack::{DASHBOARDS, dashboard, run, tool};

/// An enumeration is a text in JSON.
const HEAD: &str = r"import type { Dashboard, Panel, RowPanel } from '@grafana/schema';
type Plain<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T : { [K in keyof T]: Plain<T[K]> };
type Board = Plain<Omit<Dashboard, 'panels'> & { panels: (Panel | RowPanel)[] }>;
";

#[test]
fn grafanas_own_types_accept_the_dashboards() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    symlink(tool("node/node_modules"), place.join("node_modules")).unwrap();
    for name in DASHBOARDS {
        let (board, _) = dashboard(name);
        let program = format!("{HEAD}export const board: Board = {board};\n");
        fs::write(place.join(name.replace(".json", ".ts")), program).unwrap();
    }
    let compiler = place.join("node_modules/typescript/bin/tsc");
    let checked = |file: &str| {
        let mut command = Command::new("node");
        command.current_dir(place).arg(&compiler);
        command.args([
            "--strict",
            "--noEmit",
            "--skipLibCheck",
            "--module",
            "NodeNext",
            "--target",
            "ES2022",
            file,
        ]);
        command
    };
    for name in DASHBOARDS {
        run(&mut checked(&name.replace(".json", ".ts")));
    }
    let wrong =
        format!("{HEAD}export const board: Board = {{ panels: [{{ type: 'row', collapsed: 'no' }}] }};\n");
    fs::write(place.join("wrong.ts"), wrong).unwrap();
    assert!(!checked("wrong.ts").output().unwrap().status.success(), "these types accept anything");
}

#[test]
fn every_panel_has_a_place_a_unit_and_a_description() {
    for name in DASHBOARDS {
        let (board, panels) = dashboard(name);
        assert_eq!(board["uid"], name.trim_end_matches(".json"));
        let ids: BTreeSet<_> =
            board["panels"].as_array().unwrap().iter().map(|it| it["id"].as_u64()).collect();
        assert_eq!(ids.len(), board["panels"].as_array().unwrap().len(), "ids are unique");
        for panel in &panels {
            let title = panel["title"].as_str().unwrap();
            assert!(!panel["description"].as_str().unwrap().is_empty(), "{title} says not what it shows");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        }
        assert_no_two_overlap(board["panels"].as_array().unwrap());
    }
}

fn assert_no_two_overlap(panels: &[Value]) {
    let mut taken = BTreeSet::new();
    for panel in panels {
        let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{} lies on another", panel["title"]);
            }
        }
    }
}
