use std::io;
use std::path::Path;

use super::*;
use crate::config::{Config, Finding, Severity, Surroundings};

const COMPLETE: &[(&str, &str)] = &[
    (BACKEND, "aws"),
    (BUCKET, "recordings"),
    (ACCESS_KEY, "AKIAEXAMPLE"),
    (SECRET_KEY, "9f8e7d6c5b4a39281706f5e4d3c2b1a0"),
];

fn read(variables: &[(&str, &str)]) -> Result<(Option<Storage>, Vec<Finding>), Vec<Finding>> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let read_file = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
    let (config, warnings) =
        Config::read(&variables, &Surroundings { read_file: &read_file, is_root: false })?;
    Ok((config.storage, warnings))
}

fn storage(changes: &[(&str, &str)]) -> Storage {
    read(&[COMPLETE, changes].concat()).unwrap().0.unwrap()
}

#[test]
fn aws_is_reached_at_its_own_address_and_other_servers_at_theirs() {
    for (changes, endpoint, public, path_style) in [
        (vec![], "https://s3.us-east-1.amazonaws.com/", "https://s3.us-east-1.amazonaws.com/", false),
        (
            vec![(REGION, "eu-central-1")],
            "https://s3.eu-central-1.amazonaws.com/",
            "https://s3.eu-central-1.amazonaws.com/",
            false,
        ),
        (
            vec![(BUCKET, "our.recordings")],
            "https://s3.us-east-1.amazonaws.com/",
            "https://s3.us-east-1.amazonaws.com/",
            true,
        ),
        (vec![(ENDPOINT, "http://minio:9000")], "http://minio:9000/", "http://minio:9000/", true),
        (
            vec![
                (ENDPOINT, "http://minio:9000"),
                (PUBLIC_ENDPOINT, "https://s3.example.com"),
                (PATH_STYLE, "false"),
            ],
            "http://minio:9000/",
            "https://s3.example.com/",
            false,
        ),
    ] {
        let storage = storage(&changes);
        let found = (storage.endpoint.as_str(), storage.public_endpoint.as_str(), storage.path_style);
        assert_eq!(found, (endpoint, public, path_style), "{changes:?}");
    }
}

#[test]
fn lifetimes_and_sizes_have_defaults() {
    let found = storage(&[(PREFIX, "/a/b/")]);
    assert_eq!(found.prefix, "a/b");
    assert_eq!((found.upload_lifetime.as_secs(), found.download_lifetime.as_secs()), (900, 3600));
    assert_eq!((found.part_bytes, found.abandoned_after.as_secs()), (16 * 1024 * 1024, 7 * 86_400));
    assert_eq!(storage(&[]).prefix, "jitsi");
}

