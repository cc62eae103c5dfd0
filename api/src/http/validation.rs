//! Validation errors in the form that Reflector's frontends know: a list of findings, each with the place in the request.
//!
//! The members (`type`, `loc`, `msg`, `input`, `ctx`) and the names of the types are Pydantic's, because the list is shown
//! and parsed by code that was written against it. All of a request's findings are reported at once.

use contract::problem::ProblemCode;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::problem::ApiError;
use crate::domain::room::Setting;

/// The body of a 422: the findings, and the members that every error body has.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = HTTPValidationError)]
pub struct HttpValidationError {
    /// `urn:reflector:problem:` and the code.
    #[schema(rename = "type")]
    pub type_uri: String,
    /// The code's title.
    pub title: String,
    /// 422.
    pub status: u16,
    /// All that is wrong with the request.
    pub detail: Vec<Invalid>,
    /// The reason that programs match on.
    pub code: ProblemCode,
    /// The request's id, as in the server's log.
    pub request_id: Option<String>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = ValidationError)]
pub struct Invalid {
    /// What kind of mistake it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where it is: `body`, `query` or `path`, then the member's name.
    #[schema(value_type = Vec<Place>)]
    pub loc: Vec<Value>,
    /// What is expected, for people.
    pub msg: String,
    /// What was found.
    pub input: Value,
    /// The values that `msg` speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx: Option<Value>,
}

/// A step on the way to what is wrong: a member's name, or a position.
#[derive(Debug, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Place {
    /// A name.
    Name(String),
    /// A position, counted from 0.
    Position(u64),
}

impl Invalid {
    /// The request has no body, and the route needs one.
    pub fn no_body() -> Self {
        Self {
            kind: "missing",
            loc: vec![json!("body")],
            msg: "Field required".to_owned(),
            input: Value::Null,
            ctx: None,
        }
    }

    /// The body is not JSON.
    pub fn not_json(body: &[u8], error: &serde_json::Error) -> Self {
        Self {
            kind: "json_invalid",
            loc: vec![json!("body"), json!(offset(body, error))],
            msg: "JSON decode error".to_owned(),
            input: json!({}),
            ctx: Some(json!({"error": error.to_string()})),
        }
    }

    /// The body is JSON, but no object.
    pub fn not_an_object(input: Value) -> Self {
        Self {
            kind: "model_attributes_type",
            loc: vec![json!("body")],
            msg: "Input should be a valid dictionary or object to extract fields from".to_owned(),
            input,
            ctx: None,
        }
    }

    /// A member's value breaks a rule of this service, which `msg` states.
    pub fn value(member: &'static str, input: Value, msg: impl Into<String>) -> Self {
        Self::member("value_error", member, msg, input)
    }

    fn member(kind: &'static str, member: &str, msg: impl Into<String>, input: Value) -> Self {
        Self { kind, loc: vec![json!("body"), json!(member)], msg: msg.into(), input, ctx: None }
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::from(vec![invalid])
    }
}

impl From<Vec<Invalid>> for ApiError {
    fn from(findings: Vec<Invalid>) -> Self {
        Self::new(ProblemCode::ValidationFailed, json!(findings))
    }
}

/// The byte at which the parser gave up.
fn offset(body: &[u8], error: &serde_json::Error) -> usize {
    let lines = body.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    (lines.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1)).min(body.len())
}

/// Reads the members of an object one by one and remembers what is wrong with them.
///
/// A member that is wrong yields some value of its type, so that reading can go on; [`Fields::finish`] then refuses.
pub struct Fields<'a> {
    members: &'a Map<String, Value>,
    findings: Vec<Invalid>,
}

impl<'a> Fields<'a> {
    /// A reader of `members`. Members that nobody asks for are ignored.
    pub fn of(members: &'a Map<String, Value>) -> Self {
        Self { members, findings: Vec::new() }
    }

