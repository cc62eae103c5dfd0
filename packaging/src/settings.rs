//! The commented example of a program's settings, which is both shipped as it is and read to make a manual.
//!
//! A setting is `#key = value` or `#NAME=value`, below comments (`# …`) that say what it means. A section is `[name]`, with what it
//! is about above it, or `### Name`. What comes first is about the whole.

use anyhow::bail;

/// What stands behind a value that is no default.
const EXAMPLE: &str = "# for example";

/// An example file, read.
#[derive(Debug, Default)]
pub struct Settings {
    /// What is said of the whole, by paragraph.
    pub preamble: Vec<String>,
    /// Its sections.
    pub sections: Vec<Section>,
}

/// A section of an example file.
#[derive(Debug)]
pub struct Section {
    /// Its name, as it is written in the file.
    pub title: String,
    /// What is said of it, which may be nothing.
    pub about: String,
    /// Its settings.
    pub groups: Vec<Group>,
}

/// Settings that are explained together.
#[derive(Debug, Default)]
pub struct Group {
    /// What they mean.
    pub meaning: String,
    /// The settings.
    pub settings: Vec<Setting>,
}

/// A setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// The value that stands there; may be empty.
    pub value: String,
    /// Whether that is the default, and no mere example.
    pub is_default: bool,
}

impl Settings {
    /// Reads the text of an example.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let mut read = Self::default();
        let mut comments: Vec<&str> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(title) = section(line) {
                let about = comments.join(" ");
                comments.clear();
                read.sections.push(Section { title: title.to_owned(), about, groups: Vec::new() });
            } else if let Some(comment) = comment(line) {
                comments.push(comment);
            } else if line.is_empty() {
                read.end_paragraph(&mut comments);
            } else if let (Some(setting), Some(section)) = (setting(line), read.sections.last_mut()) {
                section.add(setting, &mut comments);
            } else {
                bail!("line {number} is neither a comment, a section nor a setting below one: {line}");
            }
        }
        Ok(read)
    }

    /// All settings, each with its section.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.sections.iter().flat_map(|section| {
            let settings = section.groups.iter().flat_map(|group| &group.settings);
            settings.map(move |setting| (section.title.as_str(), setting))
        })
    }

    /// Comments that nothing follows are about the whole, if nothing else was said before.
    fn end_paragraph(&mut self, comments: &mut Vec<&str>) {
        if self.sections.is_empty() {
            let paragraphs = comments.split(|line| line.is_empty()).map(|lines| lines.join(" "));
            self.preamble.extend(paragraphs);
            comments.clear();
        }
    }
}

impl Section {
    /// A setting without comments of its own belongs to the one above it.
    fn add(&mut self, setting: Setting, comments: &mut Vec<&str>) {
        if !comments.is_empty() || self.groups.is_empty() {
            self.groups.push(Group { meaning: comments.join(" "), settings: Vec::new() });
            comments.clear();
        }
        if let Some(group) = self.groups.last_mut() {
            group.settings.push(setting);
        }
    }
}

fn section(line: &str) -> Option<&str> {
    line.strip_prefix("### ").or_else(|| line.strip_prefix('[')?.strip_suffix(']'))
}

fn comment(line: &str) -> Option<&str> {
    line.strip_prefix("# ").or_else(|| (line == "#").then_some(""))
}

fn setting(line: &str) -> Option<Setting> {
    let (key, value) = line.strip_prefix('#')?.split_once('=')?;
    let (value, is_default) = match value.strip_suffix(EXAMPLE) {
        Some(value) => (value, false),
        None => (value, true),
    };
    Some(Setting { key: key.trim().to_owned(), value: value.trim().to_owned(), is_default })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_read_with_what_is_said_of_each_setting() {
        let text = "# One.\n#\n# Two,\n# three.\n\n# About it.\n[api]\n\n# Where.\n#url = \"x=y\"  # for example\n\n# How long.\n#a = 1\n#b = 2\n";
        let read = Settings::read(text).unwrap();
        assert_eq!(read.preamble, ["One.", "Two, three."]);
        let [section] = read.sections.as_slice() else { panic!("{read:?}") };
        assert_eq!((section.title.as_str(), section.about.as_str()), ("api", "About it."));
        let meanings: Vec<&str> = section.groups.iter().map(|group| group.meaning.as_str()).collect();
        assert_eq!(meanings, ["Where.", "How long."]);
        let found: Vec<(&str, &str, bool)> =
            read.all().map(|(_, one)| (one.key.as_str(), one.value.as_str(), one.is_default)).collect();
        assert_eq!(found, [("url", "\"x=y\"", false), ("a", "1", true), ("b", "2", true)]);
    }

    #[test]
    fn variables_stand_below_headings() {
        let read = Settings::read("# All.\n\n### Data\n\n# Which.\n#DATABASE_URL=\n").unwrap();
        let found: Vec<(&str, &str)> = read.all().map(|(section, one)| (section, one.key.as_str())).collect();
        assert_eq!(found, [("Data", "DATABASE_URL")]);
    }

    #[test]
    fn a_line_that_would_be_in_force_or_lost_is_refused() {
        for text in ["[api]\nurl = 1\n", "#url = 1\n", "[api]\n#url\n"] {
            assert!(Settings::read(text).is_err(), "{text}");
        }
    }
}
