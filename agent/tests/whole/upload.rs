//! Uploads against an API and a storage that fail on demand.

mod depot;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use agent::delivery::backoff::Backoff;
use agent::http::Client;
use agent::outbox::fact::{DRAIN, Fact};
use agent::outbox::log::{Choice, DeliveryLog};
use agent::outbox::model::{Kind, NewItem};
use agent::outbox::released::Held;
use agent::outbox::uploads::{FileIdentity, NewRecording, UploadEntry, UploadState};
use agent::outbox::{Outbox, Reader, Writer};
use agent::secret::SharedSecret;
use agent::upload::{Route, Uploads};
use agent::watch::Stop;
use contract::id::{EventId, hex};
use contract::problem::ProblemCode;
use contract::signature::Secrets;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use self::depot::{Depot, Fault, PART};
use crate::support::{config, deliveries, eventually};

/// A host with an outbox and an upload loop.
struct Host {
    directory: TempDir,
    depot: Depot,
    secret: SharedSecret,
    more: String,
    patience: Duration,
    running: Option<(Writer, Stop, JoinHandle<()>)>,
}

impl Host {
    fn start() -> Self {
        Self::start_with("")
    }

    /// A host that gives up at the second look.
    fn start_impatient() -> Self {
        let mut host = Self::start();
        host.halt();
        host.patience = Duration::from_millis(1);
        host.run();
        host
    }

    /// A host with `more` in its configuration.
    fn start_with(more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let secret = SharedSecret::new(config(directory.path(), "").secret);
        let depot = Depot::start();
        let patience = contract::verdict::MEETING_PATIENCE;
        let mut host = Self { directory, depot, secret, more: more.to_owned(), patience, running: None };
        host.run();
        host
    }

    fn run(&mut self) {
        let mut config = config(self.directory.path(), &self.more);
        config.api.url = format!("http://{}", self.depot.address);
        let directory = &config.outbox.directory;
        let (writer, _) = Outbox::open(directory, config.outbox.limits()).unwrap();
        let stop = Stop::new().unwrap();
        let route = Route {
            http: Client::new(&config.api, &config.proxies, config.upload.parallel_parts),
            api_url: config.api.url.clone(),
            timeout: Duration::from_secs(20),
            secret: self.secret.clone(),
            backoff: Backoff { min: Duration::from_millis(20), max: Duration::from_millis(100) },
            patience: self.patience,
        };
        let reader = Reader::open(directory).unwrap();
        let uploads = Uploads::new(&config.upload, writer.outbox(), reader, route, stop.clone());
        let thread = std::thread::spawn(|| uploads.run());
        self.running = Some((writer, stop, thread));
    }

    fn halt(&mut self) {
        if let Some((writer, stop, thread)) = self.running.take() {
            stop.give();
            thread.join().unwrap();
            writer.close();
        }
    }

