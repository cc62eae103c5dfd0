//! Reads S3's answers. Servers differ in namespaces, in the names of outermost elements and in what they leave out, so only what is
//! needed is looked at.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Part, StorageError};

#[derive(Deserialize)]
struct Begun {
    #[serde(rename = "UploadId")]
    upload_id: String,
}

#[derive(Deserialize)]
struct Listing {
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
    let page: Listing = read(answer)?;
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
