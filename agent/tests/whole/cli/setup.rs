//! `setup`: what it asks, what it writes, and what it does not write. An image's tree stands for the host, so that nothing of
//! this one is touched.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use contract::enrolment_token::EnrolmentToken;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use tempfile::TempDir;
use time::Duration;

use super::server::Server;
use super::text;
use crate::servers::{self, Authority};
use crate::support::{SECRET, eventually};

/// Where nobody listens.
const NOBODY: &str = "http://127.0.0.1:9";

/// The same length as [`SECRET`], so that neither is part of the other.
const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";

/// A tree that becomes a host.
struct Image(TempDir);

impl Image {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join("etc/reflector-agent").join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        fs::write(self.at(name), text).unwrap();
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.at(name)).ok()
    }

    fn drop_in(&self) -> toml::Table {
        self.read("agent.d/50-setup.toml").unwrap().parse().unwrap()
    }

    /// Every file, with what tells whether it was written anew.
    fn files(&self) -> BTreeMap<PathBuf, (u64, i64, i64)> {
        let mut files = BTreeMap::new();
        let mut directories = vec![self.0.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let metadata = fs::symlink_metadata(entry.path()).unwrap();
                if metadata.is_dir() {
                    directories.push(entry.path());
                } else {
                    files.insert(entry.path(), (metadata.ino(), metadata.mtime(), metadata.mtime_nsec()));
                }
            }
        }
        files
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reflector-agent"));
        command.env_clear().args(["setup", "--root"]).arg(self.0.path()).args(options);
        command
    }

    /// Runs `setup` where nobody can be asked, with `input` on standard input.
    fn setup(&self, options: &[&str], input: &str) -> Output {
        let mut command = self.command(options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may have ended without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        for said in [&output.stdout, &output.stderr] {
            assert!(!text(said).contains(SECRET) && !text(said).contains(OTHER_SECRET), "{}", text(said));
        }
        output
    }
}

fn token(url: &str, agent_id: &str, secret: &str) -> String {
    EnrolmentToken { url: url.into(), agent_id: agent_id.into(), secret: secret.into() }.encode()
}

fn api() -> (Server, String) {
    let server = Server::start(Duration::ZERO);
    let url = format!("http://{}", server.address);
    (server, url)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_token_on_standard_input_is_all_that_it_takes_and_a_second_time_changes_nothing() {
    let (image, (server, url)) = (Image::new(), api());
    let line = token(&url, "jitsi-1", SECRET);
    let output = image.setup(&["--token-file", "-"], &format!("{line}\n"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("accepted a signed test event"), "{}", text(&output.stdout));
    assert_eq!(server.at("/v1/jitsi/events").len(), 1);
    assert_eq!(image.drop_in(), format!("[api]\nurl = \"{url}\"\nagent-id = \"jitsi-1\"\n").parse().unwrap());
    assert_eq!(image.read("secret"), Some(format!("{SECRET}\n")));
    for (name, expected) in
        [("", 0o750), ("agent.d", 0o750), ("agent.d/50-setup.toml", 0o640), ("secret", 0o600)]
    {
        assert_eq!(mode(&image.at(name)), expected, "{name:?}");
    }
    let files = image.files();
    assert_eq!(files.len(), 2, "{files:?}");
    let again = image.setup(&["--token-file", "-"], &line);
    assert_eq!((again.status.code(), image.files()), (Some(0), files.clone()));
    assert!(text(&again.stdout).contains("are so already"), "{}", text(&again.stdout));
    let without_options = image.setup(&[], "");
    assert_eq!((without_options.status.code(), image.files()), (Some(0), files));
}

#[test]
fn a_file_that_belongs_to_the_wrong_people_is_mended() {
    let (image, (_server, url)) = (Image::new(), api());
    let line = token(&url, "jitsi-1", SECRET);
    image.setup(&["--token-file", "-"], &line);
    fs::set_permissions(image.at("secret"), Permissions::from_mode(0o644)).unwrap();
    let output = image.setup(&["--token-file", "-"], &line);
    assert_eq!(mode(&image.at("secret")), 0o600, "{}", text(&output.stdout));
}

#[test]
fn automation_goes_on_when_the_api_does_not_answer_yet_and_the_exit_code_tells() {
    let image = Image::new();
    let secret = image.0.path().join("from-the-vault");
    fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let options = ["--url", NOBODY, "--rooms", "a-*,b", "--secret-file", secret.to_str().unwrap()];
    let output = image.setup(&options, "");
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("cannot be reached now") && said.contains("Next: nothing listens there"), "{said}");
    assert_eq!(
        image.drop_in(),
        format!("[api]\nurl = \"{NOBODY}\"\nrooms = [\"a-*\", \"b\"]\n").parse().unwrap()
    );
    assert_eq!(image.read("secret"), Some(format!("{SECRET}\n")));
    let offline = image.setup(&[&options[..], &["--offline"]].concat(), "");
    assert_eq!(offline.status.code(), Some(0), "it was not to be asked: {}", text(&offline.stderr));
}

#[test]
fn what_the_api_refuses_is_not_written() {
    let (image, (server, url)) = (Image::new(), api());
    server.no_meeting.store(true, std::sync::atomic::Ordering::SeqCst);
    let line = token(&url, "jitsi-1", SECRET);
    let output = image.setup(&["--token-file", "-"], &line);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("does not accept this") && said.contains("nothing was written; --offline"),
        "{said}"
    );
    assert!(image.files().is_empty(), "{:?}", image.files());
    let output = image.setup(&["--token-file", "-", "--offline"], &line);
    assert_eq!((output.status.code(), image.files().len()), (Some(0), 2), "{}", text(&output.stderr));
}