    /// A text that must be there.
    pub fn text(&mut self, member: &'static str) -> String {
        self.required(member).map(|value| self.as_text(member, value)).unwrap_or_default()
    }

    /// A text that is empty when it is not there.
    pub fn text_or_empty(&mut self, member: &'static str) -> String {
        self.members.get(member).map(|value| self.as_text(member, value)).unwrap_or_default()
    }

    /// A text that is `current` when it is not there.
    pub fn text_or(&mut self, member: &'static str, current: String) -> String {
        match self.members.get(member) {
            Some(value) => self.as_text(member, value),
            None => current,
        }
    }

    /// A text that stays `current` when it is not there, and is taken away by null or nothing.
    pub fn optional_text_or(&mut self, member: &'static str, current: Option<String>) -> Option<String> {
        if self.members.contains_key(member) { self.optional_text(member) } else { current }
    }

    /// A whole number of at least one that is `current` when it is not there.
    pub fn count_or(&mut self, member: &'static str, current: u32) -> u32 {
        let Some(value) = self.members.get(member) else { return current };
        lax_count(value).unwrap_or_else(|(kind, msg)| {
            self.findings.push(Invalid::member(kind, member, msg, value.clone()));
            current
        })
    }

    /// A text that may be absent, null or empty, which all mean the same.
    pub fn optional_text(&mut self, member: &'static str) -> Option<String> {
        let value = self.members.get(member).filter(|value| !value.is_null())?;
        Some(self.as_text(member, value)).filter(|text| !text.is_empty())
    }

    /// A boolean that must be there.
    pub fn flag(&mut self, member: &'static str) -> bool {
        self.required(member).is_some_and(|value| self.as_flag(member, value))
    }

    /// A boolean that is `default` when it is not there.
    pub fn flag_or(&mut self, member: &'static str, default: bool) -> bool {
        self.members.get(member).map_or(default, |value| self.as_flag(member, value))
    }

    /// A boolean that may be absent or null, which both mean `default`.
    pub fn optional_flag(&mut self, member: &'static str, default: bool) -> bool {
        let value = self.members.get(member).filter(|value| !value.is_null());
        value.map_or(default, |value| self.as_flag(member, value))
    }

    /// One of a closed list of values, which must be there. `fallback` only stands in for a wrong one.
    pub fn setting<S: Setting>(&mut self, member: &'static str, fallback: S) -> S {
        self.required(member).and_then(|value| self.as_setting(member, value)).unwrap_or(fallback)
    }

    /// One of a closed list of values, `default` when it is not there.
    pub fn setting_or<S: Setting>(&mut self, member: &'static str, default: S) -> S {
        self.members.get(member).and_then(|value| self.as_setting(member, value)).unwrap_or(default)
    }

    /// Notes that a member breaks a rule, unless something was wrong with it already.
    pub fn refuse(&mut self, member: &'static str, msg: impl Into<String>) {
        if !self.findings.iter().any(|finding| finding.loc.last() == Some(&json!(member))) {
            let input = self.members.get(member).cloned().unwrap_or_default();
            self.findings.push(Invalid::value(member, input, msg));
        }
    }

    /// All that was wrong, if anything was.
    pub fn finish(self) -> Result<(), Vec<Invalid>> {
        if self.findings.is_empty() { Ok(()) } else { Err(self.findings) }
    }