    fn outbox(&self) -> Outbox {
        self.running.as_ref().unwrap().0.outbox().uploading()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A finished recording of so many bytes, queued. Returns its content.
    fn record(&self, name: &str, length: u64) -> Vec<u8> {
        let content: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        fs::write(self.path(name), &content).unwrap();
        self.outbox().queue_recording(&finished(&self.path(name), name, &content)).unwrap();
        content
    }

    fn log(&self) -> DeliveryLog {
        DeliveryLog::open(&self.path("outbox")).unwrap()
    }

    fn held(&self, name: &str) -> Option<Held> {
        self.log().held(&id_of(name)).unwrap()
    }

    fn upload(&self, name: &str) -> UploadEntry {
        let id = id_of(name);
        self.log().uploads(100).unwrap().into_iter().find(|upload| upload.id == id).unwrap()
    }

    /// The upload once it is in this state.
    fn upload_in(&self, name: &str, state: UploadState) -> UploadEntry {
        eventually(&format!("{name} {state:?}"), || {
            Some(self.upload(name)).filter(|upload| upload.state == state)
        })
    }

    /// The recording's notice, if it was queued.
    fn notice(&self, name: &str) -> Option<Value> {
        let id = id_of(name);
        let notices: Vec<Value> = deliveries(&self.path("outbox"))
            .iter()
            .filter(|delivery| delivery.id == id)
            .map(|delivery| serde_json::from_slice(&delivery.body).unwrap())
            .collect();
        assert!(notices.len() <= 1, "{notices:?}");
        notices.into_iter().next()
    }

    /// What the storage has of a verified recording.
    fn object(&self, name: &str) -> Vec<u8> {
        let (bucket, key) = self.upload(name).object.unwrap();
        assert_eq!(bucket, "bucket");
        self.depot.state().objects[&key].clone()
    }

    /// Asserts that the recording was uploaded and reported with its object.
    fn assert_uploaded(&self, name: &str, content: &[u8]) {
        let upload = self.upload_in(name, UploadState::Verified);
        assert!(self.object(name) == content, "{name}: the object is another one");
        assert_eq!((upload.sent_bytes, upload.size_bytes), (content.len() as u64, content.len() as u64));
        let notice = self.notice(name).unwrap();
        assert_eq!(notice["bucket"], "bucket");
        assert_eq!(notice["object_key"], upload.object.unwrap().1);
        assert_eq!(notice["sha256"], hex(&Sha256::digest(content)));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.halt();
    }
}

fn id_of(name: &str) -> String {
    format!("evt_{name}")
}

/// A recording as the recordings source hands it over.
fn finished(path: &Path, name: &str, content: &[u8]) -> NewRecording {
    let sha256 = hex(&Sha256::digest(content));
    let notice = json!({
        "id": id_of(name), "room_name": "r", "recording_file": path, "recording_status": "completed",
        "timestamp": "2026-01-31T10:30:00.000Z", "session_id": "s", "host": "h", "size_bytes": content.len(),
        "sha256": sha256,
    });
    NewRecording {
        notice: NewItem {
            id: EventId::parse(id_of(name)).unwrap(),
            room: "r".into(),
            kind: Kind::Recording,
            body: notice.to_string().into_bytes(),
            offset: 0,
            parked: None,
        },
        path: path.to_owned(),
        file: FileIdentity::of(&fs::metadata(path).unwrap()),
        sha256,
    }
}

/// True for the first `count` calls.
fn first(count: usize) -> impl FnMut() -> bool + Send {
    let mut left = count;
    move || {
        let now = left > 0;
        left = left.saturating_sub(1);
        now
    }
}

#[test]
fn a_recording_is_reported_with_its_object_once_the_api_has_verified_it() {
    let host = Host::start();
    host.depot.state().verify_slowly = 2;
    for (name, length) in [("empty", 0), ("small", 1), ("even", 2 * PART), ("odd", 7 * PART + 1)] {
        let content = host.record(name, length);
        host.assert_uploaded(name, &content);
    }
    let confirmed = Reader::open(&host.path("outbox")).unwrap().confirmed_recordings().unwrap();
    assert_eq!(confirmed.len(), 4);
    let odd = confirmed.iter().find(|recording| recording.id == id_of("odd")).unwrap();
    assert_eq!(odd.file, FileIdentity::of(&fs::metadata(host.path("odd")).unwrap()));
    assert!(!odd.notice_is_settled && odd.verified_at > 0);
    assert_eq!(host.held("odd"), Some(Held::Nobody));
}

#[test]
fn a_recording_that_the_api_does_not_want_is_reported_with_its_path_alone() {
    let host = Host::start();
    host.depot.state().keep = true;
    host.record("a", 5);
    let upload = host.upload_in("a", UploadState::Kept);
    assert_eq!(upload.note.as_deref(), Some("local"));
    let notice = host.notice("a").unwrap();
    assert!(notice.get("bucket").is_none() && notice.get("upload_note").is_none(), "{notice}");
    assert_eq!(host.depot.count("PUT", "/storage"), 0);
    assert_eq!(host.held("a"), Some(Held::Nobody), "the meeting's settings say so");
}

#[test]
fn what_is_left_when_uploads_are_turned_off_is_reported_as_it_is() {
    let mut host = Host::start();
    host.depot.pull(|_, _| Some(Fault::Answer(500, String::new())));
    host.record("a", 5);
    eventually("a failure", || host.upload("a").note);
    assert_eq!(host.held("a"), Some(Held::Upload));
    host.halt();
    host.more = "[upload]\nenabled = false\n".into();
    host.run();
    host.upload_in("a", UploadState::Kept);
    assert!(host.notice("a").is_some());
    assert_eq!(host.held("a"), Some(Held::Nobody));
}

#[test]
fn an_address_that_has_expired_is_replaced() {
    let host = Host::start();
    let (mut expired, mut early) = (first(6), first(3));
    host.depot.pull(move |method, _| {
        let refusal = || Fault::Answer(403, "<Error><Code>AccessDenied</Code></Error>".into());
        (method == "PUT" && expired()).then(|| if early() { Fault::Early(403) } else { refusal() })
    });
    let content = host.record("a", 5 * PART);
    host.assert_uploaded("a", &content);
    assert_eq!(host.depot.count("PUT", "/storage"), 11);
}

#[test]
fn a_storage_that_fails_and_connections_that_break_are_tried_again() {
    let host = Host::start();
    let count = AtomicUsize::new(0);
    host.depot.pull(move |method, _| {
        let number = if method == "PUT" { count.fetch_add(1, Ordering::Relaxed) } else { 99 };
        match number {
            0 | 5 => Some(Fault::Reset),
            1 | 6 => Some(Fault::Answer(503, "<Error><Code>SlowDown</Code></Error>".into())),
            2 => Some(Fault::Answer(500, "<Error><Code>InternalError</Code></Error>".into())),
            _ => None,
        }
    });
    let content = host.record("a", 6 * PART + 7);
    host.assert_uploaded("a", &content);
}

#[test]
fn an_upload_goes_on_where_it_was_stopped() {
    let mut host = Host::start();
    host.depot.pull({
        let mut through = first(4);
        move |method, _| (method == "PUT" && !through()).then(|| Fault::Answer(503, String::new()))
    });
    let content = host.record("a", 12 * PART);
    eventually("four parts", || Some(()).filter(|()| host.upload("a").sent_bytes == 4 * PART));
    host.halt();
    host.depot.pull(|_, _| None);
    host.depot.state().requests.clear();
    host.run();
    host.assert_uploaded("a", &content);
    assert_eq!(host.depot.count("PUT", "/storage"), 8, "what is stored is not sent again");
}

#[test]
fn a_file_that_was_removed_or_became_another_is_reported_with_the_reason() {
    let host = Host::start_impatient();
    host.depot.pull(|_, _| Some(Fault::Answer(500, String::new())));
    for name in ["gone", "cut", "replaced"] {
        host.record(name, 3 * PART);
    }
    fs::remove_file(host.path("gone")).unwrap();
    fs::write(host.path("cut"), b"short").unwrap();
    fs::write(host.path("other"), vec![1; 3 * usize::try_from(PART).unwrap()]).unwrap();
    fs::rename(host.path("other"), host.path("replaced")).unwrap();
    host.depot.pull(|_, _| None);
    for (name, reason) in [("gone", "removed"), ("cut", "changed"), ("replaced", "changed")] {
        host.upload_in(name, UploadState::GivenUp);
        let notice = host.notice(name).unwrap();
        assert!(notice["upload_note"].as_str().unwrap().contains(reason), "{notice}");
        assert!(notice.get("bucket").is_none());
        assert_eq!(notice["size_bytes"], 3 * PART);
        assert_eq!(host.held(name), Some(Held::Person), "what is left of it may be the only copy");
    }
    assert_eq!(host.depot.count("DELETE", "/v1/recordings/uploads/"), 3);
}

#[test]
fn a_file_that_is_not_there_for_a_while_is_waited_for() {
    let host = Host::start();
    host.depot.pull(|_, _| Some(Fault::Answer(500, String::new())));
    let content = host.record("a", 3 * PART);
    fs::rename(host.path("a"), host.path("elsewhere")).unwrap();
    host.depot.pull(|_, _| None);
    eventually("three looks", || {
        Some(host.upload("a"))
            .filter(|upload| upload.attempts >= 3 && upload.note.as_deref() == Some("the file is not there"))
    });
    assert!(host.notice("a").is_none());
    fs::rename(host.path("elsewhere"), host.path("a")).unwrap();
    host.assert_uploaded("a", &content);
}

#[test]
fn what_the_storage_has_already_needs_no_file_any_more() {
    let host = Host::start_impatient();
    host.depot.pull(|_, path| path.ends_with("/complete").then(|| Fault::Answer(503, String::new())));
    for name in ["gone", "replaced"] {
        let content = host.record(name, 3 * PART);
        eventually("a completion", || {
            let sent = host.upload(name).sent_bytes == content.len() as u64;
            (sent && host.depot.count("POST", &format!("/v1/recordings/uploads/upl_{name}/complete")) > 0)
                .then_some(())
        });
    }
    fs::remove_file(host.path("gone")).unwrap();
    fs::write(host.path("other"), b"another").unwrap();
    fs::rename(host.path("other"), host.path("replaced")).unwrap();
    host.depot.pull(|_, _| None);
    for name in ["gone", "replaced"] {
        host.upload_in(name, UploadState::Verified);
    }
    assert_eq!(host.depot.count("DELETE", "/v1/recordings/uploads/"), 0);
}

#[test]
fn many_files_that_were_written_to_are_read_anew() {
    let host = Host::start();
    host.depot.pull(|_, _| Some(Fault::Answer(500, String::new())));
    let names: Vec<String> = (0..6).map(|n| format!("a{n}")).collect();
    for name in &names {
        host.record(name, PART);
        fs::write(host.path(name), vec![7; usize::try_from(PART).unwrap()]).unwrap();
    }
    host.depot.pull(|_, _| None);
    for name in &names {
        host.assert_uploaded(name, &fs::read(host.path(name)).unwrap());
    }
}

#[test]
fn an_api_that_does_not_know_uploads_may_be_about_to_be_replaced() {
    let unknown = |method: &str, _: &str| (method == "POST").then_some(Fault::Problem(ProblemCode::NotFound));
    let host = Host::start();
    host.depot.pull(unknown);
    let content = host.record("a", 5);
    eventually("two looks", || (host.upload("a").attempts >= 2).then_some(()));
    assert!(host.notice("a").is_none());
    host.depot.pull(|_, _| None);
    host.assert_uploaded("a", &content);

    let host = Host::start_impatient();
    host.depot.pull(unknown);
    host.record("a", 5);
    let upload = host.upload_in("a", UploadState::Kept);
    assert_eq!(upload.note.as_deref(), Some("the API does not know uploads"));
    assert!(host.notice("a").is_some());
}

#[test]
fn a_storage_that_is_down_is_asked_with_one_part_at_a_time() {
    const FIRST: usize = 16;
    let host = Host::start();
    host.depot.pull(|method, _| (method == "PUT").then(|| Fault::Answer(503, String::new())));
    let contents: Vec<Vec<u8>> = (0..3).map(|n| host.record(&format!("a{n}"), 6 * PART)).collect();
    // Four parts with four tries each; then nothing but tries whether the storage answers again.
    let sent = eventually("tries", || {
        let state = host.depot.state();
        let sent: Vec<String> =
            state.requests.iter().filter(|request| request.starts_with("PUT ")).cloned().collect();
        (sent.len() >= FIRST + 8).then_some(sent)
    });
    for request in &sent[FIRST..] {
        assert_eq!(request.split('-').nth(1), Some("1"), "{request}");
    }
    host.depot.pull(|_, _| None);
    for (n, content) in contents.iter().enumerate() {
        host.assert_uploaded(&format!("a{n}"), content);
    }
}

#[test]
fn a_file_that_became_shorter_while_it_was_sent_is_not_sent_for_ever() {
    let host = Host::start();
    let path = host.path("a");
    host.depot.pull(move |method, _| {
        if method == "PUT" {
            fs::File::options().write(true).open(&path).unwrap().set_len(PART / 2).unwrap();
        }
        None
    });
    host.record("a", 10 * PART);
    host.upload_in("a", UploadState::GivenUp);
    assert!(host.notice("a").is_some());
    assert!(host.depot.state().objects.is_empty());
}

#[test]
fn a_file_that_was_written_to_is_uploaded_as_it_is_now() {
    let host = Host::start();
    let path = host.path("a");
    let mut once = first(1);
    host.depot.pull(move |method, _| {
        if method == "PUT" && once() {
            fs::File::options().write(true).open(&path).unwrap().write_all_at(b"new", PART + 5).unwrap();
        }
        None
    });
    host.record("a", 4 * PART);
    host.upload_in("a", UploadState::Verified);
    host.assert_uploaded("a", &fs::read(host.path("a")).unwrap());
}

#[test]
fn an_object_that_is_not_the_file_is_uploaded_again_and_then_a_person_has_to_look() {
    let host = Host::start();
    host.depot.state().spoil = 2;
    let content = host.record("twice", PART + 1);
    host.assert_uploaded("twice", &content);

    host.depot.state().spoil = 4;
    let content = host.record("often", PART + 1);
    let parked = host.upload_in("often", UploadState::Parked);
    assert!(parked.note.unwrap().contains("checksum_mismatch"));
    assert!(host.notice("often").is_none());
    assert_eq!(host.log().upload_totals().unwrap().parked, 1);

    assert_eq!(host.log().retry(&Choice::Ids(&[id_of("often")])).unwrap(), 1);
    host.assert_uploaded("often", &content);
}

#[test]
fn a_refusal_for_good_is_parked_and_holds_nobody_up() {
    let host = Host::start();
    let mut refused = first(1);
    host.depot.pull(move |_, _| refused().then_some(Fault::Problem(ProblemCode::ValidationFailed)));
    host.record("bad", 5);
    host.upload_in("bad", UploadState::Parked);
    assert!(Reader::open(&host.path("outbox")).unwrap().has_uploads().unwrap());
    let content = host.record("good", 5);
    host.assert_uploaded("good", &content);
}

#[test]
fn a_file_that_cannot_be_read_holds_nobody_up() {
    let host = Host::start();
    fs::create_dir(host.path("directory")).unwrap();
    let mut broken = finished(&host.path("directory"), "directory", b"");
    broken.file.size = broken.file.size.max(1);
    host.outbox().queue_recording(&broken).unwrap();
    let content = host.record("good", 3 * PART);
    host.assert_uploaded("good", &content);
    eventually("a note", || host.upload_in("directory", UploadState::Waiting).note);
    assert!(host.notice("directory").is_none());
}

#[test]
fn an_api_that_is_down_is_asked_by_one_upload_at_a_time() {
    let host = Host::start();
    host.depot.pull(|_, _| Some(Fault::Answer(503, String::new())));
    let contents: Vec<Vec<u8>> = (0..30).map(|n| host.record(&format!("a{n}"), n)).collect();
    let asked = || host.depot.count("POST", "/v1/recordings/uploads");
    // Whatever was on its way when the API went down has been answered.
    eventually("the first questions", || (asked() >= 10).then_some(()));
    let (started, before) = (Instant::now(), asked());
    eventually("more questions", || (asked() >= before + 20).then_some(()));
    // A wait of 50 ms on average before each; thirty that ask by themselves would ask twenty times in 30 ms.
    assert!(started.elapsed() >= Duration::from_millis(250), "{:?}", started.elapsed());
    assert_eq!(host.log().upload_totals().unwrap().waiting, 30);
    host.depot.pull(|_, _| None);
    for (n, content) in contents.iter().enumerate() {
        host.assert_uploaded(&format!("a{n}"), content);
    }
}

#[test]
fn a_meeting_that_does_not_appear_does_not_hide_the_recording() {
    let host = Host::start_impatient();
    host.depot.pull(|_, _| Some(Fault::Problem(ProblemCode::MeetingNotFound)));
    host.record("a", 5);
    host.upload_in("a", UploadState::GivenUp);
    let notice = host.notice("a").unwrap();
    assert!(notice["upload_note"].as_str().unwrap().contains("no meeting"), "{notice}");
}

#[test]
fn an_upload_that_was_given_up_is_begun_again_for_an_operator() {
    let host = Host::start_impatient();
    host.depot.pull(|_, _| Some(Fault::Problem(ProblemCode::MeetingNotFound)));
    let content = host.record("a", PART + 1);
    host.upload_in("a", UploadState::GivenUp);
    host.depot.pull(|_, _| None);
    let retry = |id: &str| host.log().retry(&Choice::Ids(&[id.to_owned()])).unwrap();
    assert_eq!(retry(&id_of("a")), 1);
    let upload = eventually("a verified upload", || {
        let uploads = host.log().uploads(100).unwrap();
        uploads.into_iter().find(|upload| upload.state == UploadState::Verified)
    });
    // The API takes a notice once, so another one says where the file is.
    let notices = deliveries(&host.path("outbox"));
    let notice = notices.iter().find(|delivery| delivery.id == upload.id).unwrap();
    let notice: Value = serde_json::from_slice(&notice.body).unwrap();
    assert_eq!(
        (notice["bucket"].as_str(), notice["id"].as_str()),
        (Some("bucket"), Some(upload.id.as_str()))
    );
    assert!(notice.get("upload_note").is_none(), "{notice}");
    assert!(host.depot.state().objects[&upload.object.unwrap().1] == content);
    assert_eq!((notices.len(), host.held("a")), (2, Some(Held::Nobody)));
    assert_eq!(retry(&upload.id), 0, "what is uploaded is not begun again");
    assert_eq!(retry(&id_of("a")), 0);
}

#[test]
fn a_meeting_that_appears_late_is_waited_for() {
    let host = Host::start();
    host.depot.pull(|_, _| Some(Fault::Problem(ProblemCode::MeetingNotFound)));
    let content = host.record("a", 5);
    eventually("two refusals", || (host.upload("a").attempts >= 2).then_some(()));
    assert!(host.notice("a").is_none());
    host.depot.pull(|_, _| None);
    host.assert_uploaded("a", &content);
}

#[test]
fn an_answer_that_our_api_did_not_write_ends_nothing() {
    let host = Host::start();
    host.depot.pull(|_, _| Some(Fault::Answer(200, "<html>Please log in</html>".into())));
    host.record("a", 5);
    let upload = eventually("a failure", || Some(host.upload("a")).filter(|upload| upload.attempts == 1));
    assert_eq!(upload.state, UploadState::Waiting);
    assert!(host.notice("a").is_none());

    // It would be asked again after a minute; an operator does not wait that long.
    host.depot.pull(|_, _| None);
    let asked = Fact { at: 0, body: "{}".into() };
    host.log().ask(DRAIN, &asked).unwrap();
    host.upload_in("a", UploadState::Verified);
}

#[test]
fn another_secret_is_tried_at_once() {
    let host = Host::start();
    host.depot.pull(|_, _| Some(Fault::Problem(ProblemCode::SignatureInvalid)));
    host.record("a", 5);
    eventually("a refusal", || (host.upload("a").attempts == 1).then_some(()));
    let started = Instant::now();
    host.depot.pull(|_, _| None);
    let mut secret = config(host.directory.path(), "").secret;
    secret.keys = Secrets::parse("another-0123456789abcdef").unwrap();
    host.secret.replace(secret);
    host.upload_in("a", UploadState::Verified);
    assert!(started.elapsed() < contract::verdict::CREDENTIALS_FLOOR, "{:?}", started.elapsed());
}

#[test]
fn an_answer_to_what_the_old_secret_signed_does_not_hold_up_the_new_one() {
    let host = Host::start();
    let (asked, was_asked) = std::sync::mpsc::channel();
    let (answer, may_answer) = std::sync::mpsc::channel();
    let mut early = first(1);
    host.depot.pull(move |_, _| {
        early().then(|| {
            asked.send(()).unwrap();
            may_answer.recv().unwrap();
            Fault::Problem(ProblemCode::SignatureInvalid)
        })
    });
    host.record("a", 5);
    was_asked.recv().unwrap();
    let mut secret = config(host.directory.path(), "").secret;
    secret.keys = Secrets::parse("another-0123456789abcdef").unwrap();
    host.secret.replace(secret);
    // The upload loop takes it in before anything else that it can do now.
    let content = fs::read(host.path("a")).unwrap();
    let started = Instant::now();
    answer.send(()).unwrap();
    host.assert_uploaded("a", &content);
    assert!(started.elapsed() < contract::verdict::CREDENTIALS_FLOOR, "{:?}", started.elapsed());
}

#[test]
fn a_limited_upload_takes_its_time() {
    let host = Host::start_with("[upload]\nmax-bytes-per-second = 400000\n");
    let started = Instant::now();
    let content = host.record("a", 8 * PART);
    host.assert_uploaded("a", &content);
    // 800,000 bytes; a tenth of a second's worth goes out at once.
    assert!(started.elapsed() >= Duration::from_millis(1_800), "{:?}", started.elapsed());
}

#[test]
fn a_stop_in_the_middle_of_an_upload_is_prompt() {
    let mut host = Host::start_with("[upload]\nmax-bytes-per-second = 20000\n");
    host.record("a", 10 * PART);
    eventually("a part on its way", || (host.depot.count("PUT", "/storage") > 0).then_some(()));
    let started = Instant::now();
    host.halt();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
