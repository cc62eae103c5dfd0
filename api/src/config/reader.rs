//! Reads variables one by one and collects what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::finding::{Finding, Severity};
use super::secret::{Secret, weakness};

/// Variables by name. Bytes of the environment that are no UTF-8 stand as U+FFFD, and are a finding where they are read.
pub type Variables = BTreeMap<String, String>;

/// What [`super::Config::read`] needs to know besides the variables.
pub struct Surroundings<'a> {
    /// Reads a file that a variable names.
    pub read_file: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Whether the process runs as root, which decides where state goes by default.
    pub is_root: bool,
}

/// Hands out variables and remembers findings.
pub(super) struct Reader<'a> {
    variables: &'a Variables,
    surroundings: &'a Surroundings<'a>,
    asked: BTreeSet<&'static str>,
    findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variables: &'a Variables, surroundings: &'a Surroundings<'a>) -> Self {
        Self { variables, surroundings, asked: BTreeSet::new(), findings: Vec::new() }
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    pub(super) fn is_root(&self) -> bool {
        self.surroundings.is_root
    }

    pub(super) fn error(&mut self, variable: &str, message: impl Into<String>) {
        self.note(Severity::Error, variable, message.into());
    }

    pub(super) fn warning(&mut self, variable: &str, message: impl Into<String>) {
        self.note(Severity::Warning, variable, message.into());
    }

    fn note(&mut self, severity: Severity, variable: &str, message: String) {
        self.findings.push(Finding { severity, variable: variable.to_owned(), message });
    }

    /// The variable's value without surrounding blanks; `None` when unset, empty or no text.
    pub(super) fn text(&mut self, variable: &'static str) -> Option<String> {
        let is_first = self.asked.insert(variable);
        let value = self.variables.get(variable)?.trim();
        if value.contains(char::REPLACEMENT_CHARACTER) {
            if is_first {
                self.error(variable, "holds bytes that are no UTF-8; set it anew");
            }
            return None;
        }
        (!value.is_empty()).then(|| value.to_owned())
    }

    pub(super) fn text_or(&mut self, variable: &'static str, default: &str) -> String {
        self.text(variable).unwrap_or_else(|| default.to_owned())
    }

    /// The variable read as a `T`; a finding and the default when it cannot be read.
    pub(super) fn parsed_or<T>(&mut self, variable: &'static str, default: T, expected: &str) -> T
    where
        T: FromStr<Err: Display>,
    {
        let Some(text) = self.text(variable) else { return default };
        text.parse().unwrap_or_else(|error| {
            self.error(variable, format!("{text:?} cannot be read ({error}); expected {expected}"));
            default
        })
    }

    /// A switch in any of the spellings that people use.
    pub(super) fn flag(&mut self, variable: &'static str, default: bool) -> bool {
        let Some(text) = self.text(variable) else { return default };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => {
                self.error(variable, format!("{text:?} is neither true nor false"));
                default
            }
        }
    }

    /// A whole number within `range`; a finding and the default when it is none.
    pub(super) fn within(
        &mut self,
        variable: &'static str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> u64 {
        let Some(text) = self.text(variable) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (least, most) = (range.start(), range.end());
                self.error(variable, format!("{text:?} is not a whole number from {least} to {most}"));
                default
            }
        }
    }

    /// A secret of at least `least` characters that is not a placeholder; `remedy` is the command that makes a good one.
    pub(super) fn secret(&mut self, variable: &'static str, least: usize, remedy: &str) -> Option<Secret> {
        let text = self.text(variable)?;
        if let Some(weakness) = weakness(&text, least) {
            self.error(variable, format!("{weakness}; make one with: {remedy}"));
            return None;
        }
        Some(Secret::new(text))
    }

    /// The contents of the file that the variable names.
    pub(super) fn file(&mut self, variable: &'static str) -> Option<Vec<u8>> {
        let path = PathBuf::from(self.text(variable)?);
        match (self.surroundings.read_file)(&path) {
            Ok(contents) => Some(contents),
            Err(error) => {
                self.error(
                    variable,
                    format!("cannot read {}: {error}; name a file that this user can read", path.display()),
                );
                None
            }
        }
    }

    /// A spelling mistake in a variable that only this program reads would otherwise go unnoticed. `REFLECTOR_API_URL` is
    /// the agent's, which may run on the same host.
    pub(super) fn refuse_unknown(&mut self, prefix: &str) {
        let unknown: Vec<_> = self
            .variables
            .keys()
            .filter(|name| name.starts_with(prefix) && *name != "REFLECTOR_API_URL")
            .filter(|name| !self.asked.contains(name.as_str()))
            .cloned()
            .collect();
        for name in unknown {
            let known: Vec<_> = self.asked.iter().copied().filter(|name| name.starts_with(prefix)).collect();
            self.error(&name, format!("there is no such setting; there are {}", known.join(", ")));
        }
    }
}