#[test]
fn what_cannot_be_used_is_refused_with_its_reason_and_writes_nothing() {
    let good = token(NOBODY, "jitsi-1", SECRET);
    for (options, input, code, said) in [
        (&["--token-file", "-"][..], good[..good.len() - 20].to_owned(), 1, "cut off or altered"),
        (&["--token-file", "-"], SECRET.to_owned(), 1, "this is no enrolment token"),
        (&["--token-file", "-"], String::new(), 1, "the enrolment token is empty"),
        (&["--token-file", "/nowhere"], String::new(), 1, "/nowhere cannot be read"),
        (&["--token-file", "-"], token("reflector", "jitsi-1", SECRET), 78, "api.url"),
        (&["--token-file", "-"], token(NOBODY, "two words", SECRET), 78, "api.agent-id"),
        (&["--token-file", "-"], token(NOBODY, "jitsi-1", "short"), 78, "shorter than 16"),
        (&["--url", NOBODY, "--secret-file", "-"], "your-webhook-secret-here".into(), 78, "placeholder"),
        (&["--url", NOBODY, "--secret-file", "-"], format!("{SECRET}\n{SECRET}"), 78, "on one line"),
        (&["--url", NOBODY, "--rooms", "", "--secret-file", "-"], SECRET.into(), 78, "empty pattern"),
        (&["--url", NOBODY, "--rooms", "a b,[x", "--secret-file", "-"], SECRET.into(), 78, "no room has '['"),
        (&[], String::new(), 2, "--token-file FILE"),
        (&["--url", NOBODY], String::new(), 2, "or --secret-file FILE"),
        (&["--secret-file", "-"], SECRET.into(), 2, "or --url URL"),
        (&["--token-file", "-", "--agent-id", "x"], good.clone(), 2, "cannot be used with"),
    ] {
        let image = Image::new();
        let output = image.setup(options, &input);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{options:?}: {told}");
        assert!(told.contains(said), "{options:?}: {told}");
        assert!(image.files().is_empty(), "{options:?}: {:?}", image.files());
    }
}

