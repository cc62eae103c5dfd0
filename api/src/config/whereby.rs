//! The Whereby side: rooms that are made there, webhooks that come from there, and the bucket that it records into.

use reqwest::Url;

use super::http::is_web_address;
use super::reader::Reader;
use super::secret::{Secret, is_placeholder, weakness};

const API_URL: &str = "WHEREBY_API_URL";
const API_KEY: &str = "WHEREBY_API_KEY";
const WEBHOOK_SECRET: &str = "WHEREBY_WEBHOOK_SECRET";
const LOGO: &str = "WHEREBY_LOGO_FILE";
const POINTS: &str = "WHEREBY_POINTS_PER_MINUTE";

/// Each setting of the bucket has two names; the first one wins.
const BUCKET: [&str; 2] = ["WHEREBY_STORAGE_AWS_BUCKET_NAME", "RECORDING_STORAGE_AWS_BUCKET_NAME"];
const REGION: [&str; 2] = ["WHEREBY_STORAGE_AWS_REGION", "RECORDING_STORAGE_AWS_REGION"];
const ACCESS_KEY: [&str; 2] = ["WHEREBY_STORAGE_AWS_ACCESS_KEY_ID", "AWS_WHEREBY_ACCESS_KEY_ID"];
const SECRET_KEY: [&str; 2] = ["WHEREBY_STORAGE_AWS_SECRET_ACCESS_KEY", "AWS_WHEREBY_ACCESS_KEY_SECRET"];

const PRODUCTION: &str = "https://api.whereby.dev/v1";

/// The next step for whoever lacks one.
const SOURCE_OF_SECRETS: &str = "copy it from the webhook's page in Whereby's dashboard";

/// Whereby makes the secret and the key itself; shorter ones were not copied whole.
const LEAST_SECRET: usize = 16;

/// The least that servers allow; AWS makes 40.
const LEAST_SECRET_KEY: usize = 8;

/// The largest picture that is sent as a logo.
const MAX_LOGO_BYTES: usize = 2 * 1024 * 1024;

/// What every PNG begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The Whereby side.
#[derive(Debug, Clone)]
pub struct Whereby {
    /// The secrets that webhooks are signed with, any of them: `WHEREBY_WEBHOOK_SECRET`. Without one, every webhook is refused.
    pub webhook_secrets: Vec<Secret>,
    /// What rooms are made with; the error names the variables that are missing.
    pub meetings: Result<WherebyMeetings, Vec<&'static str>>,
}

/// What is needed to make rooms at Whereby.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WherebyMeetings {
    /// Where Whereby is asked, without a slash at the end: `WHEREBY_API_URL`.
    pub api_url: Url,
    /// The key to it: `WHEREBY_API_KEY`.
    pub api_key: Secret,
    /// Where Whereby puts recordings; `None` leaves it to the settings of the organisation.
    pub recordings: Option<WherebyRecordings>,
    /// A PNG that rooms are given as their logo: the file that `WHEREBY_LOGO_FILE` names.
    pub logo: Option<Vec<u8>>,
    /// What the organisation's plan allows: `WHEREBY_POINTS_PER_MINUTE`.
    pub points_per_minute: u32,
}

/// A bucket, and a key to it that Whereby is handed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WherebyRecordings {
    /// The bucket's name; with folders after a slash, if there are any.
    pub bucket: String,
    /// Its region. Whereby is not told; whoever reads the bucket needs it.
    pub region: String,
    /// The access key's id.
    pub access_key: String,
    /// The access key's secret.
    pub secret_key: Secret,
    /// The variables that named the two.
    pub key_variables: [&'static str; 2],
}

impl Whereby {
    /// A server without a key to Whereby's API has no Whereby side, and says so only to those who ask for it.
    pub(super) fn read(reader: &mut Reader<'_>, recordings: Option<WherebyRecordings>) -> Self {
        let webhook_secrets = webhook_secrets(reader);
        let api_url = api_url(reader);
        let logo = logo(reader);
        let points_per_minute = reader.within(POINTS, 100, 20..=100_000);
        let has_key = reader.text(API_KEY).is_some();
        let api_key = reader.secret(API_KEY, LEAST_SECRET, "copy it from Whereby's dashboard");
        if has_key && webhook_secrets.is_empty() {
            reader.warning(
                WEBHOOK_SECRET,
                format!(
                    "is not set: every webhook of Whereby's is refused with 401, so nobody is seen in its rooms; \
                     {SOURCE_OF_SECRETS}"
                ),
            );
        }
        if has_key && recordings.is_none() {
            reader.warning(
                BUCKET[0],
                "and its access key are not all set: where Whereby records to is left to the organisation's settings",
            );
        }
        let meetings = match (api_url, api_key) {
            (Some(api_url), Some(api_key)) => Ok(WherebyMeetings {
                api_url,
                api_key,
                recordings,
                logo,
                points_per_minute: u32::try_from(points_per_minute).unwrap_or(u32::MAX),
            }),
            _ => Err(vec![API_KEY]),
        };
        Self { webhook_secrets, meetings }
    }
}

