//! Problems: the closed list of reasons for which the API says no.
//!
//! Every error body is RFC 9457 `application/problem+json`. `code` is the member that programs match on, `detail` the
//! one that people read (the Reflector frontends show it).

use serde::{Deserialize, Serialize};

/// The prefix of every problem's `type`; the code is appended. A name, not an address to fetch.
pub const TYPE_BASE: &str = "urn:reflector:problem:";

macro_rules! problem_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// A reason for a refusal. The list is closed: a body whose `code` is not here was not written by our API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ProblemCode {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)*
        }

        impl ProblemCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as it stands in a body.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// The HTTP status that goes with the code.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }

            /// A short sentence, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }
        }
    };
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for ProblemCode {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let codes = Self::ALL.iter().map(|code| code.as_str());
        let text = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String);
        text.enum_values(Some(codes)).description(Some("A reason for a refusal.")).into()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for ProblemCode {}

problem_codes! {
    /// The body is not JSON, or its encoding is not UTF-8.
    JsonInvalid = "json_invalid", 422, "The body is not valid JSON";
    /// An event's members do not have the documented form.
    EventInvalid = "event_invalid", 422, "The event is not valid";
    /// A request body or parameter does not have the documented form.
    ValidationFailed = "validation_failed", 422, "The request is not valid";
    /// The request carries no signature, or none that verifies.
    SignatureInvalid = "signature_invalid", 401, "Invalid webhook signature";
    /// The signature is right but its timestamp is missing or too far from the server's clock.
    TimestampInvalid = "timestamp_invalid", 401, "The signature's timestamp is missing or too old";
    /// No meeting has this room name or id.
    MeetingNotFound = "meeting_not_found", 404, "Meeting not found";
    /// No room has this name or id.
    RoomNotFound = "room_not_found", 404, "Room not found";
    /// Another room has this name.
    RoomNameTaken = "room_name_taken", 400, "Room name is not unique";
    /// The route needs a bearer token and the request has none.
    NotAuthenticated = "not_authenticated", 401, "Not authenticated";
    /// The bearer token does not verify, has expired or is for somebody else.
    AuthenticationInvalid = "authentication_invalid", 401, "Invalid authentication";
    /// The caller is known but may not do this.
    Forbidden = "forbidden", 403, "Not authorized";
    /// There is no such path.
    NotFound = "not_found", 404, "Not Found";
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405, "Method Not Allowed";
    /// The body, or the batch, is larger than the contract allows.
    BodyTooLarge = "body_too_large", 413, "The body is too large";
    /// The content type is not one that the route takes.
    MediaTypeUnsupported = "media_type_unsupported", 415, "Unsupported media type";
    /// The caller has no API key with this id.
    ApiKeyNotFound = "api_key_not_found", 404, "API key not found";
    /// The room's calendar is not read, or has no address.
    CalendarNotConfigured = "calendar_not_configured", 400, "ICS not configured for this room";
    /// No upload has this id, or it has ended.
    UploadNotFound = "upload_not_found", 404, "Upload not found";
    /// Parts are missing or have a wrong size; `detail` names them.
    UploadIncomplete = "upload_incomplete", 409, "The upload is not complete";
    /// The storage does not hold what the host held. The object is gone; the upload begins anew.
    ChecksumMismatch = "checksum_mismatch", 409, "The stored object differs from the file";
    /// The upload is verified and cannot be taken back.
    UploadVerified = "upload_verified", 409, "The upload is verified already";
    /// No recording has this id.
    RecordingNotFound = "recording_not_found", 404, "Recording not found";
    /// The recording's file is not in the object storage; `detail` says where it is.
    RecordingNotStored = "recording_not_stored", 404, "The recording is not in the storage";
    /// Somebody in the meeting did not agree to be recorded.
    RecordingWithheld = "recording_withheld", 410, "The recording is withheld";
    /// The recording was removed.
    RecordingDeleted = "recording_deleted", 410, "The recording was removed";
    /// Too many requests; `Retry-After` says when to come back.
    RateLimited = "rate_limited", 429, "Too many requests";
    /// The meeting has been ended.
    MeetingNotActive = "meeting_not_active", 400, "Meeting is not active";
    /// The meeting's time is over.
    MeetingEnded = "meeting_ended", 400, "Meeting has ended";
    /// The room's meeting platform is not configured on this server.
    PlatformNotConfigured = "platform_not_configured", 503, "The meeting platform is not configured";
    /// The meeting platform does not answer, or refuses what it is asked.
    PlatformUnavailable = "platform_unavailable", 503, "The meeting platform does not answer";
    /// The server has no object storage.
    StorageNotConfigured = "storage_not_configured", 503, "The object storage is not configured";
    /// The object storage does not answer, or refuses what it is asked.
    StorageUnavailable = "storage_unavailable", 503, "The object storage does not answer";
    /// A part that the server needs (its database) does not answer; nothing was stored.
    Unavailable = "unavailable", 503, "Temporarily unavailable";
    /// The server failed; its log has the reason under the request id.
    Internal = "internal", 500, "Internal Server Error";
}

/// The members of an error body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The problem's type: [`TYPE_BASE`] and the code.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The code's title.
    pub title: String,
    /// The HTTP status, repeated for readers that see only the body.
    pub status: u16,
    /// What is wrong this time and what to do; a sentence, or the list form for validation errors.
    pub detail: serde_json::Value,
    /// The reason that programs match on.
    pub code: ProblemCode,
    /// The request's id, as in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    /// A problem with a sentence for people.
    pub fn new(code: ProblemCode, detail: impl Into<serde_json::Value>) -> Self {
        Self {
            type_uri: format!("{TYPE_BASE}{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code,
            request_id: None,
        }
    }
}

/// The code of an error body that our API wrote; `None` for a body that somebody else wrote (a proxy's page, another
/// release with a code that this one does not know).
pub fn code_of_body(body: &[u8]) -> Option<ProblemCode> {
    #[derive(Deserialize)]
    struct Code {
        code: ProblemCode,
    }
    serde_json::from_slice::<Code>(body).ok().map(|body| body.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_the_way_through_a_body() {
        for &code in ProblemCode::ALL {
            let body = serde_json::to_vec(&Problem::new(code, "why")).unwrap();
            assert_eq!(code_of_body(&body), Some(code));
        }
    }

    #[test]
    fn a_body_from_somebody_else_has_no_code() {
        for body in [&b"<html>502</html>"[..], b"{\"code\":\"quota\"}", b"{\"detail\":\"Not Found\"}", b""] {
            assert_eq!(code_of_body(body), None);
        }
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = ProblemCode::ALL.iter().map(|c| c.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ProblemCode::ALL.len());
    }
}
