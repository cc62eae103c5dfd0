//! Uploads of recording files: how the agent gets a file into the object storage without holding a credential of it.
//!
//! One upload is one file of one recording session of one host. The API presigns an address for each part, the agent sends
//! the parts there, and the API reads the object back before it vouches for it. Which parts are stored is known by the
//! storage alone; the agent keeps nothing but the upload's id.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /v1/recordings/uploads` | [`UploadRequest`] | 200 [`UploadReply`]: keep the file, or upload it |
//! | `POST /v1/recordings/uploads/{id}/parts` | [`PartsRequest`] | 200 [`PartsReply`] |
//! | `POST /v1/recordings/uploads/{id}/complete` | [`CompleteRequest`] | 200 or 202 [`CompleteReply`] |
//! | `DELETE /v1/recordings/uploads/{id}` | none | 200 [`AbortReply`] |
//!
//! All four are signed like every delivery, and always dated; those of an upload are signed under its id, and `DELETE` signs the
//! empty body. So none of them can be repeated later or for another upload. Beginning is idempotent by the recording's id:
//! with the same size and checksum it is the same upload, with others the old one is aborted and a new one begins.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::id::EventId;
use crate::room::RoomName;
use crate::utc;

/// Where uploads begin. An upload's own address is below it; see [`UploadId`].
pub const PATH: &str = "/v1/recordings/uploads";

/// The most part numbers in one [`PartsRequest`].
pub const MAX_NUMBERS: usize = 64;

/// The longest file name and the longest names of session and host, in bytes: what a file name of the longest kind has once bytes
/// that are no text are replaced.
pub const MAX_TEXT_BYTES: usize = 1024;

/// What begins an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(expecting = "an upload, as a JSON object")]
pub struct UploadRequest {
    /// The recording's identity: the one that its notice will carry.
    pub id: EventId,
    /// The room that was recorded.
    pub room_name: RoomName,
    /// The name of Jibri's session directory.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 1024))]
    pub session_id: String,
    /// The file's name, without its directory.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 1024))]
    pub file_name: String,
    /// The file's size in bytes.
    pub size_bytes: u64,
    /// The checksum of the whole file.
    pub sha256: Checksum,
    /// The host that holds the file.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 1024))]
    pub host: String,
    /// When the file was finished.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "utc::option")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, format = DateTime))]
    pub finished_at: Option<OffsetDateTime>,
}

/// Whether a file is to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum UploadReply {
    /// The file stays where it is, and its notice goes with its path alone.
    Keep {
        /// Why, for programs.
        reason: KeepReason,
        /// Why, for people, and what to change where somebody expected an upload.
        message: String,
    },
    /// The file is to be uploaded.
    Upload(Upload),
}

/// Why a file is not uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeepReason {
    /// The meeting records locally.
    RecordingTypeLocal,
    /// The meeting does not record; somebody did so nevertheless.
    RecordingTypeNone,
    /// The API has no object storage.
    StorageNotConfigured,
    /// A reason that this release does not know.
    #[serde(other)]
    Other,
}

/// An upload, and how its file is cut into parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Upload {
    /// The upload's name in the other requests.
    pub upload_id: UploadId,
    /// How far it is.
    pub state: UploadState,
    /// The bucket that the object is stored in.
    pub bucket: String,
    /// The object's key.
    pub object_key: String,
    /// The size of every part but the last, in bytes.
    pub part_size_bytes: u64,
    /// The number of parts, at least 1: an empty file is one empty part. Parts count from 1.
    pub part_count: u32,
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UploadState {
    /// Parts are being sent.
    Open,
    /// The parts are put together, and the API reads the object back.
    Verifying,
    /// The object holds what the host held.
    Verified,
}

