//! What is asked for: from options and files, or from a person.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, bail};
use contract::enrolment_token::EnrolmentToken;
use host::terminal::Terminal;

use super::Arguments;
use super::drop_in::Keys;
use super::place::Standing;
use crate::cli::say;
use crate::config::{is_api_url, secret_problem};

/// More is no token and no secret, in bytes.
const LONGEST: u64 = 64 << 10;

/// How often a person may answer wrongly.
const TRIES: usize = 3;

const TOKEN: &str =
    "Enrolment token (`reflector-api agents enroll NAME --token` prints it; what you type is not shown)";

/// What is to be set; what is `None` stays as it is. It holds the secret, so it has no `Debug`.
#[derive(Default)]
pub(super) struct Wish {
    pub(super) url: Option<String>,
    /// Empty: the agent has no name at its API.
    pub(super) agent_id: Option<String>,
    pub(super) rooms: Option<Vec<String>>,
    pub(super) secret: Option<String>,
}

impl Wish {
    /// What the options say. A person whose terminal is the standard input that they name is asked.
    pub(super) fn from_options(arguments: &Arguments, person: Option<&Terminal>) -> anyhow::Result<Self> {
        let mut wish = Self::default();
        match (&arguments.token_file, person) {
            (Some(path), Some(person)) if is_stdin(path) => wish.take(ask_token(person)?),
            (Some(path), _) => wish.take(EnrolmentToken::parse(&read(path)?).with_context(|| shown(path))?),
            (None, _) => {}
        }
        wish.secret = match (&arguments.secret_file, person) {
            (Some(path), Some(person)) if is_stdin(path) => Some(ask_secret(person)?),
            (Some(path), _) => Some(read(path)?.trim().to_owned()),
            (None, _) => wish.secret,
        };
        wish.url = arguments.url.clone().or(wish.url);
        wish.agent_id = arguments.agent_id.clone().or(wish.agent_id);
        wish.rooms = Some(arguments.rooms.clone()).filter(|rooms| !rooms.is_empty());
        Ok(wish)
    }

    /// The options that are missing, where nobody can be asked.
    pub(super) fn missing(&self, standing: &Standing) -> Vec<&'static str> {
        let url = (self.url.is_none() && standing.url.is_none()).then_some("--url URL");
        let secret = (self.secret.is_none() && !standing.has_secret).then_some("--secret-file FILE");
        url.into_iter().chain(secret).collect()
    }

    /// Asks for what is missing; for a token, when no option says anything.
    pub(super) fn ask(&mut self, standing: &Standing, terminal: &Terminal) -> anyhow::Result<()> {
        let says_nothing = self.url.is_none() && self.secret.is_none() && self.agent_id.is_none();
        if says_nothing && self.rooms.is_none() {
            let is_set_up = self.missing(standing).is_empty();
            if let Some(token) = ask_for_any_token(terminal, is_set_up)? {
                self.take(token);
                return Ok(());
            }
        }
        let missing = self.missing(standing);
        if missing.is_empty() {
            return Ok(());
        }
        if self.url.is_none() && standing.url.is_none() {
            self.url = Some(ask_url(terminal)?);
        }
        if self.secret.is_none() && !standing.has_secret {
            self.secret = Some(ask_secret(terminal)?);
        }
        if says_nothing {
            let id = terminal.ask(
                "Name that the API has enrolled this agent under (empty: all hosts share the secret): ",
            )?;
            self.agent_id = Some(id);
            let rooms = terminal
                .ask("Rooms to report, as patterns with * and ?, separated by commas [reflector-*]: ")?;
            let rooms = rooms.split(',').map(str::trim).filter(|room| !room.is_empty());
            self.rooms = Some(rooms.map(str::to_owned).collect::<Vec<_>>()).filter(|rooms| !rooms.is_empty());
        }
        Ok(())
    }

    /// What would be reported to another API, or under another name, than so far; in words.
    pub(super) fn replaces(&self, standing: &Standing) -> Option<String> {
        let (Some(url), true) = (&standing.url, standing.has_secret) else { return None };
        let other_name = match (&self.agent_id, &standing.agent_id) {
            (Some(new), Some(old)) => new != old,
            _ => false,
        };
        if !self.has_other_api(standing) && !other_name {
            return None;
        }
        let name = standing.agent_id.as_ref().map_or_else(String::new, |id| format!(" as the agent {id}"));
        Some(format!("this agent is set up already: it delivers to {url}{name}"))
    }

    /// The keys to write. A name belongs to an API: another address without a name forgets it.
    pub(super) fn keys(&self, standing: &Standing) -> Keys<'_> {
        let forgotten = (self.has_other_api(standing) && standing.agent_id.is_some()).then_some("");
        Keys {
            url: self.url.as_deref(),
            agent_id: self.agent_id.as_deref().or(forgotten),
            rooms: self.rooms.as_deref(),
        }
    }

    /// Whether an agent that is set up is to deliver to another address.
    pub(super) fn moves(&self, standing: &Standing) -> bool {
        standing.has_secret && self.has_other_api(standing)
    }

    fn has_other_api(&self, standing: &Standing) -> bool {
        let same = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
        matches!((&self.url, &standing.url), (Some(new), Some(old)) if !same(new, old))
    }

    fn take(&mut self, token: EnrolmentToken) {
        self.url = Some(token.url);
        self.agent_id = Some(token.agent_id);
        self.secret = Some(token.secret);
    }
}

