//! Who may do what: the server's own keys everything, and those for Whereby what the policy of its guide allows.

use std::path::PathBuf;

use async_trait::async_trait;
use s3s::access::{S3Access, S3AccessContext};
use s3s::{S3Result, s3_error};

/// Operations that `s3:PutObject` allows.
const WRITING: [&str; 4] = ["PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"];

/// Operations that `s3:GetObject` allows.
const READING: [&str; 2] = ["GetObject", "HeadObject"];

pub(super) struct Policy {
    /// The access key's id that Whereby is handed.
    pub(super) of_whereby: String,
    /// Where the objects are.
    pub(super) directory: PathBuf,
}

#[async_trait]
impl S3Access for Policy {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = context.credentials() else {
            return Err(s3_error!(AccessDenied, "Signature is required"));
        };
        if credentials.access_key != self.of_whereby {
            return Ok(());
        }
        let operation = context.s3_op().name();
        let path = context.s3_path();
        let bucket = path.get_bucket_name().map(|bucket| self.directory.join(bucket));
        if bucket.is_some_and(|bucket| !bucket.exists()) {
            // The store says so, as AWS does.
            return Ok(());
        }
        // Without s3:ListBucket, AWS does not say that an object is not there.
        let object = path.as_object();
        let is_there = object.is_some_and(|(bucket, key)| self.directory.join(bucket).join(key).is_file());
        if WRITING.contains(&operation) || (READING.contains(&operation) && is_there) {
            return Ok(());
        }
        Err(s3_error!(AccessDenied, "Access Denied"))
    }
}
