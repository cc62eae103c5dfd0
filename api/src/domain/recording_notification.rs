//! What a storage tells of objects, in the three forms in which it reaches a queue: its own, wrapped by SNS, and as `EventBridge` has it.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How many envelopes are opened. There is one at most; a text of envelopes alone is not to cost more than that.
const ENVELOPES: usize = 2;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// That notifications are on: sent once.
    Test,
    /// That objects came or went. Other news of objects is left out.
    Objects(Vec<Change>),
}

/// Something that happened to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The bucket.
    pub bucket: String,
    /// The object's key, decoded.
    pub key: String,
    /// Whether the object is there now.
    pub is_there: bool,
    /// Its size in bytes.
    pub size_bytes: Option<i64>,
    /// When it happened; `None` when that cannot be read.
    pub at: Option<OffsetDateTime>,
}

/// Why a message says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no JSON object.
    #[error("it is no JSON object")]
    NoObject,
    /// It has none of the three forms.
    #[error("it is neither a notification of S3 nor one that SNS or EventBridge passes on")]
    Unknown,
    /// A part of it is not as documented.
    #[error("its {0} cannot be read")]
    Part(&'static str),
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "eventName")]
    event_name: String,
    #[serde(rename = "eventTime", default)]
    event_time: String,
    s3: Entity,
}

#[derive(Deserialize)]
struct Entity {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    key: String,
    #[serde(default)]
    size: Option<i64>,
}

/// Reads a message's body.
pub fn parse(body: &str) -> Result<Notification, Unreadable> {
    let mut message: Value = serde_json::from_str(body).map_err(|_| Unreadable::NoObject)?;
    for _ in 0..ENVELOPES {
        let Value::Object(members) = &mut message else { return Err(Unreadable::NoObject) };
        if members.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
            return Ok(Notification::Test);
        }
        if let Some(Value::Array(records)) = members.remove("Records") {
            let changes = records.into_iter().map(of_record).collect::<Result<Vec<_>, _>>()?;
            return Ok(Notification::Objects(changes.into_iter().flatten().collect()));
        }
        if let Some(Value::String(kind)) = members.get("detail-type") {
            let is_there = match kind.as_str() {
                "Object Created" => true,
                "Object Deleted" => false,
                _ => return Ok(Notification::Objects(Vec::new())),
            };
            let at = members.get("time").and_then(Value::as_str).and_then(moment);
            let detail = members.remove("detail").unwrap_or_default();
            let entity: Entity = serde_json::from_value(detail).map_err(|_| Unreadable::Part("detail"))?;
            // This key alone is written as it is.
            let key = plain(entity.object.key)?;
            let change = Change {
                bucket: plain(entity.bucket.name)?,
                key,
                is_there,
                size_bytes: entity.object.size,
                at,
            };
            return Ok(Notification::Objects(vec![change]));
        }
        let Some(Value::String(inner)) = members.get("Message") else { return Err(Unreadable::Unknown) };
        message = serde_json::from_str(inner).map_err(|_| Unreadable::Part("Message"))?;
    }
    Err(Unreadable::Unknown)
}

fn of_record(record: Value) -> Result<Option<Change>, Unreadable> {
    let record: Record = serde_json::from_value(record).map_err(|_| Unreadable::Part("Records"))?;
    let name = record.event_name.trim_start_matches("s3:");
    let is_there = match name.split(':').next() {
        Some("ObjectCreated") => true,
        Some("ObjectRemoved" | "LifecycleExpiration") => false,
        _ => return Ok(None),
    };
    Ok(Some(Change {
        bucket: plain(record.s3.bucket.name)?,
        key: decode(&record.s3.object.key)?,
        is_there,
        size_bytes: record.s3.object.size,
        at: moment(&record.event_time),
    }))
}

/// Keys are encoded as in forms: a blank is a plus.
fn decode(key: &str) -> Result<String, Unreadable> {
    let blanks = key.replace('+', " ");
    let text = percent_decode_str(&blanks).decode_utf8().map_err(|_| Unreadable::Part("key"))?;
    plain(text.into_owned())
}

