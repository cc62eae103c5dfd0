//! What goes wrong with the object storage.

/// What to look at when the storage does not agree about the time.
const CLOCK: (&str, &str) = ("the clock of this host", "set it right: compare `date -u` with another host");

/// Why the storage did not do what it was asked. Never holds an address with a signature.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No answer, or one that broke off.
    #[error("the storage does not answer: {0}")]
    Silent(String),
    /// An answer that says no.
    #[error("the storage answered {status} {code}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// S3's name of the reason; empty where the answer has none.
        code: String,
        /// The same for people.
        message: String,
    },
    /// An answer that is not S3's.
    #[error("the storage's answer cannot be read: {0}")]
    Unreadable(String),
    /// No address can be made.
    #[error("the bucket {bucket:?} has no address: {reason}")]
    Address {
        /// The bucket's name.
        bucket: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl StorageError {
    /// Whether S3 calls the reason `name`.
    pub fn is_code(&self, name: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == name)
    }

    /// Whether the key is good, and may not do this.
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Refused { status: 403, code, message } => {
                matches!(code.as_str(), "AccessDenied" | "") && !is_of_clock(message)
            }
            _ => false,
        }
    }

    /// What a request came to that got no whole answer. The address is left out: it is signed.
    pub(super) fn silent(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut innermost: &dyn std::error::Error = &error;
        while let Some(cause) = innermost.source() {
            innermost = cause;
        }
        Self::Silent(innermost.to_string())
    }

    pub(super) fn unreadable(error: impl std::fmt::Display) -> Self {
        Self::Unreadable(error.to_string())
    }

    /// What an operator can do about it: the variable to look at, and the next step.
    pub fn advice(&self) -> (&'static str, &'static str) {
        let Self::Refused { status, code, message } = self else {
            return match self {
                Self::Address { .. } => (
                    "RECORDING_STORAGE_AWS_PATH_STYLE",
                    "a bucket of this name cannot stand in a host's name; set it to true",
                ),
                _ => (
                    "RECORDING_STORAGE_AWS_ENDPOINT_URL",
                    "see whether the storage runs, and whether it is reached from this host at this address",
                ),
            };
        };
        match code.as_str() {
            "InvalidAccessKeyId" | "NotSignedUp" => (
                "RECORDING_STORAGE_AWS_ACCESS_KEY_ID",
                "the storage does not know this key; name one that it knows",
            ),
            "SignatureDoesNotMatch" => (
                "RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY",
                "it does not belong to the access key; set both again, without blanks or quotes",
            ),
            "NoSuchBucket" => ("RECORDING_STORAGE_AWS_BUCKET_NAME", "make the bucket, or name another one"),
            "AccessDenied" if is_of_clock(message) => CLOCK,
            "RequestTimeTooSkewed" => CLOCK,
            "AuthorizationHeaderMalformed"
            | "AuthorizationQueryParametersError"
            | "IllegalLocationConstraintException"
            | "PermanentRedirect"
            | "TemporaryRedirect" => (
                "RECORDING_STORAGE_AWS_REGION",
                "the bucket is in another region; the storage's message says which one",
            ),
            _ if *status == 403 => (
                "RECORDING_STORAGE_AWS_ACCESS_KEY_ID",
                "the key needs s3:PutObject, s3:GetObject, s3:DeleteObject, s3:AbortMultipartUpload and \
                 s3:ListMultipartUploadParts on the bucket's objects, and s3:ListBucket on the bucket",
            ),
            _ if *status >= 500 => {
                ("the storage", "it has trouble of its own; when that does not pass, its own log says why")
            }
            _ => (
                "RECORDING_STORAGE_AWS_ENDPOINT_URL",
                "see whether it is an S3 endpoint, and what its own log says",
            ),
        }
    }
}

/// Presigned addresses that are too old or not good yet are refused in these words.
fn is_of_clock(message: &str) -> bool {
    ["expired", "not yet valid"].iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_setting_to_look_at() {
        let said = |status, code: &str, message: &str| StorageError::Refused {
            status,
            code: code.into(),
            message: message.into(),
        };
        let refused = |status, code: &str| said(status, code, "");
        for (error, variable) in [
            (refused(403, "InvalidAccessKeyId"), "RECORDING_STORAGE_AWS_ACCESS_KEY_ID"),
            (refused(403, "SignatureDoesNotMatch"), "RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY"),
            (refused(403, "AccessDenied"), "RECORDING_STORAGE_AWS_ACCESS_KEY_ID"),
            (refused(404, "NoSuchBucket"), "RECORDING_STORAGE_AWS_BUCKET_NAME"),
            (refused(301, "PermanentRedirect"), "RECORDING_STORAGE_AWS_REGION"),
            (said(403, "AccessDenied", "Request has expired"), "the clock of this host"),
            (refused(403, "RequestTimeTooSkewed"), "the clock of this host"),
            (refused(503, "SlowDown"), "the storage"),
            (refused(405, ""), "RECORDING_STORAGE_AWS_ENDPOINT_URL"),
            (StorageError::Silent(String::new()), "RECORDING_STORAGE_AWS_ENDPOINT_URL"),
        ] {
            assert_eq!(error.advice().0, variable, "{error}");
        }
        assert!(refused(403, "AccessDenied").advice().1.contains("s3:ListBucket on the bucket"));
    }
}
