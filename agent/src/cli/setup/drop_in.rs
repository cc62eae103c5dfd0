//! The drop-in that `setup` writes: a function of what it held and of what is asked for.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::anyhow;
use toml::{Table, Value};

/// The drop-in's name. Drop-ins with a later name override it.
pub(super) const NAME: &str = "50-setup.toml";

const HEADER: &str = "\
# Written by `reflector-agent setup`, which keeps the keys that it is not asked for, and no comments.
# What you set yourself belongs into a file of its own beside this one, such as 60-local.toml: later names override earlier ones.

";

/// What the drop-in is to say; what is `None` stays as it was.
#[derive(Debug, Default)]
pub(super) struct Keys<'a> {
    pub(super) url: Option<&'a str>,
    /// Empty: the agent has no name at its API.
    pub(super) agent_id: Option<&'a str>,
    pub(super) rooms: Option<&'a [String]>,
}

/// What the drop-in says; nothing, if there is none. Of any other file that cannot be read, what it holds is not known, so
/// nothing could be kept of it.
pub(super) fn read(path: &Path) -> anyhow::Result<Table> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Table::new()),
        text => parse(&text?),
    }
}

fn parse(text: &str) -> anyhow::Result<Table> {
    // Without the line itself, which may hold anything.
    let table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| anyhow!("it is no TOML: {}", error.message().trim()))?;
    if table.get("api").is_some_and(|api| !api.is_table()) {
        return Err(anyhow!("its `api` is no table"));
    }
    Ok(table)
}

/// The new text: what was there `before`, with the keys.
pub(super) fn text(before: &Table, keys: &Keys<'_>) -> String {
    let mut table = before.clone();
    if let Value::Table(api) = table.entry("api").or_insert_with(|| Value::Table(Table::new())) {
        let mut set = |key: &str, value: Option<Value>| match value {
            Some(value) => drop(api.insert(key.to_owned(), value)),
            None => drop(api.remove(key)),
        };
        if let Some(url) = keys.url {
            set("url", Some(url.into()));
        }
        if let Some(agent_id) = keys.agent_id {
            set("agent-id", Some(agent_id).filter(|id| !id.is_empty()).map(Value::from));
        }
        if let Some(rooms) = keys.rooms {
            set("rooms", Some(rooms.to_vec().into()));
        }
    }
    format!("{HEADER}{table}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_set_and_everything_else_is_kept() {
        let rooms = ["a-*".to_owned(), "b \"x\"".to_owned()];
        let url = Keys { url: Some("https://x.example"), ..Keys::default() };
        let named = Keys { agent_id: Some("jitsi-1"), ..Keys::default() };
        let nameless = Keys { agent_id: Some(""), ..Keys::default() };
        let of_rooms = Keys { rooms: Some(&rooms), ..Keys::default() };
        let more = "[api]\nagent-id = \"old\"\nproxy = \"none\"\n[outbox]\nmax-bytes = 5000000\n";
        for (before, keys, expected) in [
            ("", &url, "[api]\nurl = \"https://x.example\"\n"),
            (more, &Keys::default(), more),
            (more, &named, &more.replace("old", "jitsi-1")),
            (more, &nameless, &more.replace("agent-id = \"old\"\n", "")),
            ("", &of_rooms, "[api]\nrooms = [\"a-*\", 'b \"x\"']\n"),
        ] {
            let text = text(&parse(before).unwrap(), keys);
            let table = |text: &str| text.parse::<Table>().unwrap();
            assert_eq!(table(&text), table(expected), "{before} {keys:?}");
            assert!(text.starts_with("# Written by `reflector-agent setup`"), "{text}");
        }
    }

    #[test]
    fn writing_the_same_again_changes_nothing() {
        let keys = Keys { url: Some("https://x.example"), agent_id: Some("a"), rooms: None };
        let once = text(&parse("[recordings]\nenabled = false\n").unwrap(), &keys);
        assert_eq!(text(&parse(&once).unwrap(), &keys), once);
    }

    #[test]
    fn what_cannot_be_kept_is_told_apart_from_nothing() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read(&directory.path().join(NAME)).unwrap().is_empty(), "there is none");
        assert!(read(directory.path()).is_err(), "this is no file");
        for (text, told) in [("url = secret", "it is no TOML"), ("api = 3", "its `api` is no table")] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains("secret"), "{error}");
        }
        assert!(parse("").unwrap().is_empty());
    }
}
