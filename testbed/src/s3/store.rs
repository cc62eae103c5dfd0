//! Objects and unfinished uploads as files.
//!
//! `<root>/<bucket>/<key>` is an object. `<root>/.uploads/<id>/` is an upload: a file for each part, named by its number,
//! with its `ETag` beside it. What is being written has another name until it is whole.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use contract::id::hex;
use futures_util::{Stream, StreamExt as _, stream};
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CompletedPart, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteObjectInput, DeleteObjectOutput, ETag, GetObjectInput, GetObjectOutput, HeadBucketInput,
    HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, Part, PutObjectInput, PutObjectOutput, StreamingBlob, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::listing;

/// Where unfinished uploads are kept.
pub(super) const UPLOADS: &str = ".uploads";
/// Where things are kept while they are written.
const DRAFTS: &str = ".drafts";
/// Where the types of objects are kept.
const TYPES: &str = ".types";
/// What every part but the last must have, as at AWS.
const LEAST_PART: u64 = 5 * 1024 * 1024;
/// How much is read and written at a time.
const CHUNK: usize = 256 * 1024;

/// Objects and uploads below one directory.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
    drafts: AtomicU64,
    /// How often reading an object has begun.
    reads: Arc<AtomicU64>,
}

impl Store {
    /// The store in `root`. Drafts of an earlier server are removed.
    pub(super) fn open(root: PathBuf, reads: Arc<AtomicU64>) -> io::Result<Self> {
        let drafts = root.join(DRAFTS);
        if drafts.exists() {
            std::fs::remove_dir_all(&drafts)?;
        }
        for directory in [DRAFTS, UPLOADS, TYPES] {
            std::fs::create_dir_all(root.join(directory))?;
        }
        Ok(Self { root, drafts: AtomicU64::new(0), reads })
    }

    fn draft(&self) -> PathBuf {
        self.root.join(DRAFTS).join(self.drafts.fetch_add(1, Ordering::Relaxed).to_string())
    }

    fn bucket(&self, bucket: &str) -> S3Result<PathBuf> {
        let path = self.root.join(bucket);
        if bucket.starts_with('.') || !path.is_dir() { Err(s3_error!(NoSuchBucket)) } else { Ok(path) }
    }

    fn object(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        let is_odd = key.split('/').any(|name| matches!(name, "" | "." | ".."));
        if is_odd {
            Err(s3_error!(InvalidArgument, "this server does not take such keys"))
        } else {
            Ok(self.bucket(bucket)?.join(key))
        }
    }

    /// Where the type of an object is written down.
    fn type_of(&self, bucket: &str, key: &str) -> PathBuf {
        let name = hex(&Md5::checksum(format!("{bucket}/{key}").as_bytes()));
        self.root.join(TYPES).join(name)
    }

    fn upload(&self, id: &str) -> S3Result<PathBuf> {
        let path = self.root.join(UPLOADS).join(id);
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_id && path.is_dir() { Ok(path) } else { Err(s3_error!(NoSuchUpload)) }
    }

    /// Writes a body to a draft; the draft and the MD5 of what it holds.
    async fn receive(&self, body: Option<StreamingBlob>, length: Option<i64>) -> S3Result<(PathBuf, String)> {
        let draft = self.draft();
        let received = write_all(&draft, body, length).await;
        if received.is_err() {
            // It may not even be there.
            let _ = fs::remove_file(&draft).await;
        }
        Ok((draft, received?))
    }

    /// Gives a draft its place.
    async fn publish(
        &self,
        draft: &Path,
        bucket: &str,
        key: &str,
        content_type: Option<&str>,
    ) -> S3Result<()> {
        let object = self.object(bucket, key)?;
        if let Some(parent) = object.parent() {
            fs::create_dir_all(parent).await.map_err(internal)?;
        }
        fs::write(self.type_of(bucket, key), content_type.unwrap_or_default()).await.map_err(internal)?;
        fs::rename(draft, object).await.map_err(internal)
    }

    async fn content_type(&self, bucket: &str, key: &str) -> Option<String> {
        let text = fs::read_to_string(self.type_of(bucket, key)).await.ok()?;
        Some(text).filter(|text| !text.is_empty())
    }
}

/// A part as it lies there.
struct StoredPart {
    number: i32,
    size: u64,
    e_tag: String,
    modified: std::time::SystemTime,
}

fn internal(error: io::Error) -> S3Error {
    s3_error!(error, InternalError)
}

