//! What goes wrong with the queue.

/// Why the queue did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// No answer, or one that broke off.
    #[error("the queue does not answer: {0}")]
    Silent(String),
    /// An answer that says no.
    #[error("the queue answered {status} {code}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// SQS's name of the reason; empty where the answer has none.
        code: String,
        /// The same for people.
        message: String,
    },
    /// An answer that is not that of SQS.
    #[error("the queue's answer cannot be read: {0}")]
    Unreadable(String),
    /// The request could not be signed.
    #[error("the request to the queue cannot be signed: {0}")]
    Unsigned(String),
}

impl QueueError {
    pub(super) fn silent(error: &reqwest::Error) -> Self {
        let mut innermost: &dyn std::error::Error = error;
        while let Some(cause) = innermost.source() {
            innermost = cause;
        }
        Self::Silent(innermost.to_string())
    }

    /// What an operator can do about it: the variable to look at, and the next step. `key_variables` named the key, and its secret.
    pub(super) fn advice(&self, key_variables: [&'static str; 2]) -> (&'static str, &'static str) {
        let [access_key, secret_key] = key_variables;
        let Self::Refused { status, code, .. } = self else {
            return (
                "AWS_PROCESS_RECORDING_QUEUE_URL",
                "see whether the queue's host is reached from this host at this address",
            );
        };
        match code.as_str() {
            "QueueDoesNotExist" | "NonExistentQueue" | "InvalidAddress" => (
                "AWS_PROCESS_RECORDING_QUEUE_URL",
                "there is no such queue in this account and region; aws sqs get-queue-url prints the address of one",
            ),
            "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" => (
                access_key,
                "the queue does not know this key; TRANSCRIPT_STORAGE_AWS_ACCESS_KEY_ID can name one of its own",
            ),
            "SignatureDoesNotMatch" | "InvalidSignatureException" => (
                secret_key,
                "it does not belong to the access key, or the region is another one, or this host's clock is wrong",
            ),
            _ if *status == 403 || code.contains("AccessDenied") => (
                access_key,
                "the key needs sqs:ReceiveMessage, sqs:DeleteMessage, sqs:ChangeMessageVisibility and \
                 sqs:GetQueueAttributes on the queue",
            ),
            _ if *status >= 500 => ("the queue", "it has trouble of its own, which usually passes"),
            _ => ("AWS_PROCESS_RECORDING_QUEUE_URL", "see whether it is the address of a queue of SQS"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_setting_to_look_at() {
        let refused =
            |status, code: &str| QueueError::Refused { status, code: code.into(), message: String::new() };
        for (error, variable) in [
            (refused(400, "QueueDoesNotExist"), "AWS_PROCESS_RECORDING_QUEUE_URL"),
            (refused(403, "InvalidClientTokenId"), "ID"),
            (refused(403, "SignatureDoesNotMatch"), "SECRET"),
            (refused(400, "AccessDeniedException"), "ID"),
            (refused(503, ""), "the queue"),
            (refused(404, ""), "AWS_PROCESS_RECORDING_QUEUE_URL"),
            (QueueError::Silent(String::new()), "AWS_PROCESS_RECORDING_QUEUE_URL"),
        ] {
            assert_eq!(error.advice(["ID", "SECRET"]).0, variable, "{error}");
        }
    }
}
