//! A storage that is only read: Whereby's bucket, with the key that Whereby is handed.
//!
//! Such a key may do what Whereby's guide allows it, which is to read and write objects: not to list the bucket, and not to remove what is
//! in it. What is refused for that reason is no failure, and is said once in the life of a process.

use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use super::{Place, Storage, StorageError};

/// What a key that is for reading may be without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// `s3:ListBucket`.
    List,
    /// `s3:DeleteObject`.
    Remove,
}

/// What was refused so far.
#[derive(Debug, Default)]
pub(super) struct Refused {
    list: AtomicBool,
    remove: AtomicBool,
}

/// What a key that is for reading was found to be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It lists, and so sees what is not there.
    WithList,
    /// It is known to the storage. Whether it reads is seen with the first object: without `s3:ListBucket`, one that is not there is
    /// forbidden.
    WithoutList,
}

impl Storage {
    /// Whether `error` refuses something that the key need not be allowed, because the storage is only read.
    pub fn does_without(&self, extra: Extra, error: &StorageError) -> bool {
        if self.settings.takes_uploads || !error.is_denied() {
            return false;
        }
        let [key, _] = self.settings.key_variables;
        match extra {
            Extra::List if !self.refused.list.swap(true, Ordering::Relaxed) => tracing::warn!(
                "{self} is not looked through for recordings that nobody has told of: {error}; the key in {key} may not, which the \
                 Whereby guide does not ask for; allow it s3:ListBucket on the bucket, or see that the bucket's notifications come"
            ),
            Extra::Remove if !self.refused.remove.swap(true, Ordering::Relaxed) => tracing::warn!(
                "recordings that are not to be kept stay in {self}: {error}; the key in {key} may not remove them, which the Whereby guide \
                 does not ask for; allow it s3:DeleteObject on the bucket's objects"
            ),
            _ => {}
        }
        true
    }

    /// What an operator can do about `error`: the variable to look at, and the next step.
    pub fn advice(&self, error: &StorageError) -> (&'static str, &'static str) {
        let (variable, advice) = error.advice();
        let [access_key, secret_key] = self.settings.key_variables;
        match variable {
            _ if self.settings.takes_uploads => (variable, advice),
            "RECORDING_STORAGE_AWS_ACCESS_KEY_ID" if error.is_denied() => {
                (access_key, "the key needs s3:GetObject on the bucket's objects")
            }
            "RECORDING_STORAGE_AWS_ACCESS_KEY_ID" => (access_key, advice),
            "RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY" => (secret_key, advice),
            _ => (variable, advice),
        }
    }

    /// Looks for an object that is not there: proves bucket and key before somebody wants a recording.
    pub async fn try_reading(&self) -> Result<Reading, StorageError> {
        let key = format!("reflector-api-check-{}", Uuid::new_v4().simple());
        match self.read(Place { bucket: &self.settings.bucket, key: &key }).await {
            Ok(_) => Ok(Reading::WithList),
            Err(error) if error.is_code("NoSuchKey") => Ok(Reading::WithList),
            Err(error) if error.is_denied() => Ok(Reading::WithoutList),
            Err(error) => Err(error),
        }
    }
}
