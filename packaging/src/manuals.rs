//! Manuals: of each command from the command line, of the settings from their commented example.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use crate::facts::Facts;
use crate::settings::{Group, Settings};
use crate::synopsis;

/// What stands in the middle of a manual's head.
const MANUAL: &str = "Reflector for Jitsi";

/// The manual of a program's settings.
pub struct OfSettings<'a> {
    /// The manual's name.
    pub name: &'a str,
    /// What it is about, in one line.
    pub about: &'a str,
    /// Where the settings stand.
    pub files: &'a [&'a str],
    /// The program, and its version.
    pub program: &'a Command,
    /// The settings.
    pub settings: &'a Settings,
}

/// The file name and text of a manual for `program` and for each of its commands.
pub fn of_commands(
    program: &Command,
    facts: &Facts,
    date: &str,
    settings: &str,
) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut program = program.clone().disable_help_subcommand(true);
    program.build();
    let mut all = Vec::new();
    collect(&program, &mut all);
    let names: Vec<String> = all.iter().map(|command| name_of(command)).collect();
    all.iter()
        .zip(&names)
        .map(|(command, name)| {
            let others = names.iter().filter(|other| *other != name).map(|other| format!("{other}(8)"));
            let also: Vec<String> = others.chain([format!("{settings}(5)")]).collect();
            Ok((format!("{name}.8"), page(command, facts, name, date, program.get_version(), &also)?))
        })
        .collect()
}

/// The text of the manual of a program's settings.
pub fn of_settings(page: &OfSettings<'_>, date: &str) -> std::io::Result<Vec<u8>> {
    let program = page.program.get_name();
    let source = format!("{program} {}", page.program.get_version().unwrap_or_default());
    let mut roff = Roff::new();
    roff.control("TH", [page.name, "5", date, &source, MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{} - {}", page.name, page.about))]);
    roff.control("SH", ["SYNOPSIS"]);
    for (number, file) in page.files.iter().enumerate() {
        if number > 0 {
            roff.control("br", []);
        }
        roff.text([bold(*file)]);
    }
    roff.control("SH", ["DESCRIPTION"]);
    paragraphs(&mut roff, page.settings.preamble.iter().map(String::as_str));
    for section in &page.settings.sections {
        roff.control("SH", [section.title.to_uppercase().as_str()]);
        if !section.about.is_empty() {
            roff.text([roman(section.about.as_str())]);
        }
        section.groups.iter().for_each(|group| add_group(&mut roff, group));
    }
    see_also(&mut roff, &[format!("{program}(8)")]);
    let mut text = Vec::new();
    roff.to_writer(&mut text)?;
    Ok(text)
}

fn collect<'a>(command: &'a Command, all: &mut Vec<&'a Command>) {
    all.push(command);
    command.get_subcommands().filter(|one| !one.is_hide_set()).for_each(|one| collect(one, all));
}

fn name_of(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(
    command: &Command,
    facts: &Facts,
    name: &str,
    date: &str,
    version: Option<&str>,
    also: &[String],
) -> std::io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).title(name).section("8").date(date).manual(MANUAL).source(format!(
        "{} {}",
        facts.program,
        version.unwrap_or_default()
    ));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    let mut how = Roff::new();
    how.control("SH", ["SYNOPSIS"]);
    how.text(synopsis::of(command));
    how.to_writer(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.get_subcommands().any(|one| !one.is_hide_set()) {
        man.render_subcommands_section(&mut text)?;
    }
    let mut rest = Roff::new();
    if let Some(notes) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        rest.control("SH", ["NOTES"]);
        let notes = notes.to_string();
        // They have a section of their own.
        paragraphs(&mut rest, notes.split("\n\n").filter(|paragraph| !paragraph.starts_with("Exit codes:")));
    }
    add_facts(&mut rest, facts, command);
    see_also(&mut rest, also);
    rest.to_writer(&mut text)?;
    Ok(text)
}

/// Paragraphs of text; one that is indented is shown as it is.
fn paragraphs<'a>(roff: &mut Roff, all: impl Iterator<Item = &'a str>) {
    for (number, paragraph) in all.enumerate() {
        if number > 0 {
            roff.control("PP", []);
        }
        if paragraph.starts_with("    ") {
            roff.control("RS", ["4"]);
            roff.control("nf", []);
            paragraph.lines().for_each(|line| _ = roff.text([roman(line.trim_start())]));
            roff.control("fi", []);
            roff.control("RE", []);
        } else {
            roff.text([roman(paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" "))]);
        }
    }
}

fn add_group(roff: &mut Roff, group: &Group) {
    for (number, setting) in group.settings.iter().enumerate() {
        roff.control(if number == 0 { "TP" } else { "TQ" }, []);
        let mut line: Vec<Inline> = vec![bold(setting.key.as_str())];
        if !setting.value.is_empty() {
            let word = if setting.is_default { "default" } else { "for example" };
            line.push(roman(format!(" ({word}: {})", setting.value)));
        }
        roff.text(line);
    }
    roff.text([roman(group.meaning.as_str())]);
}

fn add_facts(roff: &mut Roff, facts: &Facts, command: &Command) {
    let called = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let words = called.strip_prefix(facts.program).unwrap_or(called).trim_start();
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in facts.exits_of(words) {
        tagged(roff, &code.to_string(), &meaning);
    }
    if words.is_empty() {
        roff.control("SH", ["FILES"]);
        facts.files.iter().for_each(|(path, what)| tagged(roff, path, what));
    }
    for (number, example) in facts.examples_of(words).enumerate() {
        if number == 0 {
            roff.control("SH", ["EXAMPLES"]);
        }
        roff.control("TP", []);
        roff.text([roman(example.what)]);
        roff.text([bold(example.line)]);
    }
}

fn tagged(roff: &mut Roff, tag: &str, text: &str) {
    roff.control("TP", []);
    roff.text([bold(tag)]);
    roff.text([roman(text)]);
}

fn see_also(roff: &mut Roff, pages: &[String]) {
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(pages.join(", "))]);
}
