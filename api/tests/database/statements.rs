//! The SQL statements in the service's source text.
//!
//! A statement is a string that begins with a comment line that names it. It stands there whole, or put together by `concat!`
//! from strings, files and macros of the same file.

use std::collections::BTreeMap;
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The first line without its dashes.
    pub(crate) name: String,
    /// All of it.
    pub(crate) sql: String,
}

/// What Rust source is made of, as far as statements need it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Mark(char),
}

/// Every statement in the files below `directory`.
///
/// # Panics
/// When one has no name: it would be overlooked here, and nobody could tell in `pg_stat_activity` who asks.
pub(crate) fn all_below(directory: &Path) -> Vec<Statement> {
    let mut statements = Vec::new();
    for path in sources(directory) {
        let source = fs::read_to_string(&path).unwrap();
        assert_eq!(unnamed(&source), None, "{}: a statement without a name", path.display());
        statements.extend(in_source(&source, path.parent().unwrap()));
    }
    statements
}

/// The first string that is given to a function of sqlx's that asks the database, and that does not begin with a name.
fn unnamed(source: &str) -> Option<String> {
    let tokens = tokens(source);
    let path = [Token::Word("sqlx".to_owned()), Token::Mark(':'), Token::Mark(':')];
    let is_function = |token: Option<&Token>| {
        let names = ["query", "query_as", "query_scalar", "raw_sql"];
        matches!(token, Some(Token::Word(word)) if names.contains(&word.as_str()))
    };
    let places = (0..tokens.len())
        .filter(|place| tokens[*place..].starts_with(&path) && is_function(tokens.get(place + path.len())));
    let mut asked = places.filter_map(|place| {
        let open = tokens[place..].iter().position(|token| *token == Token::Mark('('))?;
        match tokens.get(place + open + 1)? {
            Token::Text(text) if text.contains(char::is_whitespace) => Some(text),
            _ => None,
        }
    });
    asked.find(|text| statement(text).is_none()).cloned()
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A macro of one arm.
struct Macro<'a> {
    parameters: Vec<&'a str>,
    body: &'a [Token],
}

type Macros<'a> = BTreeMap<&'a str, Macro<'a>>;

/// The statements of one file; what it includes is looked for in `directory`.
fn in_source(source: &str, directory: &Path) -> Vec<Statement> {
    let tokens = tokens(source);
    let macros = macros(&tokens);
    let mut statements = Vec::new();
    let mut rest = tokens.as_slice();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (Token::Word(word), [Token::Mark('!'), Token::Word(_), after @ ..]) if word == "macro_rules" => {
                group(after).1
            }
            (Token::Word(word), [Token::Mark('!'), arguments @ ..])
                if word == "concat" || macros.contains_key(word.as_str()) =>
            {
                let length = rest.len() - group(arguments).1.len();
                statements.extend(statement(&text(&rest[..length], &macros, directory)));
                &rest[length..]
            }
            (Token::Text(text), after) => {
                statements.extend(statement(text));
                after
            }
            _ => after,
        };
    }
    statements
}

fn statement(text: &str) -> Option<Statement> {
    let first = text.trim_start().strip_prefix("-- ")?.lines().next()?;
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
    first.starts_with(is_name).then(|| Statement { name: first.to_owned(), sql: text.to_owned() })
}

/// The text that an expression makes of strings, one after the other.
fn text(mut rest: &[Token], macros: &Macros<'_>, directory: &Path) -> String {
    let mut made = String::new();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (Token::Text(part), after) => {
                made.push_str(part);
                after
            }
            (Token::Word(word), [Token::Mark('!'), after @ ..]) => {
                let (arguments, after) = group(after);
                made.push_str(&called(word, arguments, macros, directory));
                after
            }
            _ => after,
        };
    }
    made
}

fn called(name: &str, arguments: &[Token], macros: &Macros<'_>, directory: &Path) -> String {
    let argument = |tokens: &[Token]| text(tokens, macros, directory);
    match name {
        "concat" => argument(arguments),
        "include_str" => fs::read_to_string(directory.join(argument(arguments))).unwrap(),
        _ => {
            // In a statement this is refused by Postgres, and elsewhere it does not matter.
            let Some(Macro { parameters, body }) = macros.get(name) else { return format!("<{name}!>") };
            let given = arguments.split(|token| *token == Token::Mark(',')).map(argument);
            let given: BTreeMap<&str, String> = parameters.iter().copied().zip(given).collect();
            text(&substituted(body, &given), macros, directory)
        }
    }
}

