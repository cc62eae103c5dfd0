//! The object storage: everything that speaks S3.
//!
//! Requests are made as presigned addresses, ours as well as those that are handed out, so there is one way of signing. What
//! leaves this module as an address is a credential: it is answered to whoever may have it, and never logged.

use std::collections::BTreeMap;
use std::time::Duration;

use contract::id::hex;
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CreateMultipartUpload, DeleteObject, GetObject,
    HeadObject, ListObjectsV2, ListParts, UploadPart,
};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::config;
use crate::domain::recording::File;

mod error;
pub mod reading;
pub mod rehearsal;
mod xml;

pub use error::StorageError;

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// How long the storage may be silent in the middle of an answer. Putting parts together takes a while, and AWS sends blanks
/// meanwhile.
const SILENCE: Duration = Duration::from_mins(1);

/// How long the storage may take for what takes no time. A host waits for half a minute, and its request may need three of these.
const PROMPT: Duration = Duration::from_secs(8);

/// How long our own requests are good. They are sent at once; this is what clocks may differ by.
const OWN_LIFETIME: Duration = Duration::from_mins(5);

/// The largest answer that is read, other than an object: a page of a thousand objects with the longest keys has four megabytes.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// The object storage.
pub struct Storage {
    settings: config::Storage,
    credentials: Credentials,
    client: Client,
    refused: reading::Refused,
}

/// Where an object is.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The object's key.
    pub key: &'a str,
}

/// Where a recording can be fetched from, by whoever has the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The address.
    pub url: String,
    /// Until when it is good.
    pub expires_at: OffsetDateTime,
}

/// A part that the storage has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1.
    pub number: u16,
    /// Its size in bytes.
    pub size: u64,
    /// The storage's name of its contents.
    pub e_tag: String,
}

/// An object of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written, where that can be read.
    pub modified_at: Option<OffsetDateTime>,
}

/// Some objects of a bucket, in the order of their keys' bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The objects.
    pub objects: Vec<Object>,
    /// Whether there are more.
    pub has_more: bool,
}

/// What was read of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Storage({self})")
    }
}

impl std::fmt::Display for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the bucket {} at {}", self.settings.bucket, self.settings.endpoint)
    }
}

impl Storage {
    /// The storage that `settings` describe. Nothing is asked of it yet.
    pub fn new(settings: config::Storage) -> Result<Self, reqwest::Error> {
        // Another part of the process may have chosen already; the choice is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("reflector-api/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_PATIENCE)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let credentials = Credentials::new(settings.access_key.clone(), settings.secret_key.expose());
        Ok(Self { settings, credentials, client, refused: reading::Refused::default() })
    }

    /// What it was made of.
    pub fn settings(&self) -> &config::Storage {
        &self.settings
    }

    /// Begins a multipart upload; returns the storage's name of it.
    pub async fn begin(&self, place: Place<'_>, media_type: &str) -> Result<String, StorageError> {
        let bucket = self.inside(place)?;
        let mut action = CreateMultipartUpload::new(&bucket, Some(&self.credentials), place.key);
        let mut headers = vec![("content-type", media_type)];
        headers.extend(self.settings.encryption.iter().flat_map(config::Encryption::headers));
        for (name, value) in &headers {
            action.headers_mut().insert(*name, *value);
        }
        let request = self.request(Method::POST, action.sign(OWN_LIFETIME));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        xml::upload_id(&promptly(text(request)).await?)
    }

    /// The address that takes one part.
    pub fn part_url(&self, place: Place<'_>, upload: &str, number: u16) -> Result<Url, StorageError> {
        let bucket = self.outside(place)?;
        let action = UploadPart::new(&bucket, Some(&self.credentials), place.key, number, upload);
        Ok(action.sign(self.settings.upload_lifetime))
    }

    /// The parts that are stored, by number.
    pub async fn parts(&self, place: Place<'_>, upload: &str) -> Result<Vec<Part>, StorageError> {
        let bucket = self.inside(place)?;
        // A part that is replaced while pages are read may stand in two of them.
        let (mut parts, mut after) = (BTreeMap::new(), None);
        promptly(async {
            loop {
                let mut action = ListParts::new(&bucket, Some(&self.credentials), place.key, upload);
                if let Some(marker) = after {
                    action.set_part_number_marker(marker);
                }
                let answer = text(self.request(Method::GET, action.sign(OWN_LIFETIME))).await?;
                let (page, next) = xml::parts(&answer, after)?;
                parts.extend(page.into_iter().map(|part| (part.number, part)));
                after = next;
                if after.is_none() {
                    return Ok(parts.into_values().collect());
                }
            }
        })
        .await
    }

    /// Puts the parts together, the first of `e_tags` being part 1.
    pub async fn complete(
        &self,
        place: Place<'_>,
        upload: &str,
        e_tags: &[&str],
    ) -> Result<(), StorageError> {
        let bucket = self.inside(place)?;
        let tags = e_tags.iter().copied();
        let action = CompleteMultipartUpload::new(&bucket, Some(&self.credentials), place.key, upload, tags);
        let url = action.sign(OWN_LIFETIME);
        let answer = text(self.request(Method::POST, url).body(action.body())).await?;
        xml::completed(&answer)
    }

