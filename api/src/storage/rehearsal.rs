//! Does with the storage once what uploads will do: proves bucket, keys and permissions before a recording depends on them.

use uuid::Uuid;

use super::{Place, Storage, StorageError, send};
use reqwest::Method;
use rusty_s3::S3Action as _;
use rusty_s3::actions::UploadPart;

const CONTENTS: &str = "reflector-api was here";

impl Storage {
    /// Writes an object in one part, reads it back and removes it.
    pub async fn rehearse(&self) -> Result<(), StorageError> {
        let name = format!("check-{}.txt", Uuid::new_v4().simple());
        let key = match self.settings.prefix.as_str() {
            "" => name,
            prefix => format!("{prefix}/{name}"),
        };
        let place = Place { bucket: &self.settings.bucket, key: &key };
        let upload = self.begin(place, "text/plain").await?;
        let played = self.play(place, &upload).await;
        if played.is_err() {
            // What was wrong is known already, and likely to be in the way here, too.
            let _ = self.abort(place, &upload).await;
        }
        // An object is removed even if it could not be read.
        played.and(self.remove(place).await)
    }

    async fn play(&self, place: Place<'_>, upload: &str) -> Result<(), StorageError> {
        let bucket = self.inside(place)?;
        let part = UploadPart::new(&bucket, Some(&self.credentials), place.key, 1, upload);
        send(self.request(Method::PUT, part.sign(super::OWN_LIFETIME)).body(CONTENTS)).await?;
        let parts = self.parts(place, upload).await?;
        let tags: Vec<_> = parts.iter().map(|part| part.e_tag.as_str()).collect();
        self.complete(place, upload, &tags).await?;
        self.list(place.bucket, "").await?;
        let contents = self.read(place).await?;
        if contents.size == CONTENTS.len() as u64 {
            Ok(())
        } else {
            Err(StorageError::unreadable("it returned another object than was stored"))
        }
    }
}