/// Asks for addresses of parts, or which parts the storage has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(expecting = "a request for parts, as a JSON object")]
pub struct PartsRequest {
    /// The parts to presign, at most [`MAX_NUMBERS`]; none when only `list_stored` matters.
    #[cfg_attr(feature = "schema", schema(max_items = 64))]
    pub numbers: Vec<u32>,
    /// Whether the answer lists the parts that are stored.
    #[serde(default)]
    pub list_stored: bool,
}

/// Addresses of parts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PartsReply {
    /// One address per number, in the order of the request.
    pub urls: Vec<PartUrl>,
    /// The parts that the storage has, by number; only if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Vec<StoredPart>>,
}

/// Where one part is to be sent with `PUT`, its bytes as the body and `Content-Length` set. The address is a credential.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PartUrl {
    /// The part's number.
    pub number: u32,
    /// The presigned address.
    pub url: String,
    /// Until when the address is good, by the API's clock.
    #[serde(with = "utc")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = DateTime))]
    pub expires_at: OffsetDateTime,
}

/// A part that the storage has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StoredPart {
    /// The part's number.
    pub number: u32,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// Says that all parts are sent. Safe to repeat; a repetition also cures an API that died while it verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(expecting = "a completion, as a JSON object")]
pub struct CompleteRequest {
    /// The file's size in bytes.
    pub size_bytes: u64,
    /// The checksum of the whole file.
    pub sha256: Checksum,
}

/// How far the verification is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CompleteReply {
    /// 202 with `Retry-After`: ask again.
    Verifying,
    /// 200: the storage holds what the host held.
    Verified {
        /// The bucket.
        bucket: String,
        /// The object's key.
        object_key: String,
        /// The object's size in bytes.
        size_bytes: u64,
        /// The checksum of what was read back.
        sha256: Checksum,
    },
}

/// What became of an upload that is not wanted any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AbortReply {
    /// Always `aborted`.
    pub status: String,
}

/// A lower-case hexadecimal SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(value_type = String, pattern = "^[0-9a-f]{64}$"))]
#[serde(try_from = "String", into = "String")]
pub struct Checksum(String);

/// A text is no SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 is 64 lower-case hexadecimal digits")]
pub struct ChecksumError;

impl Checksum {
    /// Accepts `text` if it has the form.
    pub fn parse(text: impl Into<String>) -> Result<Self, ChecksumError> {
        let text = text.into();
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 64 && text.bytes().all(is_digit) { Ok(Self(text)) } else { Err(ChecksumError) }
    }

    /// The checksum as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Checksum {
    type Error = ChecksumError;
    fn try_from(text: String) -> Result<Self, ChecksumError> {
        Self::parse(text)
    }
}

impl From<Checksum> for String {
    fn from(checksum: Checksum) -> Self {
        checksum.0
    }
}

/// The name of an upload: `upl_` and 1 to 64 lower-case letters and digits, so that it can stand in a path as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(value_type = String, pattern = "^upl_[a-z0-9]{1,64}$"))]
#[serde(try_from = "String", into = "String")]
pub struct UploadId(String);

/// A text names no upload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an upload's id is `upl_` and 1 to 64 lower-case letters and digits")]
pub struct UploadIdError;

