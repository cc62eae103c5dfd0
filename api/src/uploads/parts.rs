//! Addresses for parts, and which ones are there.

use contract::upload::{PartUrl, PartsReply, PartsRequest};
use time::OffsetDateTime;

use super::{UploadError, Uploads, listed, place};
use crate::db::uploads::{self, State};

impl Uploads {
    /// Presigns what `request` asks for, at `now`.
    pub async fn parts(
        &self,
        id: &str,
        request: &PartsRequest,
        now: OffsetDateTime,
    ) -> Result<PartsReply, UploadError> {
        let upload = uploads::find(&self.db, id).await?.ok_or(UploadError::NotFound)?;
        match upload.state {
            State::Open => {}
            State::Verifying | State::Verified => {
                return Err(all_sent());
            }
            State::Ended(_) => return Err(UploadError::NotFound),
        }
        // The signature counts whole seconds.
        let expires_at = now.replace_nanosecond(0).unwrap_or(now) + self.storage.settings().upload_lifetime;
        let mut urls = Vec::with_capacity(request.numbers.len());
        for &number in &request.numbers {
            let part = u16::try_from(number).ok().filter(|_| (1..=upload.part_count).contains(&number));
            let part = part.ok_or(UploadError::NoSuchPart(upload.part_count))?;
            let url = self.storage.part_url(place(&upload), &upload.storage_id, part)?;
            urls.push(PartUrl { number, url: url.into(), expires_at });
        }
        let stored = if request.list_stored {
            Some(listed(&self.stored(&upload).await?.ok_or_else(all_sent)?))
        } else {
            None
        };
        Ok(PartsReply { urls, stored })
    }
}

fn all_sent() -> UploadError {
    UploadError::Complete("All parts have been sent; ask for the completion.")
}