/// The body with its parameters replaced.
fn substituted(body: &[Token], given: &BTreeMap<&str, String>) -> Vec<Token> {
    let replaced = |token: &Token| match token {
        Token::Word(word) => given.get(word.as_str()).cloned().map_or_else(|| token.clone(), Token::Text),
        _ => token.clone(),
    };
    body.iter().map(replaced).collect()
}

/// What stands between the first bracket and the one that closes it, and what follows.
fn group(tokens: &[Token]) -> (&[Token], &[Token]) {
    let mut depth = 0;
    for (place, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (tokens.get(1..place).unwrap_or_default(), &tokens[place + 1..]);
        }
    }
    panic!("a bracket is not closed")
}

fn macros(tokens: &[Token]) -> Macros<'_> {
    let mut macros = BTreeMap::new();
    for (place, token) in tokens.iter().enumerate() {
        let [Token::Mark('!'), Token::Word(name), definition @ ..] = &tokens[place + 1..] else { continue };
        if *token != Token::Word("macro_rules".to_owned()) {
            continue;
        }
        let (parameters, arrow) = group(group(definition).0);
        let named = parameters.windows(2).filter_map(|pair| match pair {
            [Token::Mark('$'), Token::Word(name)] => Some(name.as_str()),
            _ => None,
        });
        if let [Token::Mark('='), Token::Mark('>'), body @ ..] = arrow {
            macros.insert(name.as_str(), Macro { parameters: named.collect(), body: group(body).0 });
        }
    }
    macros
}

fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => drop(chars.by_ref().find(|c| *c == '\n')),
            '"' => tokens.push(Token::Text(quoted(&mut chars))),
            '\'' => skip_char(&mut chars),
            'r' if matches!(chars.peek(), Some('"' | '#')) => {
                tokens.extend(raw(&mut chars).map(Token::Text));
            }
            c if c.is_alphanumeric() || c == '_' => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
            c if c.is_whitespace() => {}
            c => tokens.push(Token::Mark(c)),
        }
    }
    tokens
}

/// The rest of a string after its quotation mark.
fn quoted(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('"', _) => break,
            (_, Some('\n')) => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            (_, Some('n')) => text.push('\n'),
            (_, Some(escaped)) => text.push(escaped),
            (c, None) => text.push(c),
        }
    }
    text
}

/// The rest of a raw string after its `r`; `None` when it is a raw identifier.
fn raw(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let hashes = std::iter::from_fn(|| chars.next_if_eq(&'#')).count();
    chars.next_if_eq(&'"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let mut text = String::new();
    while !text.ends_with(&end) {
        text.push(chars.next()?);
    }
    text.truncate(text.len() - end.len());
    Some(text)
}

/// The rest of a character literal after its quotation mark; a lifetime has none.
fn skip_char(chars: &mut Peekable<Chars<'_>>) {
    let mut ahead = chars.clone();
    let first = ahead.next();
    let is_char = match first {
        Some('\\') => true,
        _ => ahead.next() == Some('\''),
    };
    if is_char {
        chars.next();
        if first == Some('\\') {
            chars.next();
        }
        chars.find(|c| *c == '\'');
    }
}

#[test]
fn statements_are_found_however_they_are_written() {
    let source = r##"
        // "-- in.a_comment"
        macro_rules! columns { () => { "id, \
            name" }; }
        fn quotes<'a>() -> [char; 3] { ['"', '\'', '\u{22}'] }
        const WHOLE: &str = "-- a.whole\nSELECT \"x\"";
        const RAW: &str = r#"-- a.raw
            SELECT "y" "#;
        const JOINED: &str = concat!("-- a.joined
            SELECT ", columns!(), " FROM t",);
        macro_rules! chosen { ($what:literal) => { concat!("-- a.chosen SELECT ", columns!(), " FROM ", $what) }; }
        fn chosen() { chosen!("u") }
        const PLAIN: &str = "-- Not a statement";
    "##;
    let found = in_source(source, Path::new("."));
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let found: Vec<_> = found.iter().map(|s| (s.name.as_str(), squeezed(&s.sql))).collect();
    let expected = [
        ("a.whole", "-- a.whole SELECT \"x\""),
        ("a.raw", "-- a.raw SELECT \"y\""),
        ("a.joined", "-- a.joined SELECT id, name FROM t"),
        ("a.chosen SELECT id, name FROM u", "-- a.chosen SELECT id, name FROM u"),
    ];
    assert_eq!(found, expected.map(|(name, sql)| (name, sql.to_owned())));
}

#[test]
fn a_statement_without_a_name_is_noticed() {
    assert_eq!(unnamed(r#"sqlx::query("-- a.b\nSELECT 1")"#), None);
    assert_eq!(unnamed(r#"sqlx::query_as::<_, Row>("SELECT 1")"#), Some("SELECT 1".to_owned()));
}