/// A text that the database can hold.
fn plain(text: String) -> Result<String, Unreadable> {
    if text.is_empty() || text.contains('\0') { Err(Unreadable::Part("key")) } else { Ok(text) }
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn s3(event: &str, key: &str) -> Value {
        json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "2026-03-01T10:30:02.111Z", "eventName": event,
            "s3": {"bucket": {"name": "rec"}, "object": {"key": key, "size": 5, "sequencer": "00"}},
        }]})
    }

    fn change(key: &str, is_there: bool) -> Change {
        let at = time::macros::datetime!(2026-03-01 10:30:02.111 UTC);
        Change { bucket: "rec".into(), key: key.into(), is_there, size_bytes: Some(5), at: Some(at) }
    }

    #[test]
    fn all_three_forms_say_the_same() {
        let created =
            s3("ObjectCreated:CompleteMultipartUpload", "a+b/r%2B%C3%BC-2026-03-01T10%3A02%3A20Z.mp4");
        let bridged = json!({
            "detail-type": "Object Created", "source": "aws.s3", "time": "2026-03-01T10:30:02.111Z",
            "detail": {"bucket": {"name": "rec"}, "object": {"key": "a b/r+ü-2026-03-01T10:02:20Z.mp4", "size": 5}},
        });
        let wrapped = json!({"Type": "Notification", "TopicArn": "arn", "Message": created.to_string()});
        let expected = Notification::Objects(vec![change("a b/r+ü-2026-03-01T10:02:20Z.mp4", true)]);
        for body in [created, bridged.clone(), wrapped, json!({"Message": bridged.to_string()})] {
            assert_eq!(parse(&body.to_string()), Ok(expected.clone()), "{body}");
        }
    }

    #[test]
    fn what_came_and_what_went_is_told_apart_from_other_news() {
        for (event, expected) in [
            ("ObjectCreated:Put", vec![change("k", true)]),
            ("s3:ObjectCreated:Copy", vec![change("k", true)]),
            ("ObjectRemoved:DeleteMarkerCreated", vec![change("k", false)]),
            ("LifecycleExpiration:Delete", vec![change("k", false)]),
            ("ObjectRestore:Post", vec![]),
        ] {
            assert_eq!(parse(&s3(event, "k").to_string()), Ok(Notification::Objects(expected)), "{event}");
        }
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "rec"}).to_string();
        assert_eq!(parse(&test), Ok(Notification::Test));
        assert_eq!(parse(&json!({"Message": test}).to_string()), Ok(Notification::Test));
        let other = json!({"detail-type": "Object Tags Added", "detail": {}}).to_string();
        assert_eq!(parse(&other), Ok(Notification::Objects(vec![])));
    }

    #[test]
    fn what_says_nothing_is_named() {
        let deep = (0..9).fold(json!({}), |inner, _| json!({"Message": inner.to_string()}));
        for (body, expected) in [
            (String::new(), Unreadable::NoObject),
            ("[]".into(), Unreadable::NoObject),
            ("nonsense".into(), Unreadable::NoObject),
            ("{}".into(), Unreadable::Unknown),
            (deep.to_string(), Unreadable::Unknown),
            (json!({"Message": "hello"}).to_string(), Unreadable::Part("Message")),
            (json!({"Records": [{}]}).to_string(), Unreadable::Part("Records")),
            (json!({"detail-type": "Object Created"}).to_string(), Unreadable::Part("detail")),
            (s3("ObjectCreated:Put", "%FF").to_string(), Unreadable::Part("key")),
            (s3("ObjectCreated:Put", "a%00").to_string(), Unreadable::Part("key")),
        ] {
            assert_eq!(parse(&body), Err(expected), "{body}");
        }
        let mut undated = s3("ObjectCreated:Put", "k");
        undated["Records"][0]["eventTime"] = json!("yesterday");
        let Ok(Notification::Objects(changes)) = parse(&undated.to_string()) else { panic!() };
        assert_eq!(changes[0].at, None);
    }
}
