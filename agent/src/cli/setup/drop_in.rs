//! The drop-in that `setup` writes: a function of what it held and of what is asked for.

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

/// The new text. A file that is no TOML says nothing that could be kept.
pub(super) fn text(before: &str, keys: &Keys<'_>) -> String {
    let mut table: Table = before.parse().unwrap_or_default();
    let api = table.entry("api").or_insert_with(|| Value::Table(Table::new()));
    if !api.is_table() {
        *api = Value::Table(Table::new());
    }
    if let Value::Table(api) = api {
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
            ("no toml", &url, "[api]\nurl = \"https://x.example\"\n"),
            ("api = 3\n", &url, "[api]\nurl = \"https://x.example\"\n"),
            (more, &Keys::default(), more),
            (more, &named, &more.replace("old", "jitsi-1")),
            (more, &nameless, &more.replace("agent-id = \"old\"\n", "")),
            ("", &of_rooms, "[api]\nrooms = [\"a-*\", 'b \"x\"']\n"),
        ] {
            let text = text(before, keys);
            let table = |text: &str| text.parse::<Table>().unwrap();
            assert_eq!(table(&text), table(expected), "{before} {keys:?}");
            assert!(text.starts_with("# Written by `reflector-agent setup`"), "{text}");
        }
    }

    #[test]
    fn writing_the_same_again_changes_nothing() {
        let keys = Keys { url: Some("https://x.example"), agent_id: Some("a"), rooms: None };
        let once = text("[recordings]\nenabled = false\n", &keys);
        assert_eq!(text(&once, &keys), once);
    }
}