fn webhook_secrets(reader: &mut Reader<'_>) -> Vec<Secret> {
    let Some(list) = reader.text(WEBHOOK_SECRET) else { return Vec::new() };
    let secrets: Vec<_> = list.split(',').map(str::trim).filter(|secret| !secret.is_empty()).collect();
    for (index, secret) in secrets.iter().enumerate() {
        if let Some(weakness) = weakness(secret, LEAST_SECRET) {
            let place = index + 1;
            reader.error(WEBHOOK_SECRET, format!("secret {place} {weakness}; {SOURCE_OF_SECRETS}"));
        }
    }
    if secrets.is_empty() {
        reader.error(WEBHOOK_SECRET, format!("holds only commas; {SOURCE_OF_SECRETS}"));
    }
    secrets.into_iter().map(Secret::new).collect()
}

fn api_url(reader: &mut Reader<'_>) -> Option<Url> {
    let text = reader.text_or(API_URL, PRODUCTION);
    let url = Url::parse(text.trim_end_matches('/')).ok().filter(|_| is_web_address(&text));
    let url =
        url.filter(|url| url.username().is_empty() && url.password().is_none() && url.query().is_none());
    if url.is_none() {
        // The text may hold a password.
        reader.error(API_URL, format!("is no address; write it like {PRODUCTION}, without user and query"));
    }
    url
}

/// The first of two variables that is set, and what it says.
fn either(reader: &mut Reader<'_>, names: [&'static str; 2]) -> Option<(&'static str, String)> {
    let [first, second] = names;
    match (reader.text(first), reader.text(second)) {
        (Some(text), _) => Some((first, text)),
        (None, text) => Some((second, text?)),
    }
}

impl WherebyRecordings {
    /// The bucket's name without the folders behind it.
    pub fn bucket_alone(&self) -> &str {
        self.bucket.split_once('/').map_or(&self.bucket, |(bucket, _)| bucket)
    }

    /// Whether any variable names a key to a bucket for Whereby. What is wrong with it, [`Self::read`] says.
    pub(super) fn has_key(reader: &mut Reader<'_>) -> bool {
        [ACCESS_KEY, SECRET_KEY].into_iter().flatten().any(|name| reader.text(name).is_some())
    }

    /// The variable that names the bucket's region.
    pub(super) fn region_variable(reader: &mut Reader<'_>) -> &'static str {
        either(reader, REGION).map_or(REGION[1], |(variable, _)| variable)
    }

    /// `None` without a bucket for Whereby, or after an error was noted. The bucket of this service's own recordings is Whereby's only
    /// together with a key for Whereby.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let access_key = either(reader, ACCESS_KEY);
        let secret_key = either(reader, SECRET_KEY);
        let own_bucket = reader.text(BUCKET[0]);
        if access_key.is_none() && secret_key.is_none() && own_bucket.is_none() {
            return None;
        }
        let bucket = either(reader, BUCKET);
        for (found, names, purpose) in [
            (bucket.is_some(), BUCKET, "the bucket that Whereby records into"),
            (access_key.is_some(), ACCESS_KEY, "the access key that Whereby is handed"),
            (secret_key.is_some(), SECRET_KEY, "the secret of the access key that Whereby is handed"),
        ] {
            if !found {
                reader.error(names[0], format!("is not set; name {purpose}, here or as {}", names[1]));
            }
        }
        let bucket = bucket.filter(|(variable, text)| is_bucket(reader, variable, text));
        let access_key = access_key.filter(|(variable, text)| is_real(reader, variable, text));
        let secret_key = secret_key.and_then(|(variable, _)| {
            reader
                .secret(variable, LEAST_SECRET_KEY, "aws iam create-access-key")
                .map(|secret| (variable, secret))
        });
        let region = either(reader, REGION).map_or_else(|| "us-east-1".to_owned(), |(_, region)| region);
        let (bucket, access_key, secret_key) = (bucket?, access_key?, secret_key?);
        Some(Self {
            bucket: bucket.1.trim_matches('/').to_owned(),
            region,
            access_key: access_key.1,
            secret_key: secret_key.1,
            key_variables: [access_key.0, secret_key.0],
        })
    }
}

fn is_bucket(reader: &mut Reader<'_>, variable: &str, text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !text.chars().all(is_name) || text.split('/').next().is_none_or(|bucket| bucket.len() < 3) {
        reader.error(
            variable,
            format!("{text:?} is no bucket's name; write it like recordings, or recordings/folder"),
        );
        return false;
    }
    is_real(reader, variable, text)
}

fn is_real(reader: &mut Reader<'_>, variable: &str, text: &str) -> bool {
    let is_real = !is_placeholder(text);
    if !is_real {
        reader.error(variable, "is still the placeholder of the guide");
    }
    is_real
}

fn logo(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let picture = reader.file(LOGO)?;
    if picture.starts_with(PNG) && picture.len() <= MAX_LOGO_BYTES {
        return Some(picture);
    }
    reader.error(
        LOGO,
        format!("names no PNG of at most {MAX_LOGO_BYTES} bytes; name one that is 400 pixels wide or more"),
    );
    None
}

#[cfg(test)]
mod tests;
