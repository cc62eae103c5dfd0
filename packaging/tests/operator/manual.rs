//! What `docs/operations.md` tells an operator, taken literally but for the names that stand for the operator's own.

use packaging::handbook;

const MANUAL: &str = include_str!("../../../docs/operations.md");

/// A section of "Install", with the testbed's Jitsi instead of the one that the manual uses as an example.
pub(crate) fn section(title: &str) -> String {
    let text = handbook::section(MANUAL, title).unwrap_or_else(|| panic!("no section {title:?}"));
    text.replace("meet.example.com", testbed::prosody::DOMAIN)
}

/// The commands of a section.
pub(crate) fn commands(title: &str) -> Vec<String> {
    let commands: Vec<String> = handbook::commands(&section(title)).into_iter().map(str::to_owned).collect();
    assert!(!commands.is_empty(), "{title:?} has no commands");
    commands
}

#[test]
fn the_readme_has_the_same_lines_for_the_repository() {
    let lines = commands("The package repository").join("\n");
    assert!(include_str!("../../../README.md").contains(&lines), "README.md lacks:\n{lines}");
}
