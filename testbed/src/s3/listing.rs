//! Lists a bucket: its files in the order of their keys' bytes.

use std::io;
use std::path::Path;

use s3s::dto::{EncodingType, ListObjectsV2Input, ListObjectsV2Output, Object};

/// The most that a page has, as at AWS.
const MAX_KEYS: usize = 1000;

/// A page of the bucket in `directory`.
pub(super) fn page(directory: &Path, input: &ListObjectsV2Input) -> io::Result<ListObjectsV2Output> {
    let mut keys = Vec::new();
    collect(directory, "", &mut keys)?;
    keys.sort_unstable();
    let after = input.start_after.clone().unwrap_or_default();
    let limit =
        input.max_keys.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_KEYS).min(MAX_KEYS);
    let mut rest = keys.into_iter().filter(|key| *key > after);
    let page: Vec<String> = rest.by_ref().take(limit).collect();
    let is_encoded =
        input.encoding_type.as_ref().is_some_and(|encoding| encoding.as_str() == EncodingType::URL);
    let object = |key: String| {
        let metadata = directory.join(&key).metadata()?;
        Ok(Object {
            key: Some(if is_encoded { encode(&key) } else { key }),
            size: i64::try_from(metadata.len()).ok(),
            last_modified: metadata.modified().ok().map(Into::into),
            ..Object::default()
        })
    };
    Ok(ListObjectsV2Output {
        is_truncated: Some(rest.next().is_some()),
        contents: Some(page.into_iter().map(object).collect::<io::Result<_>>()?),
        encoding_type: input.encoding_type.clone(),
        ..ListObjectsV2Output::default()
    })
}

fn collect(directory: &Path, prefix: &str, keys: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{key}/"), keys)?;
        } else {
            keys.push(key);
        }
    }
    Ok(())
}

/// As forms are, but for slashes, which AWS leaves.
fn encode(key: &str) -> String {
    let encoded = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        b'/' | b'-' | b'_' | b'.' | b'*' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    key.bytes().map(encoded).collect()
}
