//! Prosody's configuration, as far as a look at it needs: which hosts there are, and which options they set.
//!
//! The file is Lua. What is read are calls with a string (`VirtualHost "x"`) and assignments of strings, numbers, booleans
//! and lists of strings; everything else is stepped over. A configuration that computes its options is therefore known in
//! part, which the findings that rest on it say.

use std::collections::BTreeMap;

/// One section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Section {
    /// The host's name; empty for what stands above the first host.
    pub(super) host: String,
    /// The module of a component; `None` for the global section and for virtual hosts.
    pub(super) component: Option<String>,
    options: BTreeMap<String, Value>,
}

/// An option's value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    List(Vec<String>),
    /// A number, a boolean, or something that would have to be computed.
    Other,
}

impl Section {
    /// An option that is a text.
    pub(super) fn text(&self, option: &str) -> Option<&str> {
        match self.options.get(option) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The texts of an option that is a list, or one text.
    pub(super) fn list(&self, option: &str) -> Vec<&str> {
        match self.options.get(option) {
            Some(Value::List(items)) => items.iter().map(String::as_str).collect(),
            Some(Value::Text(text)) => vec![text],
            _ => Vec::new(),
        }
    }

    /// Whether the option is set, whatever to.
    pub(super) fn sets(&self, option: &str) -> bool {
        self.options.contains_key(option)
    }

    /// Whether a module is listed here.
    pub(super) fn loads(&self, module: &str) -> bool {
        self.list("modules_enabled").contains(&module)
    }

    /// The virtual hosts among the sections have neither a component nor an empty name.
    pub(super) fn is_virtual_host(&self) -> bool {
        self.component.is_none() && !self.host.is_empty()
    }
}

/// A piece of Lua.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Text(String),
    Word(String),
    Sign(char),
}

/// Reads a configuration. `include` is asked for the text of what `Include` names, which may be several files.
pub(super) fn parse(text: &str, include: &mut dyn FnMut(&str) -> String) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    read(text, &mut sections, include, 0);
    sections
}

/// How deep files may include each other.
const DEEPEST: usize = 8;

fn read(text: &str, sections: &mut Vec<Section>, include: &mut dyn FnMut(&str) -> String, depth: usize) {
    let tokens = tokens(text);
    let mut at = 0;
    while at < tokens.len() {
        let step = match &tokens[at..] {
            [Token::Word(word), Token::Text(pattern), ..] if word == "Include" => {
                if depth < DEEPEST {
                    let included = include(pattern);
                    read(&included, sections, include, depth + 1);
                }
                2
            }
            [Token::Word(word), Token::Text(host), ..] if word == "VirtualHost" || word == "Host" => {
                sections.push(Section { host: host.clone(), ..Section::default() });
                2
            }
            [Token::Word(word), Token::Text(host), rest @ ..] if word == "Component" => {
                let module =
                    if let [Token::Text(module), ..] = rest { module.clone() } else { String::new() };
                let step = if module.is_empty() { 2 } else { 3 };
                sections.push(Section {
                    host: host.clone(),
                    component: Some(module),
                    options: BTreeMap::new(),
                });
                step
            }
            [Token::Word(name), Token::Sign('='), rest @ ..] => {
                let (value, taken) = value(rest);
                if let Some(section) = sections.last_mut() {
                    section.options.insert(name.clone(), value);
                }
                2 + taken
            }
            _ => 1,
        };
        at += step;
    }
}

/// The value that an assignment begins with, and how many tokens it takes.
fn value(tokens: &[Token]) -> (Value, usize) {
    let plain = match tokens.first() {
        Some(Token::Text(text)) => (Value::Text(text.clone()), 1),
        Some(Token::Word(_)) => (Value::Other, 1),
        Some(Token::Sign('{')) => list(tokens),
        _ => (Value::Other, 0),
    };
    // Joined texts, calls, sums: to be computed.
    match tokens.get(plain.1) {
        Some(Token::Sign('.' | '+' | '*' | '/' | '(' | '[')) => (Value::Other, plain.1),
        _ => plain,
    }
}