    fn required(&mut self, member: &'static str) -> Option<&'a Value> {
        let value = self.members.get(member);
        if value.is_none() {
            let whole = Value::Object(self.members.clone());
            self.findings.push(Invalid::member("missing", member, "Field required", whole));
        }
        value
    }

    fn as_text(&mut self, member: &'static str, value: &Value) -> String {
        match value {
            Value::String(text) if text.contains('\0') => {
                let msg = "Text must not contain the character U+0000";
                self.findings.push(Invalid::value(member, value.clone(), msg));
                String::new()
            }
            Value::String(text) => text.clone(),
            _ => {
                let msg = "Input should be a valid string";
                self.findings.push(Invalid::member("string_type", member, msg, value.clone()));
                String::new()
            }
        }
    }

    fn as_flag(&mut self, member: &'static str, value: &Value) -> bool {
        lax_boolean(value).unwrap_or_else(|kind| {
            let msg = match kind {
                "bool_parsing" => "Input should be a valid boolean, unable to interpret input",
                _ => "Input should be a valid boolean",
            };
            self.findings.push(Invalid::member(kind, member, msg, value.clone()));
            false
        })
    }

    fn as_setting<S: Setting>(&mut self, member: &'static str, value: &Value) -> Option<S> {
        let setting = value.as_str().and_then(S::parse);
        if setting.is_none() {
            let expected = one_of(S::SPELLINGS);
            let msg = format!("Input should be {expected}");
            let finding = Invalid::member("literal_error", member, msg, value.clone());
            self.findings.push(Invalid { ctx: Some(json!({"expected": expected})), ..finding });
        }
        setting
    }
}

/// A boolean in any spelling that Pydantic takes; otherwise the type of the mistake.
fn lax_boolean(value: &Value) -> Result<bool, &'static str> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::Number(number) if number.as_f64() == Some(1.0) => Ok(true),
        Value::Number(number) if number.as_f64() == Some(0.0) => Ok(false),
        Value::Number(_) => Err("bool_parsing"),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
            _ => Err("bool_parsing"),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => Err("bool_type"),
    }
}

/// A whole number of at least one in any spelling that Pydantic takes; otherwise the type and the words of the mistake. Larger
/// ones than the database's are no numbers of anything here.
fn lax_count(value: &Value) -> Result<u32, (&'static str, &'static str)> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => return Err(("int_type", "Input should be a valid integer")),
    };
    let unreadable = ("int_parsing", "Input should be a valid integer, unable to parse the input");
    match number.ok_or(unreadable)? {
        ..1 => Err(("greater_than_equal", "Input should be greater than or equal to 1")),
        number => match i32::try_from(number) {
            Ok(number) => Ok(number.unsigned_abs()),
            Err(_) => Err(("less_than_equal", "Input should be less than or equal to 2147483647")),
        },
    }
}

