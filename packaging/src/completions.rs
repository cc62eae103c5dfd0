//! Completions for the three shells, under the names that Debian's shells look for.

use clap::Command;
use clap_complete::Shell;

/// A shell, and where a package keeps completions for it.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "usr/share/bash-completion/completions"),
    (Shell::Zsh, "usr/share/zsh/vendor-completions"),
    (Shell::Fish, "usr/share/fish/vendor_completions.d"),
];

/// The path below `/` and the text of each completion of `program`.
pub fn of(program: &Command) -> Vec<(String, Vec<u8>)> {
    SHELLS.iter().map(|(shell, directory)| completion(program, *shell, directory)).collect()
}

fn completion(program: &Command, shell: Shell, directory: &str) -> (String, Vec<u8>) {
    let name = program.get_name();
    let (file, text) = match shell {
        Shell::Zsh => (format!("_{name}"), generated(program, shell, name)),
        Shell::Fish => (format!("{name}.fish"), generated(program, shell, name)),
        _ => (name.to_owned(), for_bash(program, name)),
    };
    (format!("{directory}/{file}"), text.into_bytes())
}

fn generated(program: &Command, shell: Shell, name: &str) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut program.clone(), name, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// `clap_complete` spells a hyphen in a program's name in two ways, and what follows the first word is never found. So the
/// function is made for a name without one, and registered for the real one.
fn for_bash(program: &Command, name: &str) -> String {
    let plain = name.replace('-', "_");
    let text = generated(program, Shell::Bash, &plain);
    let is_registration = |line: &str| line.trim_start().starts_with("complete ");
    let registered = |line: &str| line.strip_suffix(&plain).map(|start| format!("{start}{name}"));
    let lines = text.lines().map(|line| {
        let renamed = if is_registration(line) { registered(line) } else { None };
        renamed.unwrap_or_else(|| line.to_owned()) + "\n"
    });
    lines.collect()
}
