//! What an answer of the API means for an upload: pure functions of the answer.

use std::time::Duration;

use contract::problem::ProblemCode;
use contract::upload::{CompleteReply, KeepReason, PartsReply, Upload, UploadReply, UploadState};
use contract::verdict::{self, LONGEST_RETRY_AFTER, Outcome, UNKNOWN_FLOOR, Verdict};

use super::api::Reply;
use super::note::Note;
use super::patience::Doubt;
use crate::delivery::gate::Health;

/// How often an upload begins anew because the storage held something else than the host. Then a person has to look.
pub(super) const MAX_RESTARTS: u32 = 3;

/// How soon the API is asked again about a verification when it does not say.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What an answer that is not the expected one means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// Ask again from the beginning, after the backoff and not before `floor`.
    Later {
        /// The shortest wait.
        floor: Duration,
        /// Whether it makes the next backoff longer.
        counts: bool,
    },
    /// Ask again from the beginning, and end it otherwise if that lasts.
    Doubtful(Doubt),
    /// The API refuses this upload for good.
    Refused,
    /// The storage held something else than the host.
    Mismatch,
}

/// What the API wants done with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing: the notice goes out with the path alone.
    Nothing {
        /// Why, for people.
        why: String,
        /// Whether the meeting's settings say so, not what the API lacks.
        on_purpose: bool,
    },
    /// Its parts.
    Parts(Upload),
    /// To be asked about the verification.
    Patience(Upload),
    /// Nothing more: the object is verified.
    Verified(Upload),
}

/// What the answer to the beginning of an upload means.
pub(super) fn of_begin(reply: Reply<UploadReply>) -> Result<Wanted, (Otherwise, Note)> {
    match reply.body {
        Some(UploadReply::Keep { reason, message }) => {
            let on_purpose = matches!(reason, KeepReason::RecordingTypeLocal | KeepReason::RecordingTypeNone);
            Ok(Wanted::Nothing { why: message, on_purpose })
        }
        Some(UploadReply::Upload(upload)) => Ok(match upload.state {
            UploadState::Open => Wanted::Parts(upload),
            UploadState::Verifying => Wanted::Patience(upload),
            UploadState::Verified => Wanted::Verified(upload),
        }),
        // An API that is older than uploads has no such path; but it may be about to be replaced, or the wrong one.
        None if has_code(reply.outcome, ProblemCode::NotFound) => {
            Err((Otherwise::Doubtful(Doubt::NoUploads), reply.note))
        }
        None => Err((otherwise(reply.outcome), reply.note)),
    }
}

/// What the answer to a request for parts means.
pub(super) fn of_parts(reply: Reply<PartsReply>) -> Result<PartsReply, (Otherwise, Note)> {
    reply.body.ok_or_else(|| (otherwise(reply.outcome), reply.note))
}

/// How far the verification is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verification {
    /// To be asked again after this time.
    UnderWay(Duration),
    /// The storage holds these bytes.
    Done {
        /// Bucket and key.
        object: (String, String),
        /// The size in bytes.
        size: u64,
        /// The checksum.
        sha256: String,
    },
}

/// What the answer to a completion means.
pub(super) fn of_complete(reply: Reply<CompleteReply>) -> Result<Verification, (Otherwise, Note)> {
    match reply.body {
        Some(CompleteReply::Verifying) => {
            Ok(Verification::UnderWay(reply.retry_after.unwrap_or(ASK_AGAIN).min(LONGEST_RETRY_AFTER)))
        }
        Some(CompleteReply::Verified { bucket, object_key, size_bytes, sha256 }) => Ok(Verification::Done {
            object: (bucket, object_key),
            size: size_bytes,
            sha256: sha256.as_str().to_owned(),
        }),
        None if has_code(reply.outcome, ProblemCode::ChecksumMismatch) => {
            Err((Otherwise::Mismatch, reply.note))
        }
        None => Err((otherwise(reply.outcome), reply.note)),
    }
}

/// Whether the answer to a completion says that the storage does not hold the file, and will not unless it is sent.
pub(super) fn lacks_parts(outcome: Outcome) -> bool {
    use ProblemCode::{ChecksumMismatch, UploadIncomplete, UploadNotFound};
    [UploadIncomplete, UploadNotFound, ChecksumMismatch].into_iter().any(|code| has_code(outcome, code))
}

fn has_code(outcome: Outcome, code: ProblemCode) -> bool {
    matches!(outcome, Outcome::Answered { code: Some(said), .. } if said == code)
}

fn otherwise(outcome: Outcome) -> Otherwise {
    match outcome {
        // What was begun is gone or incomplete: asking from the beginning cures it.
        Outcome::Answered {
            code: Some(ProblemCode::UploadNotFound | ProblemCode::UploadIncomplete), ..
        } => Otherwise::Later { floor: Duration::ZERO, counts: true },
        outcome => match verdict::of_answer(outcome, 1) {
            Verdict::AwaitMeeting => Otherwise::Doubtful(Doubt::NoMeeting),
            Verdict::Park(_) => Otherwise::Refused,
            Verdict::Retry { floor, counts } => Otherwise::Later { floor, counts },
            // A 2xx that our API did not write proves nothing.
            Verdict::Settle | Verdict::Halve | Verdict::Singly => {
                Otherwise::Later { floor: UNKNOWN_FLOOR, counts: true }
            }
        },
    }
}

