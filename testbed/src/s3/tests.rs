use std::time::Duration;

use rusty_s3::actions::{CompleteMultipartUpload, CreateMultipartUpload, ListParts};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use tempfile::TempDir;

use super::*;

const LIFETIME: Duration = Duration::from_mins(1);
const MIB: usize = 1024 * 1024;

struct Scene {
    server: S3,
    client: ureq::Agent,
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = S3::start(directory.path()).unwrap();
        let client = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self { server, client: client.into(), directory }
    }

    fn bucket(&self) -> Bucket {
        Bucket::new(self.server.url().parse().unwrap(), UrlStyle::Path, BUCKET, "us-east-1").unwrap()
    }

    fn keys(&self) -> Credentials {
        let keys = self.server.keys();
        Credentials::new(&keys.access_key, &keys.secret_key)
    }

    fn put(&self, url: &str, body: &[u8]) -> (u16, String) {
        text(self.client.put(url).send(body).unwrap())
    }

    fn get(&self, url: &str) -> (u16, String) {
        text(self.client.get(url).call().unwrap())
    }

    fn begin(&self, key: &str) -> String {
        let (bucket, keys) = (self.bucket(), self.keys());
        let url = CreateMultipartUpload::new(&bucket, Some(&keys), key).sign(LIFETIME);
        let (status, body) = text(self.client.post(url.as_str()).send_empty().unwrap());
        assert_eq!(status, 200, "{body}");
        CreateMultipartUpload::parse_response(&body).unwrap().upload_id().to_owned()
    }

    fn part(&self, key: &str, upload: &str, number: u16, body: &[u8]) -> u16 {
        let (bucket, keys) = (self.bucket(), self.keys());
        let url = bucket.upload_part(Some(&keys), key, number, upload).sign(LIFETIME);
        self.put(url.as_str(), body).0
    }

    /// Number, size and `ETag` of each part, three at a time.
    fn parts(&self, key: &str, upload: &str) -> Vec<(u16, u64, String)> {
        let (bucket, keys) = (self.bucket(), self.keys());
        let (mut parts, mut after) = (Vec::new(), Some(0));
        while let Some(marker) = after {
            let mut action = ListParts::new(&bucket, Some(&keys), key, upload);
            action.set_max_parts(3);
            action.set_part_number_marker(marker);
            let (status, body) = self.get(action.sign(LIFETIME).as_str());
            assert_eq!(status, 200, "{body}");
            let page = ListParts::parse_response(&body).unwrap();
            parts.extend(page.parts.into_iter().map(|part| (part.number, part.size, part.etag)));
            after = page.next_part_number_marker;
        }
        parts
    }

    fn complete(&self, key: &str, upload: &str, tags: &[&str]) -> (u16, String) {
        let (bucket, keys) = (self.bucket(), self.keys());
        let tags = tags.iter().copied();
        let action = CompleteMultipartUpload::new(&bucket, Some(&keys), key, upload, tags);
        let url = action.sign(LIFETIME);
        text(self.client.post(url.as_str()).send(action.body()).unwrap())
    }
}

fn text(mut answer: ureq::http::Response<ureq::Body>) -> (u16, String) {
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

#[test]
fn what_was_put_is_got_and_only_with_a_signature_that_is_good() {
    let scene = Scene::new();
    let (bucket, keys, key) = (scene.bucket(), scene.keys(), "a room/é+%.mp4");
    assert_eq!(scene.put(bucket.put_object(Some(&keys), key).sign(LIFETIME).as_str(), b"hello").0, 200);
    assert_eq!(fs::read(scene.server.object(key)).unwrap(), b"hello");
    let url = bucket.get_object(Some(&keys), key).sign(LIFETIME);
    assert_eq!(scene.get(url.as_str()), (200, "hello".to_owned()));

    let wrong = Credentials::new(keys.key(), "another secret");
    let unknown = Credentials::new("nobody", keys.secret());
    for (what, url, reason) in [
        ("wrong secret", bucket.get_object(Some(&wrong), key).sign(LIFETIME), "SignatureDoesNotMatch"),
        ("wrong key", bucket.get_object(Some(&unknown), key).sign(LIFETIME), ""),
        ("none", bucket.get_object(None, key).sign(LIFETIME), "AccessDenied"),
        ("another object", url.as_str().replace("mp4", "mp3").parse().unwrap(), "SignatureDoesNotMatch"),
        ("expired", bucket.get_object(Some(&keys), key).sign(Duration::ZERO), "AccessDenied"),
    ] {
        let (status, body) = scene.get(url.as_str());
        assert!(status == 403 && body.contains(reason), "{what}: {status} {body}");
    }
}

#[test]
fn an_upload_goes_on_after_the_server_was_started_again() {
    let mut scene = Scene::new();
    let key = "room/session/file.mp4";
    let upload = scene.begin(key);
    let (first, last) = (vec![1; 5 * MIB], vec![2; 10]);
    assert_eq!(scene.part(key, &upload, 2, &last), 200);
    let (keys, directory) = (scene.server.keys().clone(), scene.directory.path().to_owned());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    scene.server = S3::start_with(address, &directory, keys).unwrap();
    // The same part twice counts once.
    assert_eq!(scene.part(key, &upload, 1, b"something else"), 200);
    assert_eq!(scene.part(key, &upload, 1, &first), 200);
    let parts = scene.parts(key, &upload);
    assert_eq!(parts.iter().map(|part| (part.0, part.1)).collect::<Vec<_>>(), [(1, 5 * MIB as u64), (2, 10)]);
    let tags: Vec<_> = parts.iter().map(|part| part.2.as_str()).collect();
    assert_eq!(scene.complete(key, &upload, &tags).0, 200);
    assert_eq!(fs::read(scene.server.object(key)).unwrap(), [first, last].concat());
    assert_eq!(scene.server.open_uploads().unwrap(), 0);
    let (status, body) = scene.complete(key, &upload, &tags);
    assert!(status == 404 && body.contains("NoSuchUpload"), "{body}");
}

#[test]
fn a_completion_is_refused_as_aws_does() {
    let scene = Scene::new();
    let upload = scene.begin("k");
    for number in 1..=4 {
        assert_eq!(scene.part("k", &upload, number, b"short"), 200);
    }
    let parts = scene.parts("k", &upload);
    assert_eq!(parts.len(), 4, "in two pages");
    let tag = parts[0].2.as_str();
    for (tags, reason) in
        [(vec![tag, tag], "EntityTooSmall"), (vec!["\"0\""], "InvalidPart"), (vec![], "MalformedXML")]
    {
        let (status, body) = scene.complete("k", &upload, &tags);
        assert!(status == 400 && body.contains(reason), "{status} {body}");
    }
    assert_eq!(scene.complete("k", &upload, &[tag]).0, 200);
    assert_eq!(fs::read(scene.server.object("k")).unwrap(), b"short");
}
