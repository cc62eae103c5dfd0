//! The object storage that recordings are in: anything that speaks S3.
//!
//! Without a storage of this service's own, it is the bucket that Whereby records into, read with the key that Whereby is handed: that
//! is what its guide sets up.

use std::time::Duration;

use reqwest::Url;

use super::http::is_web_address;
use super::reader::Reader;
use super::secret::Secret;
use super::whereby::WherebyRecordings;

const BACKEND: &str = "RECORDING_STORAGE_BACKEND";
const BUCKET: &str = "RECORDING_STORAGE_AWS_BUCKET_NAME";
const REGION: &str = "RECORDING_STORAGE_AWS_REGION";
const ENDPOINT: &str = "RECORDING_STORAGE_AWS_ENDPOINT_URL";
const PUBLIC_ENDPOINT: &str = "RECORDING_STORAGE_AWS_PUBLIC_ENDPOINT_URL";
const PATH_STYLE: &str = "RECORDING_STORAGE_AWS_PATH_STYLE";
const ACCESS_KEY: &str = "RECORDING_STORAGE_AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY";
const PREFIX: &str = "RECORDING_STORAGE_KEY_PREFIX";
const ENCRYPTION: &str = "RECORDING_STORAGE_AWS_SSE";
const KMS_KEY: &str = "RECORDING_STORAGE_AWS_SSE_KMS_KEY_ID";
const RETENTION: &str = "RECORDING_RETENTION_DAYS";

/// The least that servers allow; AWS makes 40.
const LEAST_SECRET_KEY: usize = 8;

/// The smallest part that S3 takes, and the largest.
const PART_BYTES: std::ops::RangeInclusive<u64> = 5 * 1024 * 1024..=5 * 1024 * 1024 * 1024;

/// The longest that a presigned address can be good for: the signature scheme's own limit.
const LONGEST_LIFETIME: u64 = 7 * 86_400;

/// The object storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Whether recordings are uploaded there: `RECORDING_STORAGE_BACKEND`. Otherwise it is Whereby's, its key may do no more than read, and
    /// what is only for uploads is of no use.
    pub takes_uploads: bool,
    /// The bucket that new recordings go to: `RECORDING_STORAGE_AWS_BUCKET_NAME`.
    pub bucket: String,
    /// The bucket's region: `RECORDING_STORAGE_AWS_REGION`.
    pub region: String,
    /// Where this service reaches the storage: `RECORDING_STORAGE_AWS_ENDPOINT_URL`, else AWS.
    pub endpoint: Url,
    /// Where agents and browsers reach it: `RECORDING_STORAGE_AWS_PUBLIC_ENDPOINT_URL`, else the same.
    pub public_endpoint: Url,
    /// Whether the bucket stands in the path and not in the host's name: `RECORDING_STORAGE_AWS_PATH_STYLE`.
    pub path_style: bool,
    /// The access key's id: `RECORDING_STORAGE_AWS_ACCESS_KEY_ID`.
    pub access_key: String,
    /// The access key's secret: `RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY`.
    pub secret_key: Secret,
    /// The variables that named the two.
    pub key_variables: [&'static str; 2],
    /// What the keys of objects begin with, without slashes at its ends: `RECORDING_STORAGE_KEY_PREFIX`.
    pub prefix: String,
    /// How large a part of an upload is, unless the file needs larger ones: `RECORDING_UPLOAD_PART_BYTES`.
    pub part_bytes: u64,
    /// How long an address for a part is good: `RECORDING_UPLOAD_URL_SECONDS`.
    pub upload_lifetime: Duration,
    /// How long an address for a download is good: `RECORDING_DOWNLOAD_URL_SECONDS`.
    pub download_lifetime: Duration,
    /// After how long without a request an upload is given up: `RECORDING_UPLOAD_ABANDONED_DAYS`.
    pub abandoned_after: Duration,
    /// How the storage is to encrypt what is uploaded; `None` leaves it to the bucket: `RECORDING_STORAGE_AWS_SSE`.
    pub encryption: Option<Encryption>,
    /// After how long recordings are removed from the storage, if they are: `RECORDING_RETENTION_DAYS`.
    pub retention: Option<Duration>,
}

/// What the storage encrypts objects with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// Keys of its own: `AES256`.
    Own,
    /// A key of its key management: `aws:kms`.
    Kms {
        /// Which one, else the account's default: `RECORDING_STORAGE_AWS_SSE_KMS_KEY_ID`.
        key_id: Option<String>,
    },
}

