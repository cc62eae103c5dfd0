//! Reads S3's answers. Servers differ in namespaces, in the names of outermost elements and in what they leave out, so only what is
//! needed is looked at.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Listing, Object, Part, StorageError};

#[derive(Deserialize)]
struct Begun {
    #[serde(rename = "UploadId")]
    upload_id: String,
}

#[derive(Deserialize)]
struct PartList {
    #[serde(rename = "Part", default)]
    parts: Vec<ListedPart>,
    #[serde(rename = "IsTruncated", default)]
    is_truncated: String,
    #[serde(rename = "NextPartNumberMarker", default)]
    next: String,
}

#[derive(Deserialize)]
struct ListedPart {
    #[serde(rename = "PartNumber")]
    number: u16,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "ETag")]
    e_tag: String,
}

#[derive(Deserialize)]
struct ObjectList {
    #[serde(rename = "Contents", default)]
    objects: Vec<ListedObject>,
    #[serde(rename = "IsTruncated", default)]
    is_truncated: String,
    #[serde(rename = "EncodingType", default)]
    encoding: String,
}

#[derive(Deserialize)]
struct ListedObject {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "Size", default)]
    size: u64,
    #[serde(rename = "LastModified", default)]
    modified: String,
}

#[derive(Deserialize)]
struct Versioning {
    /// Left out for a bucket that never had versions.
    #[serde(rename = "Status", default)]
    status: String,
}

#[derive(Deserialize)]
struct Completed {
    #[serde(rename = "ETag")]
    _e_tag: String,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "Code")]
    code: String,
    #[serde(rename = "Message", default)]
    message: String,
}

/// The storage's name of an upload that has begun.
pub(super) fn upload_id(answer: &str) -> Result<String, StorageError> {
    let begun: Begun = read(answer)?;
    if begun.upload_id.is_empty() {
        Err(StorageError::unreadable("it names no upload"))
    } else {
        Ok(begun.upload_id)
    }
}

/// The page of parts that begins behind part `after`, and behind which part the next one begins.
pub(super) fn parts(answer: &str, after: Option<u16>) -> Result<(Vec<Part>, Option<u16>), StorageError> {
    let page: PartList = read(answer)?;
    let part = |part: ListedPart| Part { number: part.number, size: part.size, e_tag: part.e_tag };
    let next = match page.is_truncated.as_str() {
        "true" => {
            let next = page.next.parse().ok().filter(|next| Some(*next) > after);
            Some(next.ok_or_else(|| StorageError::unreadable("it does not say how it goes on"))?)
        }
        _ => None,
    };
    Ok((page.parts.into_iter().map(part).collect(), next))
}

/// The page of objects whose keys come after `after`.
pub(super) fn objects(answer: &str, after: &str) -> Result<Listing, StorageError> {
    let page: ObjectList = read(answer)?;
    let is_encoded = page.encoding == "url";
    let objects = page.objects.into_iter().map(|object| {
        Ok(Object {
            key: if is_encoded { decode(&object.key)? } else { object.key },
            size: object.size,
            modified_at: OffsetDateTime::parse(&object.modified, &Rfc3339).ok(),
        })
    });
    let objects = objects.collect::<Result<Vec<_>, StorageError>>()?;
    let has_more = page.is_truncated == "true";
    // What does not go on in order would never end.
    if objects.windows(2).any(|pair| pair[0].key >= pair[1].key)
        || objects.first().is_some_and(|first| first.key.as_str() <= after)
        || has_more && objects.is_empty()
    {
        return Err(StorageError::unreadable("its objects are not in the order of their keys"));
    }
    Ok(Listing { objects, has_more })
}

/// Whether a bucket makes versions of its objects.
pub(super) fn is_versioned(answer: &str) -> Result<bool, StorageError> {
    let versioning: Versioning = read(answer)?;
    Ok(versioning.status == "Enabled")
}

/// Keys are encoded as in forms: a blank is a plus.
fn decode(key: &str) -> Result<String, StorageError> {
    let blanks = key.replace('+', " ");
    percent_decode_str(&blanks).decode_utf8().map(Into::into).map_err(StorageError::unreadable)
}

/// Whether parts were put together. A refusal may come after the status 200 has been sent.
pub(super) fn completed(answer: &str) -> Result<(), StorageError> {
    if let Some(refusal) = refusal(200, answer) {
        return Err(refusal);
    }
    read::<Completed>(answer).map(drop)
}

/// The refusal that an answer holds, if it holds one.
pub(super) fn refusal(status: u16, answer: &str) -> Option<StorageError> {
    let Refusal { code, message } = read(answer).ok()?;
    Some(StorageError::Refused { status, code, message })
}