async fn write_all(path: &Path, body: Option<StreamingBlob>, length: Option<i64>) -> S3Result<String> {
    let mut file = File::create(path).await.map_err(internal)?;
    file.set_max_buf_size(CHUNK);
    let (mut hash, mut size) = (Md5::new(), 0);
    let mut body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| s3_error!(IncompleteBody))?;
        hash.update(&chunk);
        size += chunk.len();
        file.write_all(&chunk).await.map_err(internal)?;
    }
    file.flush().await.map_err(internal)?;
    if length.is_some_and(|length| usize::try_from(length).ok() != Some(size)) {
        return Err(s3_error!(IncompleteBody));
    }
    Ok(hex(&hash.finalize()))
}

/// The number and the `ETag` that a file of an upload is named after, if it is a part.
fn part_name(name: &std::ffi::OsStr) -> Option<(i32, &str)> {
    let (number, e_tag) = name.to_str()?.split_once('.')?;
    Some((number.parse().ok()?, e_tag))
}

/// The parts of an upload by number.
async fn parts(upload: &Path) -> S3Result<Vec<StoredPart>> {
    let upload = upload.to_owned();
    let list = move || {
        let mut parts = Vec::new();
        for entry in std::fs::read_dir(upload)? {
            let entry = entry?;
            let Some((number, e_tag)) = part_name(&entry.file_name()).map(|(n, tag)| (n, tag.to_owned()))
            else {
                continue;
            };
            let metadata = entry.metadata()?;
            parts.push(StoredPart { number, size: metadata.len(), e_tag, modified: metadata.modified()? });
        }
        parts.sort_by_key(|part| part.number);
        io::Result::Ok(parts)
    };
    // One trip to the threads that wait for disks, not one for each part. What vanishes meanwhile is being completed.
    let listed = tokio::task::spawn_blocking(list).await.map_err(|error| s3_error!(error, InternalError))?;
    listed.map_err(|_| s3_error!(NoSuchUpload))
}

/// Removes earlier versions of a part.
async fn remove_earlier(upload: &Path, number: i32, e_tag: &str) {
    let (upload, e_tag) = (upload.to_owned(), e_tag.to_owned());
    let remove = move || {
        for entry in std::fs::read_dir(upload)?.flatten() {
            if part_name(&entry.file_name()).is_some_and(|(n, tag)| n == number && tag != e_tag) {
                std::fs::remove_file(entry.path())?;
            }
        }
        io::Result::Ok(())
    };
    // Another request may have replaced it as well, or completed the upload.
    let _ = tokio::task::spawn_blocking(remove).await;
}

fn part_path(upload: &Path, number: i32, e_tag: &str) -> PathBuf {
    upload.join(format!("{number}.{e_tag}"))
}

/// The parts that `asked` names, in order, if each is there as described.
fn chosen(stored: &[StoredPart], asked: &[CompletedPart]) -> S3Result<Vec<(i32, String)>> {
    let mut chosen: Vec<(i32, String)> = Vec::new();
    for (place, part) in asked.iter().enumerate() {
        let number = part.part_number.ok_or_else(|| s3_error!(MalformedXML))?;
        let is_last = place + 1 == asked.len();
        if chosen.last().is_some_and(|(last, _)| *last >= number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let e_tag = part.e_tag.as_ref().map(ETag::value).unwrap_or_default();
        let found = stored.iter().find(|stored| stored.number == number && stored.e_tag == e_tag);
        let found = found.ok_or_else(|| s3_error!(InvalidPart))?;
        if !is_last && found.size < LEAST_PART {
            return Err(s3_error!(EntityTooSmall));
        }
        chosen.push((number, found.e_tag.clone()));
    }
    if chosen.is_empty() { Err(s3_error!(MalformedXML)) } else { Ok(chosen) }
}

/// Puts parts together in a draft.
async fn join(draft: &Path, upload: &Path, parts: &[(i32, String)]) -> io::Result<()> {
    let mut whole = File::create(draft).await?;
    whole.set_max_buf_size(CHUNK);
    let mut buffer = vec![0; CHUNK];
    for (number, e_tag) in parts {
        let mut part = File::open(part_path(upload, *number, e_tag)).await?;
        part.set_max_buf_size(CHUNK);
        loop {
            let count = part.read(&mut buffer).await?;
            if count == 0 {
                break;
            }
            whole.write_all(&buffer[..count]).await?;
        }
    }
    whole.flush().await
}

/// `length` bytes of a file from where it stands.
fn contents(file: File, length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut chunk = vec![0; usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK))];
        let count = file.read(&mut chunk).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        chunk.truncate(count);
        Ok(Some((Bytes::from(chunk), (file, left - count as u64))))
    })
}

fn signed(size: u64) -> Option<i64> {
    i64::try_from(size).ok()
}