#[test]
fn everything_that_is_wrong_with_the_storage_is_found_at_once() {
    let findings = read(&[
        (BACKEND, "aws"),
        (BUCKET, "Recordings"),
        (SECRET_KEY, "hunter2"),
        (ENDPOINT, "https://me:hunter2@s3.example.com"),
        (PUBLIC_ENDPOINT, "s3.example.com"),
        (PATH_STYLE, "perhaps"),
        (PREFIX, "../other"),
        ("RECORDING_UPLOAD_PART_BYTES", "1"),
        ("RECORDING_UPLOAD_URL_SECONDS", "1"),
        ("RECORDING_DOWNLOAD_URL_SECONDS", "900000"),
        ("RECORDING_UPLOAD_ABANDONED_DAYS", "0"),
        (ENCRYPTION, "rot13"),
        (RETENTION, "0"),
    ])
    .unwrap_err();
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let mut errors: Vec<_> = errors.map(|finding| finding.variable.as_str()).collect();
    errors.sort_unstable();
    let mut expected = [
        ACCESS_KEY,
        BUCKET,
        ENDPOINT,
        PUBLIC_ENDPOINT,
        PATH_STYLE,
        PREFIX,
        SECRET_KEY,
        "RECORDING_DOWNLOAD_URL_SECONDS",
        "RECORDING_UPLOAD_ABANDONED_DAYS",
        ENCRYPTION,
        RETENTION,
        "RECORDING_UPLOAD_PART_BYTES",
        "RECORDING_UPLOAD_URL_SECONDS",
    ];
    expected.sort_unstable();
    assert_eq!(errors, expected);
    let text = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn without_a_backend_there_is_no_storage_and_a_forgotten_one_is_noticed() {
    assert_eq!(read(&[]).unwrap().0, None);
    let (storage, warnings) = read(&COMPLETE[1..]).unwrap();
    assert_eq!(storage, None);
    assert!(warnings.iter().any(
        |warning| warning.variable == BUCKET && warning.message.contains("RECORDING_STORAGE_BACKEND=aws")
    ));
    let findings = read(&[(BACKEND, "local")]).unwrap_err();
    assert!(
        findings.iter().any(|finding| finding.variable == BACKEND && finding.severity == Severity::Error)
    );
}

#[test]
fn encryption_and_retention_are_off_unless_they_are_asked_for() {
    let found = storage(&[]);
    assert_eq!((found.encryption, found.retention), (None, None));
    let header = "x-amz-server-side-encryption";
    for (changes, expected) in [
        (vec![(ENCRYPTION, "AES256")], vec![(header, "AES256")]),
        (vec![(ENCRYPTION, "aws:kms")], vec![(header, "aws:kms")]),
        (
            vec![(ENCRYPTION, "aws:kms"), (KMS_KEY, "alias/recordings")],
            vec![(header, "aws:kms"), ("x-amz-server-side-encryption-aws-kms-key-id", "alias/recordings")],
        ),
    ] {
        assert_eq!(storage(&changes).encryption.unwrap().headers(), expected);
    }
    assert_eq!(storage(&[(RETENTION, "30")]).retention.unwrap().as_secs(), 30 * 86_400);
    for wrong in [vec![(KMS_KEY, "k")], vec![(ENCRYPTION, "AES256"), (KMS_KEY, "k")]] {
        let findings = read(&[COMPLETE, &wrong].concat()).unwrap_err();
        assert!(findings.iter().any(|finding| finding.variable == KMS_KEY), "{wrong:?}");
    }
}

/// What the Whereby guide has set.
const GUIDE: &[(&str, &str)] = &[
    ("AWS_WHEREBY_ACCESS_KEY_ID", "AKIAWHEREBY"),
    ("AWS_WHEREBY_ACCESS_KEY_SECRET", "00112233445566778899aabbccddeeff"),
    (BUCKET, "whereby"),
];

#[test]
fn without_a_backend_the_storage_is_whereby_s_bucket_read_with_whereby_s_key() {
    for (changes, bucket, endpoint, key) in [
        (vec![], "whereby", "https://s3.us-east-1.amazonaws.com/", "AKIAWHEREBY"),
        (
            vec![(BUCKET, "whereby/folder/deep")],
            "whereby",
            "https://s3.us-east-1.amazonaws.com/",
            "AKIAWHEREBY",
        ),
        (vec![(REGION, "eu-north-1")], "whereby", "https://s3.eu-north-1.amazonaws.com/", "AKIAWHEREBY"),
        (vec![(ENDPOINT, "http://minio:9000")], "whereby", "http://minio:9000/", "AKIAWHEREBY"),
        (
            vec![
                ("WHEREBY_STORAGE_AWS_BUCKET_NAME", "newer"),
                ("WHEREBY_STORAGE_AWS_REGION", "eu-west-3"),
                ("WHEREBY_STORAGE_AWS_ACCESS_KEY_ID", "AKIANEWER"),
            ],
            "newer",
            "https://s3.eu-west-3.amazonaws.com/",
            "AKIANEWER",
        ),
    ] {
        let found = read(&[GUIDE, &changes].concat()).unwrap().0.unwrap();
        assert!(!found.takes_uploads);
        let seen = (found.bucket.as_str(), found.endpoint.as_str(), found.access_key.as_str());
        assert_eq!(seen, (bucket, endpoint, key), "{changes:?}");
        assert_eq!(found.path_style, endpoint.starts_with("http:"));
        let names = if key == "AKIANEWER" { "WHEREBY_STORAGE_AWS_ACCESS_KEY_ID" } else { GUIDE[0].0 };
        assert_eq!(found.key_variables, [names, GUIDE[1].0]);
    }
    let own = read(&[GUIDE, COMPLETE].concat()).unwrap().0.unwrap();
    assert!(own.takes_uploads, "what is set for this service's own recordings counts");
    assert_eq!((own.bucket.as_str(), own.access_key.as_str()), ("recordings", "AKIAEXAMPLE"));
    let findings = read(&[GUIDE, &[("WHEREBY_STORAGE_AWS_REGION", "Paris")]].concat()).unwrap_err();
    assert!(findings.iter().any(|finding| finding.variable == "WHEREBY_STORAGE_AWS_REGION"), "{findings:?}");
    let findings = read(&GUIDE[1..]).unwrap_err();
    assert!(findings.iter().all(|finding| !finding.message.contains(BACKEND)), "{findings:?}");
}

#[test]
fn what_is_used_without_a_backend_is_not_called_unused() {
    let unused = |variables: &[(&str, &str)]| {
        let warnings = read(variables).unwrap().1;
        let found = warnings.iter().find(|warning| warning.message.contains(BACKEND));
        found.map(|warning| warning.variable.clone())
    };
    let queue = ("AWS_PROCESS_RECORDING_QUEUE_URL", "http://localhost:9324/1/q");
    for (variables, expected) in [
        (vec![(ACCESS_KEY, "AKIAEXAMPLE")], Some(ACCESS_KEY)),
        (vec![(ACCESS_KEY, "AKIAEXAMPLE"), COMPLETE[3], queue], None),
        (vec![(RETENTION, "30")], Some(RETENTION)),
        (vec![(ENCRYPTION, "AES256")], Some(ENCRYPTION)),
        (GUIDE.to_vec(), None),
        ([GUIDE, &[(RETENTION, "30"), (ENDPOINT, "http://minio:9000")]].concat(), None),
        ([GUIDE, &[(ENCRYPTION, "AES256")]].concat(), Some(ENCRYPTION)),
        ([GUIDE, &[(ACCESS_KEY, "AKIAEXAMPLE")]].concat(), Some(ACCESS_KEY)),
        ([GUIDE, &[("WHEREBY_STORAGE_AWS_BUCKET_NAME", "newer")]].concat(), Some(BUCKET)),
    ] {
        assert_eq!(unused(&variables).as_deref(), expected, "{variables:?}");
    }
}