/// What an answer says about the API as a whole.
pub(super) fn health(outcome: Outcome) -> Health {
    crate::delivery::settlement::health(outcome)
}

#[cfg(test)]
mod tests {
    use contract::upload::{Checksum, KeepReason, UploadId};
    use contract::verdict::CREDENTIALS_FLOOR;

    use super::*;

    fn upload(state: UploadState) -> Upload {
        Upload {
            upload_id: UploadId::parse("upl_1").unwrap(),
            state,
            bucket: "b".into(),
            object_key: "k".into(),
            part_size_bytes: 5,
            part_count: 1,
        }
    }

    fn reply<T>(status: u16, code: Option<ProblemCode>, body: Option<T>) -> Reply<T> {
        let outcome = Outcome::Answered { status, code, retry_after: None };
        Reply { outcome, body, retry_after: None, note: "note".into() }
    }

    const SOON: Otherwise = Otherwise::Later { floor: Duration::ZERO, counts: true };
    const LATE: Otherwise = Otherwise::Later { floor: UNKNOWN_FLOOR, counts: true };

    #[test]
    fn the_beginning_says_what_is_wanted() {
        let keep = |reason| UploadReply::Keep { reason, message: "m".into() };
        let nothing = |on_purpose| Wanted::Nothing { why: "m".into(), on_purpose };
        for (body, expected) in [
            (keep(KeepReason::RecordingTypeLocal), nothing(true)),
            (keep(KeepReason::RecordingTypeNone), nothing(true)),
            (keep(KeepReason::StorageNotConfigured), nothing(false)),
            (keep(KeepReason::Other), nothing(false)),
            (UploadReply::Upload(upload(UploadState::Open)), Wanted::Parts(upload(UploadState::Open))),
            (
                UploadReply::Upload(upload(UploadState::Verifying)),
                Wanted::Patience(upload(UploadState::Verifying)),
            ),
            (
                UploadReply::Upload(upload(UploadState::Verified)),
                Wanted::Verified(upload(UploadState::Verified)),
            ),
        ] {
            assert_eq!(of_begin(reply(200, None, Some(body))), Ok(expected));
        }
        let older = of_begin(reply(404, Some(ProblemCode::NotFound), None));
        assert_eq!(older, Err((Otherwise::Doubtful(Doubt::NoUploads), "note".into())));
    }

    #[test]
    fn what_is_not_expected_is_asked_again_unless_our_api_refuses_it() {
        use ProblemCode as Code;
        let credentials = Otherwise::Later { floor: CREDENTIALS_FLOOR, counts: true };
        for (status, code, expected) in [
            (200, None, LATE),
            (404, None, LATE),
            (404, Some(Code::MeetingNotFound), Otherwise::Doubtful(Doubt::NoMeeting)),
            (404, Some(Code::UploadNotFound), SOON),
            (409, Some(Code::UploadIncomplete), SOON),
            (409, Some(Code::UploadVerified), LATE),
            (422, Some(Code::ValidationFailed), Otherwise::Refused),
            (422, None, LATE),
            (401, Some(Code::SignatureInvalid), credentials),
            (500, Some(Code::Internal), SOON),
            (502, None, SOON),
            (503, Some(Code::StorageUnavailable), SOON),
            (413, None, LATE),
        ] {
            let said = of_begin(reply(status, code, None));
            assert_eq!(said, Err((expected.clone(), "note".into())), "{status} {code:?}");
            let said = of_parts(reply(status, code, None));
            assert_eq!(said, Err((expected, "note".into())), "{status} {code:?}");
        }
        let unreachable =
            Reply { outcome: Outcome::Unreachable, body: None, retry_after: None, note: "".into() };
        assert_eq!(of_begin(unreachable), Err((SOON, "".into())));
    }

    #[test]
    fn a_verification_is_under_way_done_or_failed() {
        let sum = "ab".repeat(32);
        let done = CompleteReply::Verified {
            bucket: "b".into(),
            object_key: "k".into(),
            size_bytes: 5,
            sha256: Checksum::parse(sum.clone()).unwrap(),
        };
        let expected = Verification::Done { object: ("b".into(), "k".into()), size: 5, sha256: sum };
        assert_eq!(of_complete(reply(200, None, Some(done))), Ok(expected));
        for (said, waited) in [(None, 1), (Some(3), 3), (Some(1_000_000), 3600)] {
            let retry_after = said.map(Duration::from_secs);
            let under_way = Reply { retry_after, ..reply(202, None, Some(CompleteReply::Verifying)) };
            assert_eq!(of_complete(under_way), Ok(Verification::UnderWay(Duration::from_secs(waited))));
        }
        let mismatch = of_complete(reply(409, Some(ProblemCode::ChecksumMismatch), None));
        assert_eq!(mismatch, Err((Otherwise::Mismatch, "note".into())));
    }

    #[test]
    fn only_our_api_says_that_the_storage_does_not_hold_a_file() {
        use ProblemCode as Code;
        for (status, code, lacks) in [
            (409, Some(Code::UploadIncomplete), true),
            (409, Some(Code::ChecksumMismatch), true),
            (404, Some(Code::UploadNotFound), true),
            (404, None, false),
            (503, Some(Code::StorageUnavailable), false),
        ] {
            assert_eq!(
                lacks_parts(Outcome::Answered { status, code, retry_after: None }),
                lacks,
                "{status} {code:?}"
            );
        }
    }
}