#[test]
fn another_api_takes_the_place_of_the_first_only_if_that_is_said() {
    let (image, (_server, url)) = (Image::new(), api());
    image.put("agent.d/60-local.toml", "[outbox]\nmax-bytes = 5000000\n");
    image.setup(&["--token-file", "-", "--offline", "--rooms", "a-*"], &token(NOBODY, "jitsi-1", SECRET));
    let before = image.files();
    let other = token(&url, "jitsi-2", OTHER_SECRET);
    let output = image.setup(&["--token-file", "-"], &other);
    assert_eq!((output.status.code(), image.files()), (Some(1), before));
    let said = text(&output.stderr);
    assert!(said.contains("it delivers to http://127.0.0.1:9 as the agent jitsi-1"), "{said}");
    assert!(said.contains("--replace"), "{said}");
    let output = image.setup(&["--token-file", "-", "--replace"], &other);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(image.read("secret"), Some(format!("{OTHER_SECRET}\n")));
    let rooms_are_kept = format!("[api]\nurl = \"{url}\"\nagent-id = \"jitsi-2\"\nrooms = [\"a-*\"]\n");
    assert_eq!(image.drop_in(), rooms_are_kept.parse().unwrap());
    assert!(image.read("agent.d/60-local.toml").is_some());
}

#[test]
fn an_agent_that_delivers_does_not_move_to_where_nobody_answers_unless_nobody_is_to_be_asked() {
    let (image, (_server, url)) = (Image::new(), api());
    image.setup(&["--token-file", "-"], &token(&url, "jitsi-1", SECRET));
    let (before, other) = (image.files(), token(NOBODY, "jitsi-2", OTHER_SECRET));
    let output = image.setup(&["--token-file", "-", "--replace"], &other);
    assert_eq!((output.status.code(), image.files()), (Some(1), before));
    assert!(text(&output.stderr).contains("--offline writes the new address"), "{}", text(&output.stderr));
    let output = image.setup(&["--token-file", "-", "--replace", "--offline"], &other);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(image.read("secret"), Some(format!("{OTHER_SECRET}\n")));
}

#[test]
fn an_address_whose_certificate_is_for_another_name_is_not_written() {
    let (image, authority) = (Image::new(), Authority::new());
    let ca_file = image.0.path().join("ca.pem");
    fs::write(&ca_file, authority.pem()).unwrap();
    image.put("agent.d/10-ca.toml", &format!("[api]\nca-file = {ca_file:?}\n"));
    let port = servers::tls(authority.server("other.example", 2000..2100)).port();
    let before = image.files();
    let line = token(&format!("https://localhost:{port}"), "jitsi-1", SECRET);
    let output = image.setup(&["--token-file", "-"], &line);
    assert_eq!((output.status.code(), image.files()), (Some(1), before), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("other.example"), "{}", text(&output.stderr));
}

#[test]
fn another_secret_for_the_same_api_needs_nothing_else() {
    let (image, (_server, url)) = (Image::new(), api());
    image.setup(&["--token-file", "-"], &token(&url, "jitsi-1", SECRET));
    let before = image.drop_in();
    let output = image.setup(&["--secret-file", "-"], OTHER_SECRET);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!((image.read("secret"), image.drop_in()), (Some(format!("{OTHER_SECRET}\n")), before));
}

#[test]
fn a_file_that_would_override_what_is_asked_for_is_named() {
    let image = Image::new();
    image.put("agent.d/60-local.toml", "[api]\nurl = \"https://elsewhere.example\"\n");
    let before = image.files();
    let output = image.setup(&["--token-file", "-"], &token(NOBODY, "jitsi-1", SECRET));
    assert_eq!((output.status.code(), image.files()), (Some(78), before));
    let said = text(&output.stderr);
    assert!(said.contains("api.url: is set once more") && said.contains("60-local.toml"), "{said}");
}

#[test]
fn a_drop_in_that_cannot_be_read_is_replaced_only_if_that_is_said() {
    for broken in [&b"[api]\nurl = "[..], b"api = 3\n", b"[api]\nrooms = [\"\xfc\"]\n"] {
        let image = Image::new();
        image.put("agent.d/50-setup.toml", "");
        fs::write(image.at("agent.d/50-setup.toml"), broken).unwrap();
        let before = image.files();
        let line = token(NOBODY, "jitsi-1", SECRET);
        let output = image.setup(&["--token-file", "-", "--offline"], &line);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), image.files()), (Some(1), before), "{said}");
        assert!(said.contains("agent.d/50-setup.toml") && said.contains("--replace"), "{said}");
        let output = image.setup(&["--token-file", "-", "--offline", "--replace"], &line);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(image.drop_in()["api"]["url"].as_str(), Some(NOBODY));
    }
}