impl Encryption {
    /// The headers that ask for it.
    pub fn headers(&self) -> Vec<(&'static str, &str)> {
        let algorithm = |name| ("x-amz-server-side-encryption", name);
        match self {
            Self::Own => vec![algorithm("AES256")],
            Self::Kms { key_id } => {
                let key =
                    key_id.iter().map(|id| ("x-amz-server-side-encryption-aws-kms-key-id", id.as_str()));
                std::iter::once(algorithm("aws:kms")).chain(key).collect()
            }
        }
    }
}

/// A bucket and the key to it.
struct Entrance {
    takes_uploads: bool,
    bucket: Option<String>,
    region: String,
    region_variable: &'static str,
    access_key: Option<String>,
    secret_key: Option<Secret>,
    key_variables: [&'static str; 2],
}

impl Entrance {
    fn own(reader: &mut Reader<'_>) -> Self {
        let bucket = bucket(reader);
        let access_key = reader.text(ACCESS_KEY);
        if access_key.is_none() {
            reader.error(ACCESS_KEY, "is not set; name the access key that may use the bucket");
        }
        Self {
            takes_uploads: true,
            bucket,
            region: reader.text_or(REGION, "us-east-1"),
            region_variable: REGION,
            access_key,
            secret_key: secret_key(reader),
            key_variables: [ACCESS_KEY, SECRET_KEY],
        }
    }

    fn of_whereby(reader: &mut Reader<'_>, whereby: &WherebyRecordings) -> Self {
        Self {
            takes_uploads: false,
            bucket: Some(whereby.bucket_alone().to_owned()),
            region: whereby.region.clone(),
            region_variable: WherebyRecordings::region_variable(reader),
            access_key: Some(whereby.access_key.clone()),
            secret_key: Some(whereby.secret_key.clone()),
            key_variables: whereby.key_variables,
        }
    }
}

impl Storage {
    /// `None` without a storage, or after an error was noted.
    pub(super) fn read(reader: &mut Reader<'_>, of_whereby: Option<&WherebyRecordings>) -> Option<Self> {
        match (reader.text(BACKEND).as_deref(), of_whereby) {
            (Some("aws"), _) => {
                let access = Entrance::own(reader);
                Self::at(reader, access)
            }
            (Some(other), _) => {
                reader.error(
                    BACKEND,
                    format!("{other:?} is no backend; there is aws, for everything that speaks S3"),
                );
                None
            }
            (None, Some(whereby)) => {
                let is_of_both = reader.text("WHEREBY_STORAGE_AWS_BUCKET_NAME").is_none();
                let bucket: &[_] = if is_of_both { &[] } else { &[BUCKET] };
                warn_of_unused(reader, &[bucket, &[ACCESS_KEY, ENCRYPTION]].concat());
                let access = Entrance::of_whereby(reader, whereby);
                Self::at(reader, access)
            }
            (None, None) => {
                // What is wrong with Whereby's is said already.
                let is_of_whereby = WherebyRecordings::has_key(reader);
                let bucket: &[_] = if is_of_whereby { &[] } else { &[BUCKET] };
                warn_of_unused(reader, &[bucket, &[ACCESS_KEY, ENDPOINT, ENCRYPTION, RETENTION]].concat());
                None
            }
        }
    }

    fn at(reader: &mut Reader<'_>, access: Entrance) -> Option<Self> {
        let Entrance { takes_uploads, bucket, region, access_key, secret_key, key_variables, .. } = access;
        let is_aws = reader.text(ENDPOINT).is_none();
        let endpoint =
            if is_aws { aws(reader, access.region_variable, &region) } else { address(reader, ENDPOINT) };
        let public_endpoint = if reader.text(PUBLIC_ENDPOINT).is_none() {
            endpoint.clone()
        } else {
            address(reader, PUBLIC_ENDPOINT)
        };
        let path_style = reader.flag(PATH_STYLE, !is_aws || !bucket.as_deref().is_none_or(is_label));
        let prefix = prefix(reader);
        let part_bytes = reader.within("RECORDING_UPLOAD_PART_BYTES", 16 * 1024 * 1024, PART_BYTES);
        let mut seconds =
            |variable, default| Duration::from_secs(reader.within(variable, default, 60..=LONGEST_LIFETIME));
        let upload_lifetime = seconds("RECORDING_UPLOAD_URL_SECONDS", 15 * 60);
        let download_lifetime = seconds("RECORDING_DOWNLOAD_URL_SECONDS", 3600);
        let days = reader.within("RECORDING_UPLOAD_ABANDONED_DAYS", 7, 1..=365);
        let encryption = encryption(reader);
        let retention = reader.text(RETENTION).map(|_| reader.within(RETENTION, 0, 1..=36_500));
        Some(Self {
            takes_uploads,
            bucket: bucket?,
            region,
            endpoint: endpoint?,
            public_endpoint: public_endpoint?,
            path_style,
            access_key: access_key?,
            secret_key: secret_key?,
            key_variables,
            prefix,
            part_bytes,
            upload_lifetime,
            download_lifetime,
            abandoned_after: Duration::from_secs(days * 86_400),
            encryption,
            retention: retention.map(|days| Duration::from_secs(days * 86_400)),
        })
    }
}

/// Warns of the first of `names` that is set.
fn warn_of_unused(reader: &mut Reader<'_>, names: &[&'static str]) {
    // With a queue, the key may be for that.
    let is_of_queue = reader.text("AWS_PROCESS_RECORDING_QUEUE_URL").is_some();
    let mut unused = names.iter().filter(|name| **name != ACCESS_KEY || !is_of_queue);
    if let Some(given) = unused.find(|name| reader.text(name).is_some()) {
        let message = "recordings of Jitsi stay on their hosts";
        reader.warning(given, format!("is not used without {BACKEND}: {message}; set {BACKEND}=aws"));
    }
}