/// `'a', 'b' or 'c'`.
fn one_of(spellings: &[&str]) -> String {
    let quoted: Vec<_> = spellings.iter().map(|text| format!("'{text}'")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::room::{RecordingType, RoomMode};

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("not an object: {other}"),
        }
    }

    fn findings(value: Value, read: impl Fn(&mut Fields<'_>)) -> Value {
        let members = object(value);
        let mut fields = Fields::of(&members);
        read(&mut fields);
        serde_json::to_value(fields.finish().err().unwrap_or_default()).unwrap()
    }

    #[test]
    fn a_boolean_may_be_spelled_in_many_ways() {
        for value in [json!(true), json!(1), json!(1.0), json!("yes"), json!("On"), json!("T"), json!("1")] {
            assert_eq!(lax_boolean(&value), Ok(true), "{value}");
        }
        for value in [json!(false), json!(0), json!("no"), json!("OFF"), json!("n"), json!("0")] {
            assert_eq!(lax_boolean(&value), Ok(false), "{value}");
        }
        for (value, kind) in [
            (json!("maybe"), "bool_parsing"),
            (json!(""), "bool_parsing"),
            (json!(2), "bool_parsing"),
            (json!(null), "bool_type"),
            (json!([]), "bool_type"),
        ] {
            assert_eq!(lax_boolean(&value), Err(kind), "{value}");
        }
    }

    #[test]
    fn a_count_is_a_whole_number_from_one_on() {
        for (value, expected) in [
            (json!(1), Ok(1)),
            (json!(" 300 "), Ok(300)),
            (json!(2_147_483_647), Ok(2_147_483_647)),
            (json!(2_147_483_648_u32), Err("less_than_equal")),
            (json!(0), Err("greater_than_equal")),
            (json!(-5), Err("greater_than_equal")),
            (json!(1.5), Err("int_parsing")),
            (json!("soon"), Err("int_parsing")),
            (json!(null), Err("int_type")),
            (json!(true), Err("int_type")),
        ] {
            assert_eq!(lax_count(&value).map_err(|(kind, _)| kind), expected, "{value}");
        }
    }

    #[test]
    fn each_mistake_has_pydantic_s_type_place_and_words() {
        for (body, read, expected) in [
            (
                json!({"a": 1}),
                (|fields| drop(fields.text("name"))) as fn(&mut Fields<'_>),
                json!([{"type": "missing", "loc": ["body", "name"], "msg": "Field required", "input": {"a": 1}}]),
            ),
            (
                json!({"name": 1}),
                |fields| drop(fields.text("name")),
                json!([{"type": "string_type", "loc": ["body", "name"], "msg": "Input should be a valid string", "input": 1}]),
            ),
            (
                json!({"locked": "maybe"}),
                |fields| assert!(!fields.flag("locked")),
                json!([{"type": "bool_parsing", "loc": ["body", "locked"], "msg": "Input should be a valid boolean, unable to interpret input", "input": "maybe"}]),
            ),
            (
                json!({"mode": "huge"}),
                |fields| assert_eq!(fields.setting("mode", RoomMode::Normal), RoomMode::Normal),
                json!([{"type": "literal_error", "loc": ["body", "mode"], "msg": "Input should be 'normal' or 'group'", "input": "huge", "ctx": {"expected": "'normal' or 'group'"}}]),
            ),
            (
                json!({"type": null}),
                |fields| assert_eq!(fields.setting_or("type", RecordingType::None), RecordingType::None),
                json!([{"type": "literal_error", "loc": ["body", "type"], "msg": "Input should be 'none', 'local' or 'cloud'", "input": null, "ctx": {"expected": "'none', 'local' or 'cloud'"}}]),
            ),
            (
                json!({"stream": "a\u{0}"}),
                |fields| drop(fields.text_or_empty("stream")),
                json!([{"type": "value_error", "loc": ["body", "stream"], "msg": "Text must not contain the character U+0000", "input": "a\u{0}"}]),
            ),
        ] {
            assert_eq!(findings(body, read), expected);
        }
    }

    #[test]
    fn all_findings_are_reported_and_none_twice_for_one_member() {
        let found = findings(json!({"name": 1}), |fields| {
            fields.text("name");
            fields.refuse("name", "too odd");
            fields.flag("locked");
        });
        let kinds: Vec<_> = found.as_array().unwrap().iter().map(|finding| finding["type"].clone()).collect();
        assert_eq!(kinds, [json!("string_type"), json!("missing")]);
    }

    #[test]
    fn what_is_not_there_has_its_default() {
        let members = object(json!({"url": null, "locked": null, "other": "ignored"}));
        let mut fields = Fields::of(&members);
        assert_eq!(fields.text_or_empty("stream"), "");
        assert_eq!(fields.optional_text("url"), None);
        assert!(fields.flag_or("shared", true));
        assert!(fields.optional_flag("locked", true));
        assert_eq!(fields.setting_or("mode", RoomMode::Group), RoomMode::Group);
        assert_eq!(fields.finish(), Ok(()));
    }

    #[test]
    fn the_place_of_broken_json_is_a_byte() {
        for (body, expected) in [("", 0), ("{\"a\":}", 5), ("{\n \"a\": 1,\n}", 11), ("{}x", 2)] {
            let error = serde_json::from_str::<Value>(body).unwrap_err();
            let invalid = Invalid::not_json(body.as_bytes(), &error);
            assert_eq!(invalid.loc, [json!("body"), json!(expected)], "{body:?}: {error}");
        }
    }
}