/// The texts of a table that stand there without a key; tables inside it are stepped over.
fn list(tokens: &[Token]) -> (Value, usize) {
    let (mut depth, mut items) = (0_usize, Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') if depth == 1 => return (Value::List(items), at + 1),
            Token::Sign('}') => depth -= 1,
            Token::Text(text) if depth == 1 && tokens[at - 1] != Token::Sign('=') => items.push(text.clone()),
            _ => {}
        }
    }
    (Value::List(items), tokens.len())
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("--") {
            rest = match long_bracket(comment) {
                Some((_, after)) => after,
                None => comment.split_once('\n').map_or("", |(_, after)| after),
            };
        } else if let Some((inside, after)) = long_bracket(rest) {
            tokens.push(Token::Text(inside.to_owned()));
            rest = after;
        } else if first == '"' || first == '\'' {
            let (inside, after) = quoted(&rest[1..], first);
            tokens.push(Token::Text(inside));
            rest = after;
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Sign(first));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    tokens
}

/// `[[…]]` or `[==[…]==]` at the beginning: what is inside, and what follows.
fn long_bracket(text: &str) -> Option<(&str, &str)> {
    let after = text.strip_prefix('[')?;
    let level = after.bytes().take_while(|byte| *byte == b'=').count();
    let inside = after[level..].strip_prefix('[')?;
    let end = format!("]{}]", "=".repeat(level));
    Some(inside.split_once(&end).unwrap_or((inside, "")))
}

/// A quoted text up to its end, and what follows.
fn quoted(text: &str, quote: char) -> (String, &str) {
    let mut inside = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => inside.extend(characters.next().map(|(_, escaped)| escaped)),
            end if end == quote => return (inside, &text[at + 1..]),
            other => inside.push(other),
        }
    }
    (inside, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const JITSI: &str = r#"
-- global
plugin_paths = { "/usr/share/jitsi-meet/prosody-plugins/" }
--[[ modules_enabled = { "nothing" } ]]
cross_domain_bosh = false;
VirtualHost "meet.example.com"
    authentication = "token" -- do not delete me
    app_id="reflector"
    app_secret=[[s3cret]]
    ssl = { key = "/etc/x.key"; certificate = '/etc/x.crt' }
    modules_enabled = {
        "bosh"; 'ping', -- "event_sync"
    }
Component "conference.meet.example.com" "muc"
    restrict_room_creation = true
    modules_enabled = { "muc_meeting_id"; "reflector_events"; }
    admins = { "focus@auth." .. domain }
    muc_mapper_domain_base = base .. ".com"
Include "conf.d/*.cfg.lua"
Component "focus.meet.example.com"
    component_secret = "x\"y"
"#;

    #[test]
    fn hosts_and_their_options_are_found() {
        let mut asked = Vec::new();
        let sections = parse(JITSI, &mut |pattern| {
            asked.push(pattern.to_owned());
            "Component \"lobby.meet.example.com\" \"muc\"\n    muc_room_locking = false".to_owned()
        });
        assert_eq!(asked, ["conf.d/*.cfg.lua"]);
        let hosts: Vec<(&str, Option<&str>)> =
            sections.iter().map(|section| (section.host.as_str(), section.component.as_deref())).collect();
        assert_eq!(
            hosts,
            [
                ("", None),
                ("meet.example.com", None),
                ("conference.meet.example.com", Some("muc")),
                ("lobby.meet.example.com", Some("muc")),
                ("focus.meet.example.com", Some("")),
            ]
        );
        let [global, host, muc, _, focus] = &sections[..] else { panic!("{sections:?}") };
        assert_eq!(global.list("plugin_paths"), ["/usr/share/jitsi-meet/prosody-plugins/"]);
        assert!(!global.sets("modules_enabled") && global.sets("cross_domain_bosh"));
        assert_eq!((host.text("authentication"), host.text("app_secret")), (Some("token"), Some("s3cret")));
        assert_eq!(host.list("modules_enabled"), ["bosh", "ping"]);
        assert!(host.is_virtual_host() && host.list("ssl").is_empty());
        assert!(muc.loads("reflector_events") && muc.sets("restrict_room_creation"));
        assert!(muc.sets("muc_mapper_domain_base") && muc.text("muc_mapper_domain_base").is_none());
        assert_eq!(focus.text("component_secret"), Some("x\"y"));
    }

    #[test]
    fn whatever_the_file_holds_the_reading_ends() {
        for text in
            ["", "{", "}", "x = {", "x = ", "\"open", "--[[ open", "[==[ open", "Component", "= = {{\"a\"}"]
        {
            parse(text, &mut |_| String::new());
        }
        let mut deep = |_: &str| "Include \"x\"".to_owned();
        assert_eq!(parse("Include \"x\"", &mut deep).len(), 1, "files that include each other");
    }
}