#[test]
fn a_link_in_the_tree_of_an_image_leads_no_byte_out_of_it() {
    for link in ["etc", "etc/reflector-agent", "etc/reflector-agent/agent.d", "etc/reflector-agent/secret"] {
        let (image, elsewhere) = (Image::new(), tempfile::tempdir().unwrap());
        let path = image.0.path().join(link);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &path).unwrap();
        let output = image.setup(&["--token-file", "-", "--offline"], &token(NOBODY, "jitsi-1", SECRET));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{link}: {said}");
        assert!(said.contains(&format!("{link} is a symbolic link")), "{link}: {said}");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "{link}");
        assert_eq!(image.files().len(), 1, "{link}: the link alone");
    }
}

#[test]
fn the_secret_comes_last_because_it_starts_the_service() {
    let image = Image::new();
    // No file can be put there.
    fs::create_dir_all(image.at("secret/in-the-way")).unwrap();
    let output = image.setup(&["--token-file", "-", "--offline"], &token(NOBODY, "jitsi-1", SECRET));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("secret cannot be written"), "{}", text(&output.stderr));
    let files: Vec<PathBuf> = image.files().into_keys().collect();
    assert_eq!(files, [image.at("agent.d/50-setup.toml")], "the configuration was there before");
}

#[test]
fn whoever_is_not_root_is_told_how_to_become_it() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reflector-agent"));
    command.env_clear().args(["setup", "--token-file", "-"]).stdin(Stdio::null());
    let directory = tempfile::tempdir().unwrap();
    if rustix::process::geteuid().is_root() {
        // Others need not be allowed to enter the build directory.
        let copy = directory.path().join("reflector-agent");
        fs::copy(env!("CARGO_BIN_EXE_reflector-agent"), &copy).unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        command = Command::new(copy);
        command.env_clear().args(["setup", "--token-file", "-"]).stdin(Stdio::null()).uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("Next: `sudo reflector-agent setup`"), "{}", text(&output.stderr));
}

#[test]
fn another_configuration_file_than_the_services_is_refused() {
    let output =
        Image::new().command(&["--config", "/srv/agent.toml"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("what the service reads"), "{}", text(&output.stderr));
}

/// `setup` at a terminal.
struct Person {
    child: Child,
    keyboard: File,
    /// Keeps the terminal open, to look at its settings in the end.
    terminal: File,
    screen: Arc<Mutex<Vec<u8>>>,
    /// Reads the screen until the last one who could write there has closed it.
    reader: JoinHandle<()>,
}

impl Person {
    fn at(image: &Image, options: &[&str]) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let terminal = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let to_child = || Stdio::from(terminal.try_clone().unwrap());
        let child =
            image.command(options).stdin(to_child()).stdout(to_child()).stderr(to_child()).spawn().unwrap();
        let keyboard = File::from(controller);
        let screen = Arc::<Mutex<Vec<u8>>>::default();
        let (mut reader, shown) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut bytes) {
                shown.lock().unwrap().extend_from_slice(&bytes[..read]);
            }
        });
        Self { child, keyboard, terminal, screen, reader }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until the screen ends with a question that has this in it, and types.
    fn answers(&mut self, question: &str, answer: &str) {
        let asked = |shown: &str| {
            shown.ends_with(' ') && shown.lines().last().is_some_and(|last| last.contains(question))
        };
        eventually(question, || (asked(&self.shown()) && self.is_asked_well()).then_some(()));
        // The next question may be the same again: this one is over when the screen has moved on.
        let before = self.shown().len();
        self.keyboard.write_all(answer.as_bytes()).unwrap();
        eventually(answer, || (self.shown().len() > before).then_some(()));
    }

    /// Whether the terminal is in the state that the last question needs: what is hidden is not shown.
    fn is_asked_well(&self) -> bool {
        let is_hidden = self.shown().lines().last().is_some_and(|last| last.contains("not shown"));
        is_hidden != self.echoes()
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.terminal).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// Its exit code and all that was on the screen.
    fn ends(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        assert!(self.echoes(), "the terminal shows again what is typed");
        drop(self.terminal);
        self.reader.join().unwrap();
        let shown = String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned();
        assert!(!shown.contains(SECRET) && !shown.contains("reflector-enrol-1"), "{shown}");
        (code, shown)
    }
}

