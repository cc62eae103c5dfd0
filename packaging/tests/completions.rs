//! What the shells themselves make of the completions.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

use std::fs;
use std::process::Command;

use packaging::{completions, programs};

/// Words that have been typed, of which the last one is still being typed, and proposals that must be among those made.
const TYPED: [(&[&str], &[&str]); 7] = [
    (&["reflector-api", "a"], &["agents"]),
    (&["reflector-api", "agents", ""], &["enroll", "list", "revoke"]),
    (&["reflector-api", "agents", "enroll", "--"], &["--token", "--url"]),
    (&["reflector-api", "setup", "--"], &["--jitsi-domain", "--public-url"]),
    (&["reflector-agent", "deliveries", ""], &["discard", "export", "list", "retry", "show"]),
    (&["reflector-agent", "deliveries", "list", "--"], &["--room", "--state"]),
    (&["reflector-agent", "drain", "--"], &["--timeout"]),
];

/// Asks Bash for its proposals as Readline does: with the function that is registered for the program.
const ASK_BASH: &str = r#"
. "$1"; shift
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
registered=$(complete -p "$1")
function=${registered#*-F }
"${function%% *}" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// The completions of both programs below a directory, at the paths that the packages have them at.
fn written() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in programs::all().iter().flat_map(completions::of) {
        let file = directory.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    directory
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The words of `expected` that are no first words of a line of `proposals`.
fn missing<'a>(expected: &[&'a str], proposals: &str) -> Vec<&'a str> {
    let proposed: Vec<&str> = proposals.lines().filter_map(|line| line.split_whitespace().next()).collect();
    expected.iter().copied().filter(|word| !proposed.contains(word)).collect()
}

#[test]
fn bash_proposes_commands_and_options_at_every_level() {
    let directory = written();
    let scripts = directory.path().join("usr/share/bash-completion/completions");
    for (words, expected) in TYPED {
        let script = scripts.join(words[0]);
        let proposals =
            output(Command::new("bash").args(["-euc", ASK_BASH, "bash"]).arg(&script).args(words));
        assert_eq!(missing(expected, &proposals), [""; 0], "{words:?}: {proposals}");
    }
}

#[test]
fn fish_proposes_commands_and_options_at_every_level() {
    let directory = written();
    let scripts = directory.path().join("usr/share/fish/vendor_completions.d");
    for (words, expected) in TYPED {
        let script = scripts.join(format!("{}.fish", words[0]));
        let ask = format!("source {}; complete --do-complete '{}'", script.display(), words.join(" "));
        let home = directory.path();
        let proposals =
            output(Command::new("fish").args(["--no-config", "--command", &ask]).env("HOME", home));
        assert_eq!(missing(expected, &proposals), [""; 0], "{words:?}: {proposals}");
    }
}

#[test]
fn zsh_understands_the_completions() {
    let directory = written();
    let scripts = directory.path().join("usr/share/zsh/vendor-completions");
    for program in programs::all() {
        let name = program.get_name();
        let script = scripts.join(format!("_{name}"));
        assert!(fs::read_to_string(&script).unwrap().starts_with(&format!("#compdef {name}\n")));
        output(Command::new("zsh").arg("-n").arg(&script));
    }
}
