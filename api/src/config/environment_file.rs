//! Files of variables, read as systemd reads the `EnvironmentFile=` of a unit: so commands see what the service sees.
//!
//! One `NAME=value` in a line; `#` and `;` begin comments; values may stand in quotes; a backslash at the end of a line joins the
//! next one. A variable that is set twice has its last value. Comments are not joined, which systemd before 254 did.

use std::collections::BTreeSet;
use std::ops::Range;

use super::reader::Variables;

/// How much is told of a line that is no assignment, in characters: less than any secret has.
const LONGEST_WORD: usize = 12;

/// Where the reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeName,
    Name,
    BeforeValue,
    Value,
    ValueEscape,
    Single,
    Double,
    DoubleEscape,
    Comment,
    CommentEscape,
}

/// The variables in `text`. Names that no variable can have, such as `export NAME`, are left out, and so are values with control
/// characters: systemd does not hand those to the service either.
pub fn parse(text: &str) -> Variables {
    read(text, false)
}

/// The variables in `text` of which systemd before 254 knows nothing, or another value: it takes what follows a comment that ends in a
/// backslash for a part of that comment.
pub fn swallowed(text: &str) -> Vec<String> {
    let (now, before) = (read(text, false), read(text, true));
    let names: BTreeSet<_> = now.keys().chain(before.keys()).collect();
    names.into_iter().filter(|name| now.get(*name) != before.get(*name)).cloned().collect()
}

fn read(text: &str, joins_comments: bool) -> Variables {
    whole(text, joins_comments).variables
}

/// The beginnings of what systemd passes over in `text`: lines without an assignment, and assignments to what is no name, such as
/// `export NAME`. Only what stands before the first `=` is told, and of a line without one a word: the rest may be a secret.
pub fn ignored(text: &str) -> Vec<String> {
    whole(text, false).ignored
}

/// The variables in `text` whose value ends in what looks like a comment: it is a part of the value.
pub fn commented(text: &str) -> Vec<String> {
    let is_commented = |value: &str| value.contains(" # ") || value.contains("\t# ");
    read(text, false).into_iter().filter(|(_, value)| is_commented(value)).map(|(name, _)| name).collect()
}

/// `text` with `value` for `name` where that was set last, and not set elsewhere; `None` if it is not set at all.
pub fn replaced(text: &str, name: &str, value: &str) -> Option<String> {
    let places: Vec<_> = whole(text, false).places.into_iter().filter(|(other, _)| other == name).collect();
    let (_, last) = places.last()?.clone();
    let mut text = text.to_owned();
    for (_, place) in places.into_iter().rev() {
        if place == last {
            text.replace_range(place, &format!("{name}={}", quoted(value)));
        } else {
            text.replace_range(place, "");
        }
    }
    Some(text)
}

fn whole(text: &str, joins_comments: bool) -> Reading {
    let mut reading = Reading { joins_comments, ..Reading::default() };
    for (at, character) in text.char_indices() {
        reading.at = at;
        reading.take(character);
    }
    reading.at = text.len();
    reading.end();
    reading
}