#[test]
fn a_person_pastes_the_token_and_nobody_sees_it() {
    let (image, (_server, url)) = (Image::new(), api());
    let mut person = Person::at(&image, &[]);
    person.answers("Enrolment token", "reflector-enrol-1.nonsense\r");
    person.answers("Enrolment token", &format!("{}\r", token(&url, "jitsi-1", SECRET)));
    let (code, shown) = person.ends();
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.contains("cut off or altered") && shown.contains("accepted a signed test event"),
        "{shown}"
    );
    assert_eq!(image.read("secret"), Some(format!("{SECRET}\n")));
    assert_eq!(image.drop_in()["api"]["agent-id"].as_str(), Some("jitsi-1"));
}

#[test]
fn what_a_person_pastes_into_standard_input_is_seen_by_nobody_either() {
    let image = Image::new();
    let mut person = Person::at(&image, &["--token-file", "-", "--offline"]);
    person.answers("Enrolment token", &format!("{}\r", token(NOBODY, "jitsi-1", OTHER_SECRET)));
    let (code, shown) = person.ends();
    assert_eq!((code, image.read("secret")), (Some(0), Some(format!("{OTHER_SECRET}\n"))), "{shown}");
    let mut person = Person::at(&image, &["--secret-file", "-", "--offline"]);
    person.answers("Secret", "short\r");
    person.answers("Secret", &format!("{SECRET}\r"));
    let (code, shown) = person.ends();
    assert_eq!((code, image.read("secret")), (Some(0), Some(format!("{SECRET}\n"))), "{shown}");
}

#[test]
fn a_person_without_a_token_is_asked_for_each_part_and_before_a_doubtful_step() {
    let image = Image::new();
    for (answer, code, files) in [("n\r", 1, 0), ("y\r", 4, 2)] {
        let mut person = Person::at(&image, &[]);
        person.answers("Enrolment token", "\r");
        person.answers("Address of the API", "reflector\r");
        person.answers("Address of the API", &format!("{NOBODY}\r"));
        person.answers("Secret", "short\r");
        person.answers("Secret", &format!("wrong\u{15}{SECRET}\r"));
        person.answers("Name that the API", "\r");
        person.answers("Rooms to report", "a-*, b\r");
        person.answers("Write it all the same?", answer);
        let (ended, shown) = person.ends();
        assert_eq!((ended, image.files().len()), (Some(code), files), "{shown}");
    }
    let expected = format!("[api]\nurl = \"{NOBODY}\"\nrooms = [\"a-*\", \"b\"]\n");
    assert_eq!(image.drop_in(), expected.parse().unwrap());
}

#[test]
fn a_person_is_asked_before_another_api_takes_over() {
    let image = Image::new();
    image.setup(&["--token-file", "-", "--offline"], &token("http://127.0.0.1:8", "jitsi-1", OTHER_SECRET));
    for (answer, code) in [("\r", 1), ("yes\r", 0)] {
        let mut person = Person::at(&image, &["--offline"]);
        person.answers("Empty: everything stays", &format!("{}\r", token(NOBODY, "jitsi-1", SECRET)));
        person.answers("Replace that?", answer);
        let (ended, shown) = person.ends();
        assert_eq!(ended, Some(code), "{shown}");
        let is_new = image.drop_in()["api"]["url"].as_str() == Some(NOBODY);
        assert_eq!(is_new, code == 0, "{shown}");
    }
}

#[test]
fn a_person_who_gives_up_finds_the_terminal_as_it_was() {
    let image = Image::new();
    for key in ["\u{3}", "\u{4}"] {
        let mut person = Person::at(&image, &[]);
        person.answers("Enrolment token", key);
        let (code, shown) = person.ends();
        assert_eq!(code, Some(1), "{shown}");
        assert!(shown.contains("nothing was written") && image.files().is_empty(), "{shown}");
    }
}
