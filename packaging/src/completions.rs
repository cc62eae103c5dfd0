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
    let file = match shell {
        Shell::Zsh => format!("_{name}"),
        Shell::Fish => format!("{name}.fish"),
        _ => name.to_owned(),
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut program.clone(), name, &mut text);
    (format!("{directory}/{file}"), text)
}
