//! The manuals say what the programs take and do.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

use std::fs;
use std::path::Path;
use std::process::Command;

use packaging::facts::{ALL, Facts};
use packaging::handbook::{self, OPERATIONS};
use packaging::{manuals, programs};

/// The manuals of both programs' commands, as name and source.
fn all() -> Vec<(String, String)> {
    let pages = programs::all().into_iter().flat_map(|program| {
        let facts = Facts::of(program.get_name()).unwrap();
        manuals::of_commands(&program, facts, "2026-01-31", "settings").unwrap()
    });
    pages.map(|(name, text)| (name, String::from_utf8(text).unwrap())).collect()
}

/// A manual as it is read.
fn read(directory: &Path, source: &str) -> String {
    let file = directory.join("page.8");
    fs::write(&file, source).unwrap();
    let output = Command::new("mandoc").args(["-T", "utf8", "-O", "width=200"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // A letter that is struck twice is bold, and one over a line is in italics.
    let text = String::from_utf8(output.stdout).unwrap();
    let mut letters: Vec<char> = Vec::new();
    for letter in text.chars() {
        if letter == '\u{8}' {
            letters.pop();
        } else {
            letters.push(letter);
        }
    }
    letters.into_iter().collect()
}

fn page(name: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let (_, source) = all().into_iter().find(|(found, _)| found == name).unwrap();
    read(directory.path(), &source)
}

#[test]
fn the_synopsis_names_the_values_of_options() {
    let setup = page("reflector-agent-setup.8");
    assert!(setup.contains("reflector-agent setup [--token-file FILE] [--url URL]"), "{setup}");
    assert!(setup.contains("[--replace]") && setup.contains("[-h|--help]"), "{setup}");
    let enroll = page("reflector-api-agents-enroll.8");
    assert!(
        enroll.lines().any(|line| line.contains("reflector-api agents enroll") && line.ends_with(" NAME"))
    );
    assert!(page("reflector-agent-deliveries-retry.8").contains("[ID]..."));
    assert!(page("reflector-api.8").contains("[-V|--version] COMMAND"));
}

#[test]
fn every_manual_has_exit_codes_and_the_programs_have_files_and_examples() {
    for (name, source) in all() {
        assert_eq!(source.matches(".SH \"EXIT STATUS\"").count(), 1, "{name}");
    }
    for facts in ALL {
        let page = page(&format!("{}.8", facts.program));
        for heading in ["EXIT STATUS", "FILES", "EXAMPLES", "SEE ALSO"] {
            assert!(page.lines().any(|line| line == heading), "{heading}: {page}");
        }
        assert!(!page.contains("Exit codes:"), "said twice: {page}");
    }
    assert!(page("reflector-agent-status.8").contains("The agent does not run."));
    assert!(!page("reflector-agent-check.8").contains("The agent does not run."));
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let [agent, _] = programs::all();
    let help = agent.clone().render_long_help().to_string();
    let (_, said) = help.split_once("Exit codes:").unwrap();
    let codes = said.split(|letter: char| !letter.is_ascii_digit()).filter_map(|word| word.parse().ok());
    let mut known: Vec<u8> =
        Facts::of(agent.get_name()).unwrap().exits.iter().map(|exit| exit.code).collect();
    known.dedup();
    assert_eq!(codes.collect::<Vec<u8>>(), known);
}

#[test]
fn every_example_is_a_command_line_that_the_program_takes() {
    let programs = programs::all();
    for example in ALL.iter().flat_map(|facts| facts.examples) {
        let typed = example.line.split([' ']).skip_while(|word| *word == "sudo");
        let words: Vec<&str> = typed.take_while(|word| !["<", ">", "|"].contains(word)).collect();
        let program = programs.iter().find(|program| program.get_name() == words[0]).unwrap();
        let taken = program.clone().try_get_matches_from(&words);
        assert!(taken.is_ok(), "{}: {taken:?}", example.line);
        let called = format!("{} {}", words[0], example.command);
        assert!(example.line.contains(called.trim_end()), "{} is not of {called}", example.line);
    }
}

#[test]
fn every_example_stands_in_a_manual_that_there_is() {
    let names: Vec<String> = all().into_iter().map(|(name, _)| name).collect();
    for facts in ALL {
        let of_exits = facts.exits.iter().flat_map(|exit| match exit.of {
            packaging::facts::Of::All => &[],
            packaging::facts::Of::AllBut(commands) | packaging::facts::Of::Only(commands) => commands,
        });
        for command in facts.examples.iter().map(|example| &example.command).chain(of_exits) {
            let name = format!("{} {command}", facts.program).trim_end().replace(' ', "-") + ".8";
            assert!(names.contains(&name), "{name}");
        }
    }
}

#[test]
fn the_files_are_those_of_the_operators_manual() {
    let section = handbook::section(OPERATIONS, "What the packages put where").unwrap();
    let files = ALL.iter().flat_map(|facts| facts.files);
    for (path, _) in files.filter(|(path, _)| !path.ends_with("/agent.toml")) {
        assert!(section.contains(&format!("`{path}`")), "{path}");
    }
}