#[async_trait]
impl S3 for Store {
    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.bucket(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let page = listing::page(&self.bucket(&request.input.bucket)?, &request.input);
        Ok(S3Response::new(page.map_err(internal)?))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        self.object(&input.bucket, &input.key)?;
        let (draft, md5) = self.receive(input.body, input.content_length).await?;
        self.publish(&draft, &input.bucket, &input.key, input.content_type.as_deref()).await?;
        Ok(S3Response::new(PutObjectOutput { e_tag: Some(ETag::Strong(md5)), ..Default::default() }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let path = self.object(&input.bucket, &input.key)?;
        let mut file = File::open(path).await.map_err(|_| s3_error!(NoSuchKey))?;
        file.set_max_buf_size(CHUNK);
        self.reads.fetch_add(1, Ordering::Relaxed);
        let metadata = file.metadata().await.map_err(internal)?;
        let size = metadata.len();
        let wanted = input.range.map_or(Ok(0..size), |range| range.check(size))?;
        file.seek(io::SeekFrom::Start(wanted.start)).await.map_err(internal)?;
        let length = wanted.end - wanted.start;
        let content_range =
            input.range.map(|_| format!("bytes {}-{}/{size}", wanted.start, wanted.end.saturating_sub(1)));
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::wrap(contents(file, length))),
            content_length: signed(length),
            content_range,
            content_type: self.content_type(&input.bucket, &input.key).await,
            last_modified: metadata.modified().ok().map(Into::into),
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let path = self.object(&input.bucket, &input.key)?;
        let metadata = fs::metadata(path).await.map_err(|_| s3_error!(NoSuchKey))?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: signed(metadata.len()),
            content_type: self.content_type(&input.bucket, &input.key).await,
            last_modified: metadata.modified().ok().map(Into::into),
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let path = self.object(&request.input.bucket, &request.input.key)?;
        match fs::remove_file(path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(internal(error)),
            _ => Ok(S3Response::new(DeleteObjectOutput::default())),
        }
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        self.object(&input.bucket, &input.key)?;
        let id = format!("{:032x}", fastrand::u128(..));
        let upload = self.root.join(UPLOADS).join(&id);
        fs::create_dir(&upload).await.map_err(internal)?;
        fs::write(upload.join("type"), input.content_type.unwrap_or_default()).await.map_err(internal)?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..Default::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        if !(1..=10_000).contains(&input.part_number) {
            return Err(s3_error!(InvalidArgument, "a part's number is from 1 to 10000"));
        }
        let upload = self.upload(&input.upload_id)?;
        let (draft, md5) = self.receive(input.body, input.content_length).await?;
        let part = part_path(&upload, input.part_number, &md5);
        fs::rename(&draft, &part).await.map_err(|_| s3_error!(NoSuchUpload))?;
        remove_earlier(&upload, input.part_number, &md5).await;
        Ok(S3Response::new(UploadPartOutput { e_tag: Some(ETag::Strong(md5)), ..Default::default() }))
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let max_parts = input.max_parts.unwrap_or(1000).clamp(1, 1000);
        let after = input.part_number_marker.unwrap_or(0);
        let mut left = parts(&self.upload(&input.upload_id)?).await?;
        left.retain(|part| part.number > after);
        let is_truncated = left.len() > usize::try_from(max_parts).unwrap_or_default();
        left.truncate(usize::try_from(max_parts).unwrap_or_default());
        let next = left.last().map(|part| part.number).filter(|_| is_truncated);
        let part = |part: StoredPart| Part {
            part_number: Some(part.number),
            size: signed(part.size),
            e_tag: Some(ETag::Strong(part.e_tag)),
            last_modified: Some(part.modified.into()),
            ..Default::default()
        };
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            max_parts: Some(max_parts),
            is_truncated: Some(is_truncated),
            next_part_number_marker: next,
            parts: Some(left.into_iter().map(part).collect()),
            ..Default::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let upload = self.upload(&input.upload_id)?;
        let asked = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let chosen = chosen(&parts(&upload).await?, &asked)?;
        let content_type = fs::read_to_string(upload.join("type")).await.unwrap_or_default();
        // Of several completions at the same time, the first one takes the parts.
        let taken = self.draft();
        fs::rename(&upload, &taken).await.map_err(|_| s3_error!(NoSuchUpload))?;
        let draft = self.draft();
        join(&draft, &taken, &chosen).await.map_err(internal)?;
        self.publish(&draft, &input.bucket, &input.key, Some(&content_type)).await?;
        fs::remove_dir_all(taken).await.map_err(internal)?;
        let tags: Vec<_> = chosen.iter().map(|(_, e_tag)| e_tag.as_str()).collect();
        let e_tag = format!("{}-{}", hex(&Md5::checksum(tags.concat().as_bytes())), chosen.len());
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(e_tag)),
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let upload = self.upload(&request.input.upload_id)?;
        let taken = self.draft();
        fs::rename(&upload, &taken).await.map_err(|_| s3_error!(NoSuchUpload))?;
        fs::remove_dir_all(taken).await.map_err(internal)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}