/// Whether the name can stand in front of the names of AWS: it has no certificate for names with dots, and hosts' names know no capitals.
fn is_label(bucket: &str) -> bool {
    bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The rules that all servers have in common; AWS has some more, and says so.
fn bucket(reader: &mut Reader<'_>) -> Option<String> {
    let Some(name) = reader.text(BUCKET) else {
        reader.error(BUCKET, "is not set; name the bucket that recordings go to");
        return None;
    };
    let acceptable = (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
        && !name.starts_with(['-', '.'])
        && !name.ends_with(['-', '.'])
        && !name.contains("..");
    if acceptable {
        return Some(name);
    }
    reader.error(
        BUCKET,
        format!("{name:?} is no bucket's name: 3 to 63 lower-case letters, digits, dots and dashes"),
    );
    None
}

fn aws(reader: &mut Reader<'_>, variable: &str, region: &str) -> Option<Url> {
    let is_name = !region.is_empty()
        && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let url = if is_name { Url::parse(&format!("https://s3.{region}.amazonaws.com")).ok() } else { None };
    if url.is_none() {
        reader.error(variable, format!("{region:?} is no region; write it like eu-central-1"));
    }
    url
}

fn address(reader: &mut Reader<'_>, variable: &'static str) -> Option<Url> {
    let text = reader.text(variable)?;
    let url = Url::parse(&text).ok().filter(|_| is_web_address(&text));
    let url =
        url.filter(|url| url.username().is_empty() && url.password().is_none() && url.query().is_none());
    if url.is_none() {
        // The text may hold a password.
        reader
            .error(variable, "is no endpoint; write it like https://s3.example.com, without user and query");
    }
    url
}

fn secret_key(reader: &mut Reader<'_>) -> Option<Secret> {
    if reader.text(SECRET_KEY).is_none() {
        reader.error(SECRET_KEY, format!("is not set; it belongs to {ACCESS_KEY}"));
    }
    reader.secret(SECRET_KEY, LEAST_SECRET_KEY, "aws iam create-access-key")
}

fn encryption(reader: &mut Reader<'_>) -> Option<Encryption> {
    let key_id = reader.text(KMS_KEY);
    if key_id.as_ref().is_some_and(|id| !id.bytes().all(|byte| byte.is_ascii_graphic())) {
        reader.error(KMS_KEY, "is no key's id, ARN or alias");
    }
    match (reader.text(ENCRYPTION).as_deref(), key_id) {
        (Some("aws:kms"), key_id) => Some(Encryption::Kms { key_id }),
        (named, Some(_)) => {
            reader.error(KMS_KEY, format!("names a key that only {ENCRYPTION}=aws:kms uses"));
            named.map(|_| Encryption::Own)
        }
        (Some("AES256"), None) => Some(Encryption::Own),
        (Some(other), None) => {
            reader.error(ENCRYPTION, format!("{other:?} is no way to encrypt; there are AES256 and aws:kms"));
            None
        }
        (None, None) => None,
    }
}

fn prefix(reader: &mut Reader<'_>) -> String {
    let text = reader.text_or(PREFIX, "jitsi");
    let prefix = text.trim_matches('/');
    let is_plain = |name: &str| {
        !matches!(name, "" | "." | "..")
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    if prefix.len() > 200 || !(prefix.is_empty() || prefix.split('/').all(is_plain)) {
        reader.error(
            PREFIX,
            format!(
                "{text:?} must be names of letters, digits, dashes, dots and underscores, parted by slashes"
            ),
        );
    }
    prefix.to_owned()
}

#[cfg(test)]
mod tests;