fn ask_token(terminal: &Terminal) -> anyhow::Result<EnrolmentToken> {
    until_good(say, || {
        let text = terminal.ask_hidden(&format!("{TOKEN}: "))?;
        Ok(EnrolmentToken::parse(&text).map_err(|error| error.to_string()))
    })
}

/// `None`: the person wants none, to keep what is there or to type the parts.
fn ask_for_any_token(terminal: &Terminal, is_set_up: bool) -> anyhow::Result<Option<EnrolmentToken>> {
    let otherwise =
        if is_set_up { "Empty: everything stays as it is" } else { "Empty: address and secret one by one" };
    until_good(say, || {
        let text = terminal.ask_hidden(&format!("{TOKEN}. {otherwise}: "))?;
        if text.is_empty() {
            return Ok(Ok(None));
        }
        Ok(EnrolmentToken::parse(&text).map(Some).map_err(|error| error.to_string()))
    })
}

fn ask_url(terminal: &Terminal) -> anyhow::Result<String> {
    until_good(say, || {
        let url = terminal.ask("Address of the API, for example https://reflector.example.com: ")?;
        Ok(if is_api_url(&url) { Ok(url) } else { Err("that is no http or https address".to_owned()) })
    })
}

fn ask_secret(terminal: &Terminal) -> anyhow::Result<String> {
    until_good(say, || {
        let secret = terminal
            .ask_hidden("Secret (the API's JITSI_WEBHOOK_SECRET, or this agent's own; not shown): ")?;
        Ok(secret_problem(&secret).map_or(Ok(secret), |problem| Err(format!("the secret {problem}"))))
    })
}

/// Asks again after an answer that is of no use, and says why.
fn until_good<T>(
    tell: impl Fn(&str),
    mut ask: impl FnMut() -> io::Result<Result<T, String>>,
) -> anyhow::Result<T> {
    for _ in 0..TRIES {
        match ask()? {
            Ok(answer) => return Ok(answer),
            Err(problem) => tell(&problem),
        }
    }
    bail!("there was no answer that could be used: nothing was written")
}

/// Reads a file, or standard input for `-`.
fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if is_stdin(path) {
        io::stdin().take(LONGEST).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    read.with_context(|| format!("{} cannot be read", shown(path)))?;
    Ok(text)
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn shown(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(url: &str, agent_id: &str) -> Standing {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Standing { url: text(url), agent_id: text(agent_id), has_secret: !url.is_empty() }
    }

    fn wish(url: &str, agent_id: Option<&str>) -> Wish {
        let url = Some(url.to_owned()).filter(|url| !url.is_empty());
        Wish { url, agent_id: agent_id.map(str::to_owned), ..Wish::default() }
    }

    #[test]
    fn another_api_or_another_name_is_a_replacement_and_another_secret_is_none() {
        for (url, agent_id, before, expected) in [
            ("https://a", Some("x"), standing("", ""), false),
            ("https://a/", Some("x"), standing("https://a", "x"), false),
            ("https://a", None, standing("https://a", "x"), false),
            ("", None, standing("https://a", "x"), false),
            ("https://a", Some("x"), standing("https://a", ""), false),
            ("https://b", Some("x"), standing("https://a", "x"), true),
            ("https://b", None, standing("https://a", ""), true),
            ("https://a", Some("y"), standing("https://a", "x"), true),
            ("https://b", None, Standing { has_secret: false, ..standing("https://a", "") }, false),
        ] {
            let mut wish = wish(url, agent_id);
            wish.secret = Some("another".into());
            assert_eq!(wish.replaces(&before).is_some(), expected, "{url} {agent_id:?} {before:?}");
        }
        let nameless = Wish { agent_id: Some(String::new()), ..Wish::default() };
        assert!(nameless.replaces(&standing("https://a", "x")).is_some());
    }

    #[test]
    fn a_name_is_forgotten_with_its_api_alone() {
        for (url, agent_id, before, expected) in [
            ("https://a", None, standing("https://a", "x"), None),
            ("https://b", None, standing("https://a", "x"), Some("")),
            ("https://b", Some("y"), standing("https://a", "x"), Some("y")),
            ("", None, standing("https://a", "x"), None),
            ("https://b", None, standing("https://a", ""), None),
        ] {
            assert_eq!(wish(url, agent_id).keys(&before).agent_id, expected, "{url} {agent_id:?} {before:?}");
        }
    }

    #[test]
    fn what_is_missing_is_neither_given_nor_there() {
        let mut given = wish("https://a", None);
        assert_eq!(given.missing(&standing("", "")), ["--secret-file FILE"]);
        given.secret = Some("s".into());
        assert!(given.missing(&standing("", "")).is_empty());
        assert!(Wish::default().missing(&standing("https://a", "")).is_empty());
        assert_eq!(Wish::default().missing(&standing("", "")), ["--url URL", "--secret-file FILE"]);
    }

    #[test]
    fn a_person_may_be_wrong_twice() {
        let mut answers = vec![Err("no".to_owned()), Err("no".to_owned()), Ok(7)].into_iter();
        assert_eq!(until_good(|_| {}, || Ok(answers.next().unwrap())).unwrap(), 7);
        let mut asked = 0;
        let refused = until_good::<()>(
            |_| {},
            || {
                asked += 1;
                Ok(Err("no".to_owned()))
            },
        );
        assert!(refused.is_err() && asked == TRIES);
    }
}