impl UploadId {
    /// Accepts `text` if it has the form.
    pub fn parse(text: impl Into<String>) -> Result<Self, UploadIdError> {
        let text = text.into();
        let acceptable = text.strip_prefix("upl_").is_some_and(|rest| {
            (1..=64).contains(&rest.len())
                && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        });
        if acceptable { Ok(Self(text)) } else { Err(UploadIdError) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The upload's own path, which [`AbortReply`] answers to.
    pub fn path(&self) -> String {
        format!("{PATH}/{}", self.0)
    }

    /// The path that [`PartsReply`] answers to.
    pub fn parts_path(&self) -> String {
        format!("{PATH}/{}/parts", self.0)
    }

    /// The path that [`CompleteReply`] answers to.
    pub fn complete_path(&self) -> String {
        format!("{PATH}/{}/complete", self.0)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for UploadId {
    type Error = UploadIdError;
    fn try_from(text: String) -> Result<Self, UploadIdError> {
        Self::parse(text)
    }
}

impl From<UploadId> for String {
    fn from(id: UploadId) -> Self {
        id.0
    }
}

impl fmt::Debug for PartUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartUrl {{ number: {}, url: hidden, expires_at: {} }}", self.number, self.expires_at)
    }
}

impl fmt::Debug for PartsReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartsReply").field("urls", &self.urls).field("stored", &self.stored).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_bodies_are_the_documented_ones() {
        let request = json!({
            "id": "rec_1", "room_name": "r", "session_id": "s", "file_name": "r.mp4", "size_bytes": 5, "sha256": SUM,
            "host": "jibri-1", "finished_at": "2026-01-31T10:30:00.000Z",
        });
        let read: UploadRequest = serde_json::from_value(request.clone()).unwrap();
        assert_eq!(read.finished_at, Some(datetime!(2026-01-31 10:30 UTC)));
        assert_eq!(serde_json::to_value(&read).unwrap(), request);

        let keep = UploadReply::Keep { reason: KeepReason::RecordingTypeLocal, message: "m".into() };
        let expected = json!({"decision": "keep", "reason": "recording_type_local", "message": "m"});
        assert_eq!(serde_json::to_value(&keep).unwrap(), expected);

        let upload = UploadReply::Upload(Upload {
            upload_id: UploadId::parse("upl_1").unwrap(),
            state: UploadState::Open,
            bucket: "b".into(),
            object_key: "k".into(),
            part_size_bytes: 5,
            part_count: 1,
        });
        let expected = json!({
            "decision": "upload", "upload_id": "upl_1", "state": "open", "bucket": "b", "object_key": "k",
            "part_size_bytes": 5, "part_count": 1,
        });
        assert_eq!(serde_json::to_value(&upload).unwrap(), expected);
        assert_eq!(serde_json::from_value::<UploadReply>(expected).unwrap(), upload);

        assert_eq!(serde_json::to_value(CompleteReply::Verifying).unwrap(), json!({"state": "verifying"}));
    }

    #[test]
    fn a_reason_of_a_later_release_still_says_keep() {
        let reply = json!({"decision": "keep", "reason": "quota_exceeded", "message": "m"});
        let expected = UploadReply::Keep { reason: KeepReason::Other, message: "m".into() };
        assert_eq!(serde_json::from_value::<UploadReply>(reply).unwrap(), expected);
    }

    #[test]
    fn an_upload_id_can_stand_in_a_path() {
        for (text, acceptable) in [
            ("upl_0190b7c2", true),
            ("upl_", false),
            ("0190b7c2", false),
            ("upl_../../rooms", false),
            ("upl_A", false),
        ] {
            assert_eq!(UploadId::parse(text).is_ok(), acceptable, "{text}");
        }
        assert!(UploadId::parse(format!("upl_{}", "a".repeat(65))).is_err());
        let id = UploadId::parse("upl_1").unwrap();
        assert_eq!(id.parts_path(), "/v1/recordings/uploads/upl_1/parts");
    }

    #[test]
    fn a_checksum_has_one_form() {
        assert_eq!(Checksum::parse(SUM).unwrap().as_str(), SUM);
        for text in ["", &SUM[1..], &SUM.to_uppercase(), &SUM.replace('e', "g")] {
            assert_eq!(Checksum::parse(text), Err(ChecksumError), "{text}");
        }
    }

    #[test]
    fn a_presigned_address_is_not_printed() {
        let url = PartUrl {
            number: 1,
            url: "https://s3/?X-Amz-Signature=1".into(),
            expires_at: OffsetDateTime::UNIX_EPOCH,
        };
        let reply = PartsReply { urls: vec![url], stored: None };
        assert!(!format!("{reply:?}").contains("Signature"));
    }
}