fn read<T: DeserializeOwned>(answer: &str) -> Result<T, StorageError> {
    quick_xml::de::from_str(answer).map_err(StorageError::unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;

    #[test]
    fn what_differs_from_server_to_server_does_not_matter() {
        let expected = vec![
            Part { number: 2, size: 10_485_760, e_tag: "\"7778aef83f66abc1fa1e8477f296d394\"".to_owned() },
            Part { number: 3, size: 5, e_tag: "\"aaaa18db4cc2f85cedef654fccc4a4x8\"".to_owned() },
        ];
        let listed = "<PartNumber>2</PartNumber><LastModified>2010-11-10T20:48:34.000Z</LastModified>\
                      <ETag>\"7778aef83f66abc1fa1e8477f296d394\"</ETag><Size>10485760</Size>";
        let last = "<ETag>&quot;aaaa18db4cc2f85cedef654fccc4a4x8&quot;</ETag><Size>5</Size><PartNumber>3</PartNumber>";
        let aws = format!(
            "{HEAD}\n<ListPartsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>b</Bucket><Key>k</Key>\
             <UploadId>u</UploadId><Owner><ID>1</ID><DisplayName>o</DisplayName></Owner><StorageClass>STANDARD</StorageClass>\
             <PartNumberMarker>1</PartNumberMarker><NextPartNumberMarker>3</NextPartNumberMarker><MaxParts>2</MaxParts>\
             <IsTruncated>true</IsTruncated><Part>{listed}</Part><Part>{last}</Part></ListPartsResult>"
        );
        assert_eq!(parts(&aws, None).unwrap(), (expected.clone(), Some(3)));
        assert_eq!(parts(&aws, Some(2)).unwrap().1, Some(3));
        parts(&aws, Some(3)).expect_err("it would never end");
        let other = format!(
            "<ListPartsResponse><Part>{listed}</Part><Part>{last}</Part><NextPartNumberMarker/>\
             <IsTruncated>false</IsTruncated></ListPartsResponse>"
        );
        assert_eq!(parts(&other, None).unwrap(), (expected, None));
        assert_eq!(parts("<ListPartsResult/>", None).unwrap(), (vec![], None));
        parts("<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>", None).unwrap_err();
    }

    #[test]
    fn objects_are_listed_in_the_order_of_their_keys() {
        let listed = |keys: &[&str], more: bool| {
            let entry = |key| {
                format!(
                    "<Contents><Key>{key}</Key><LastModified>2026-03-01T10:30:02.000Z</LastModified><Size>5</Size></Contents>"
                )
            };
            let entries: String = keys.iter().map(entry).collect();
            format!(
                "{HEAD}<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><EncodingType>url</EncodingType>\
                 <IsTruncated>{more}</IsTruncated>{entries}</ListBucketResult>"
            )
        };
        let page = objects(&listed(&["a+b%2Bc", "r-10%3A02.mp4"], true), "a").unwrap();
        let keys: Vec<_> = page.objects.iter().map(|object| (object.key.as_str(), object.size)).collect();
        assert_eq!((keys, page.has_more), (vec![("a b+c", 5), ("r-10:02.mp4", 5)], true));
        assert!(page.objects[0].modified_at.is_some());
        assert_eq!(objects(&listed(&[], false), "a").unwrap(), Listing { objects: vec![], has_more: false });
        for (keys, more) in [(&["b", "a"][..], false), (&["a", "b"], false), (&[], true), (&["%FF"], false)] {
            objects(&listed(keys, more), "a").unwrap_err();
        }
    }

    #[test]
    fn a_bucket_makes_versions_when_it_says_so() {
        for (inside, expected) in [
            ("<Status>Enabled</Status><MfaDelete>Disabled</MfaDelete>", true),
            ("<Status>Suspended</Status>", false),
            ("", false),
        ] {
            let answer = format!("{HEAD}<VersioningConfiguration>{inside}</VersioningConfiguration>");
            assert_eq!(is_versioned(&answer).unwrap(), expected, "{answer}");
        }
    }

    #[test]
    fn an_upload_has_a_name() {
        for (answer, expected) in [
            (
                "<InitiateMultipartUploadResult><Bucket>b</Bucket><UploadId>u</UploadId></InitiateMultipartUploadResult>",
                Some("u"),
            ),
            ("<InitiateMultipartUploadResult><UploadId/></InitiateMultipartUploadResult>", None),
            ("<html></html>", None),
            ("", None),
        ] {
            assert_eq!(upload_id(answer).ok().as_deref(), expected, "{answer}");
        }
    }

    #[test]
    fn a_completion_may_be_refused_after_its_status() {
        let done = format!(
            "{HEAD}<CompleteMultipartUploadResult><Location>l</Location><ETag>\"3858\"</ETag></CompleteMultipartUploadResult>"
        );
        completed(&done).unwrap();
        let refused = format!(
            "{HEAD}<Error><Code>InternalError</Code><Message>We encountered an error.</Message></Error>"
        );
        assert!(completed(&refused).unwrap_err().is_code("InternalError"));
        completed("<html></html>").unwrap_err();
    }

    #[test]
    fn a_refusal_is_read_from_its_body() {
        let body = format!(
            "{HEAD}\n<Error><Code>NoSuchKey</Code><Message>The key</Message><Key>k</Key><RequestId>44</RequestId><HostId/></Error>"
        );
        assert_eq!(refusal(404, &body).unwrap().to_string(), "the storage answered 404 NoSuchKey: The key");
        assert_eq!(
            refusal(403, "<Error><Code>A</Code></Error>").unwrap().to_string(),
            "the storage answered 403 A: "
        );
        for body in ["", "<html></html>", "{}", "<Error></Error>"] {
            assert!(refusal(500, body).is_none(), "{body}");
        }
    }
}
