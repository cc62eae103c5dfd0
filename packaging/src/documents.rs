//! Everything that is generated, written below a directory for each package.

use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::Command;

use crate::facts::Facts;
use crate::manuals::{self, OfSettings};
use crate::settings::Settings;
use crate::{completions, programs, third_party};

/// What is known of a program's settings.
pub(crate) struct Example {
    /// The program.
    pub(crate) program: &'static str,
    /// The manual's name.
    name: &'static str,
    /// What the manual is about.
    about: &'static str,
    /// Where the settings stand.
    files: &'static [&'static str],
    /// The commented example.
    pub(crate) text: &'static str,
}

/// The settings of both programs.
pub(crate) const EXAMPLES: [Example; 2] = [
    Example {
        program: "reflector-agent",
        name: "reflector-agent.toml",
        about: "settings of the Reflector agent",
        files: &["/etc/reflector-agent/agent.toml", "/etc/reflector-agent/agent.d/*.toml"],
        text: include_str!("../examples/reflector-agent/agent.toml"),
    },
    Example {
        program: "reflector-api",
        name: "reflector-api.env",
        about: "settings of the Reflector API",
        files: &["/etc/reflector-api/api.env"],
        text: include_str!("../examples/reflector-api/api.env"),
    },
];

/// Writes the documents of each program below `directory/PROGRAM`: completions and notices at the paths that a package has them
/// at, and manuals in `manuals/PROGRAM`.
pub fn write(directory: &Path, date: &str) -> anyhow::Result<()> {
    for program in programs::all() {
        let name = program.get_name();
        let example = EXAMPLES.iter().find(|example| example.program == name);
        let example = example.with_context(|| format!("{name} has an example of its settings"))?;
        for (path, text) in all_of(&program, example, date)? {
            write_file(&directory.join(name).join(path), &text)?;
        }
        let notices = directory.join(name).join("usr/share/doc").join(name).join("third-party");
        write_file(&notices, third_party::notices(name)?.as_bytes())?;
    }
    Ok(())
}

fn all_of(program: &Command, example: &Example, date: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let Example { name, about, files, .. } = *example;
    let settings = Settings::read(example.text).with_context(|| format!("reading the example of {name}"))?;
    let of_settings = OfSettings { name, about, files, program, settings: &settings };
    let facts = Facts::of(program.get_name()).context("both programs have exit codes, files and examples")?;
    let mut manuals = manuals::of_commands(program, facts, date, name)?;
    manuals.push((format!("{name}.5"), manuals::of_settings(&of_settings, date)?));
    let manuals =
        manuals.into_iter().map(|(name, text)| (format!("manuals/{}/{name}", example.program), text));
    Ok(completions::of(program).into_iter().chain(manuals).collect())
}

fn write_file(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let parent = path.parent().context("a document has a directory")?;
    fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