/// `value` as it has to stand in such a file.
pub fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=?&".contains(c);
    if value.chars().all(is_plain) {
        return value.to_owned();
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for character in value.chars() {
        if needs_escape(character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

struct Reading {
    place: Place,
    name: String,
    value: String,
    /// How much of the value is sure not to be blanks at its end.
    solid: usize,
    variables: Variables,
    /// Where in the text.
    at: usize,
    /// Where the variable begins that is read.
    begun: usize,
    /// Where variables are set.
    places: Vec<(String, Range<usize>)>,
    /// What was passed over.
    ignored: Vec<String>,
    /// Whether a backslash at the end of a comment joins the next line to it.
    joins_comments: bool,
}

impl Default for Reading {
    fn default() -> Self {
        let (name, value) = (String::new(), String::new());
        Self {
            place: Place::BeforeName,
            name,
            value,
            solid: 0,
            variables: Variables::new(),
            at: 0,
            begun: 0,
            places: Vec::new(),
            ignored: Vec::new(),
            joins_comments: false,
        }
    }
}

impl Reading {
    fn take(&mut self, c: char) {
        self.place = match self.place {
            Place::BeforeName if matches!(c, '#' | ';') => Place::Comment,
            Place::BeforeName if is_blank(c) => Place::BeforeName,
            Place::BeforeName => {
                self.begun = self.at;
                self.name.push(c);
                Place::Name
            }
            Place::Name => self.name(c),
            Place::BeforeValue | Place::Value if is_break(c) => self.keep(),
            Place::BeforeValue if c == '\'' => Place::Single,
            Place::BeforeValue if c == '"' => Place::Double,
            Place::BeforeValue | Place::Value if c == '\\' => {
                self.solid = self.value.len();
                Place::ValueEscape
            }
            Place::BeforeValue if is_blank(c) => Place::BeforeValue,
            Place::BeforeValue | Place::Value => self.value(c, !is_blank(c), Place::Value),
            // A line that goes on: the break is no part of the value.
            Place::ValueEscape if is_break(c) => Place::Value,
            Place::ValueEscape => self.value(c, true, Place::Value),
            Place::Single if c == '\'' => Place::BeforeValue,
            Place::Single => self.value(c, true, Place::Single),
            Place::Double if c == '"' => Place::BeforeValue,
            Place::Double if c == '\\' => Place::DoubleEscape,
            Place::Double => self.value(c, true, Place::Double),
            Place::DoubleEscape if c == '\n' => Place::Double,
            Place::DoubleEscape => {
                if !needs_escape(c) {
                    self.value.push('\\');
                }
                self.value(c, true, Place::Double)
            }
            Place::Comment if is_break(c) => Place::BeforeName,
            Place::Comment if c == '\\' && self.joins_comments => Place::CommentEscape,
            Place::Comment | Place::CommentEscape => Place::Comment,
        };
    }

    fn name(&mut self, c: char) -> Place {
        match c {
            '\n' | '\r' => {
                self.pass_over();
                return Place::BeforeName;
            }
            '=' => return Place::BeforeValue,
            _ => self.name.push(c),
        }
        Place::Name
    }

    fn value(&mut self, c: char, is_solid: bool, next: Place) -> Place {
        self.value.push(c);
        if is_solid {
            self.solid = self.value.len();
        }
        next
    }

    /// The variable is complete.
    fn keep(&mut self) -> Place {
        self.value.truncate(self.solid);
        self.solid = 0;
        let (name, value) = (std::mem::take(&mut self.name), std::mem::take(&mut self.value));
        let name = name.trim_end_matches(is_blank);
        if !is_name(name) {
            self.ignored.push(name.to_owned());
            return Place::BeforeName;
        }
        self.places.push((name.to_owned(), self.begun..self.at));
        if !value.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n')) {
            self.variables.insert(name.to_owned(), value);
        }
        Place::BeforeName
    }

    /// A line ends, and had no assignment.
    fn pass_over(&mut self) {
        let line = std::mem::take(&mut self.name);
        self.ignored
            .extend(line.split_whitespace().next().map(|word| word.chars().take(LONGEST_WORD).collect()));
    }

    /// A last line needs no break, and a quote that is left open ends with the file.
    fn end(&mut self) {
        if self.place == Place::Name {
            self.pass_over();
        } else if !matches!(self.place, Place::BeforeName | Place::Comment | Place::CommentEscape) {
            self.keep();
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(is_part) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

/// What a backslash takes its meaning from within double quotes.
fn needs_escape(c: char) -> bool {
    matches!(c, '"' | '\\' | '`' | '$')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_is_read_as_systemd_reads_it() {
        for (text, expected) in [
            ("", &[][..]),
            ("A=b", &[("A", "b")]),
            ("A=b\nC=d\n", &[("A", "b"), ("C", "d")]),
            ("A=b\r\nC=d\r\n", &[("A", "b"), ("C", "d")]),
            ("  A  =  b c  \n", &[("A", "b c")]),
            ("A=\nB= \n", &[("A", ""), ("B", "")]),
            ("# A=b\n; C=d\n  # E=f\nG=h # no comment", &[("G", "h # no comment")]),
            ("# a comment \\\nA=b\n# and \\# more\nC=d", &[("A", "b"), ("C", "d")]),
            ("A='b c'\nB=\"d e\"", &[("A", "b c"), ("B", "d e")]),
            ("A='b\\c$'\nB='d\ne'", &[("A", "b\\c$"), ("B", "d\ne")]),
            (r#"A="b\"c\\d\$e\`f\n""#, &[("A", "b\"c\\d$e`f\\n")]),
            ("A=\"b\\\nc\"", &[("A", "bc")]),
            ("A=b\\\nc\\\n  d", &[("A", "bc  d")]),
            (r"A=b\ c\'d", &[("A", "b c'd")]),
            ("A=b\\ \nC=d \\\n\nE=f \n", &[("A", "b "), ("C", "d "), ("E", "f")]),
            ("A=b'c'd", &[("A", "b'c'd")]),
            ("A='b' \"c\" d", &[("A", "bcd")]),
            ("A=' b '  \n", &[("A", " b ")]),
            ("A='open\n", &[("A", "open\n")]),
            ("A=postgresql://u:p#w@h/d?a=b", &[("A", "postgresql://u:p#w@h/d?a=b")]),
            ("A=1\nA=2", &[("A", "2")]),
            ("export A=b\n1A=b\nno line\n=b\nC=d", &[("C", "d")]),
            ("A=b\u{7}\nC=d", &[("C", "d")]),
        ] {
            let expected: Variables =
                expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_an_older_systemd_takes_for_a_part_of_a_comment_is_named() {
        for (text, expected) in [
            ("# a comment\nA=b\n", &[][..]),
            ("# a comment \\\nA=b\nC=d\n", &["A"]),
            ("; x\\\nA=b\\\nc\n", &["A"]),
            ("A=1\n# x\\\nA=2\n", &["A"]),
            ("# x\\\n\nA=b\n", &[]),
            ("# x\\\n# y\nA=b\n", &[]),
            ("# x\\\\\nA=b\n", &[]),
            ("# x\\y\nA='b\n# z\\\nc'\n", &[]),
            ("# x\\", &[]),
        ] {
            assert_eq!(swallowed(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_value_is_replaced_where_it_stands_and_is_left_nowhere() {
        for (text, expected) in [
            ("B=old", None),
            ("A=old", Some("A=\"new #\"")),
            ("# A=x\n  A='old\n1'  \nB=c\n", Some("# A=x\n  A=\"new #\"\nB=c\n")),
            ("A=old\r\nB=c\r\nA=old\\\n  2\n# end", Some("\r\nB=c\r\nA=\"new #\"\n# end")),
            ("\u{fc}\nA = old", Some("\u{fc}\nA=\"new #\"")),
        ] {
            assert_eq!(replaced(text, "A", "new #").as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_systemd_passes_over_and_what_only_looks_like_a_comment_is_named() {
        for (text, ignored_ones, commented_ones) in [
            ("A=b\n# a comment\n\n", &[][..], &[][..]),
            ("export A=secret\nB=c", &["export A"], &[]),
            ("no line\nB=c", &["no"], &[]),
            ("0123456789abcdef", &["0123456789ab"], &[]),
            ("1A=b\n=b\n", &["1A", "=b"], &[]),
            ("A=b # why\nB='c # d'\nC=a#b\nD=#", &[], &["A", "B"]),
        ] {
            assert_eq!(ignored(text), ignored_ones, "{text:?}");
            assert_eq!(commented(text), commented_ones, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in "[^\\p{Cc}]{0,40}") {
            let text = format!("# before\nA={}\nB=c\n", quoted(&value));
            let read = parse(&text);
            prop_assert_eq!((read["A"].as_str(), read["B"].as_str()), (value.as_str(), "c"), "{}", text);
        }
    }
}