    /// Forgets an upload and its parts. One that has ended already is no error.
    pub async fn abort(&self, place: Place<'_>, upload: &str) -> Result<(), StorageError> {
        let bucket = self.inside(place)?;
        let action = AbortMultipartUpload::new(&bucket, Some(&self.credentials), place.key, upload);
        match promptly(text(self.request(Method::DELETE, action.sign(OWN_LIFETIME)))).await {
            Err(error) if !error.is_code("NoSuchUpload") => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads an object through, in the memory of a few network packets.
    pub async fn read(&self, place: Place<'_>) -> Result<Contents, StorageError> {
        let bucket = self.inside(place)?;
        let action = GetObject::new(&bucket, Some(&self.credentials), place.key);
        let mut answer = send(self.request(Method::GET, action.sign(OWN_LIFETIME))).await?;
        let (mut hash, mut size) = (Sha256::new(), 0);
        while let Some(chunk) = answer.chunk().await.map_err(StorageError::silent)? {
            hash.update(&chunk);
            size += chunk.len() as u64;
        }
        Ok(Contents { size, sha256: hex(&hash.finalize()) })
    }

    /// Removes an object. One that is not there is no error.
    pub async fn remove(&self, place: Place<'_>) -> Result<(), StorageError> {
        let bucket = self.inside(place)?;
        let action = DeleteObject::new(&bucket, Some(&self.credentials), place.key);
        match promptly(text(self.request(Method::DELETE, action.sign(OWN_LIFETIME)))).await {
            Err(error) if !error.is_code("NoSuchKey") => Err(error),
            _ => Ok(()),
        }
    }

    /// The objects of a bucket whose keys come after `after`: a thousand, or all that there are.
    pub async fn list(&self, bucket: &str, after: &str) -> Result<Listing, StorageError> {
        let bucket = self.inside(Place { bucket, key: "" })?;
        let mut action = ListObjectsV2::new(&bucket, Some(&self.credentials));
        if !after.is_empty() {
            action.with_start_after(after);
        }
        xml::objects(&promptly(text(self.request(Method::GET, action.sign(OWN_LIFETIME)))).await?, after)
    }

    /// Whether there is an object.
    pub async fn has(&self, place: Place<'_>) -> Result<bool, StorageError> {
        let bucket = self.inside(place)?;
        let action = HeadObject::new(&bucket, Some(&self.credentials), place.key);
        match promptly(send(self.request(Method::HEAD, action.sign(OWN_LIFETIME)))).await {
            Ok(_) => Ok(true),
            Err(StorageError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a bucket keeps what is removed from it, as earlier versions of its objects.
    pub async fn keeps_removed(&self, bucket: &str) -> Result<bool, StorageError> {
        let place = Place { bucket, key: "" };
        let bucket = self.inside(place)?;
        // The address of the bucket itself.
        let mut action = GetObject::new(&bucket, Some(&self.credentials), place.key);
        action.query_mut().insert("versioning", "");
        xml::is_versioned(&promptly(text(self.request(Method::GET, action.sign(OWN_LIFETIME)))).await?)
    }

    /// Where `file` can be fetched from for the configured time, from `now` on; `None` for one that is not there, or that nobody is given.
    pub fn link(&self, file: &File, now: OffsetDateTime) -> Option<Link> {
        if !file.is_available() {
            return None;
        }
        let place = Place { bucket: file.bucket.as_deref()?, key: file.object_key.as_deref()? };
        // A bucket of an earlier configuration may have no address in this one.
        let url = self.download_url(place).ok()?.into();
        // The signature counts whole seconds.
        let signed_at = now.replace_nanosecond(0).unwrap_or(now);
        Some(Link { url, expires_at: signed_at + self.settings.download_lifetime })
    }

    fn download_url(&self, place: Place<'_>) -> Result<Url, StorageError> {
        let bucket = self.outside(place)?;
        let action = GetObject::new(&bucket, Some(&self.credentials), place.key);
        Ok(action.sign(self.settings.download_lifetime))
    }

    fn inside(&self, place: Place<'_>) -> Result<Bucket, StorageError> {
        self.bucket(&self.settings.endpoint, place)
    }

    fn outside(&self, place: Place<'_>) -> Result<Bucket, StorageError> {
        self.bucket(&self.settings.public_endpoint, place)
    }

    fn bucket(&self, endpoint: &Url, place: Place<'_>) -> Result<Bucket, StorageError> {
        let style = if self.settings.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        Bucket::new(endpoint.clone(), style, place.bucket.to_owned(), self.settings.region.clone()).map_err(
            |error| StorageError::Address { bucket: place.bucket.to_owned(), reason: error.to_string() },
        )
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }
}

/// Does what takes a storage no time.
async fn promptly<T>(work: impl Future<Output = Result<T, StorageError>>) -> Result<T, StorageError> {
    let silence = |_| Err(StorageError::Silent(format!("no answer within {} s", PROMPT.as_secs())));
    timeout(PROMPT, work).await.unwrap_or_else(silence)
}

/// Sends a request; an answer that is a refusal is an error.
async fn send(request: RequestBuilder) -> Result<Response, StorageError> {
    let answer = request.send().await.map_err(StorageError::silent)?;
    let status = answer.status().as_u16();
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let body = body(answer).await.unwrap_or_default();
    Err(xml::refusal(status, &body).unwrap_or(StorageError::Refused {
        status,
        code: String::new(),
        message: String::new(),
    }))
}

/// The same for an answer that is read whole.
async fn text(request: RequestBuilder) -> Result<String, StorageError> {
    body(send(request).await?).await
}

async fn body(mut answer: Response) -> Result<String, StorageError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(StorageError::silent)? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(StorageError::unreadable("it is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    // AWS sends blanks while an answer is not ready.
    String::from_utf8(bytes.trim_ascii().to_vec()).map_err(StorageError::unreadable)
}
