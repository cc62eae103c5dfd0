//! `reflector-api setup`, and the commands that take their settings from the file that it writes.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use api::config::environment_file;
use contract::enrolment_token::EnrolmentToken;
use tempfile::TempDir;

use crate::program::{Program, StateDir};

/// A file of settings, and the program with nothing in its environment but what finds the state directory.
struct Scene {
    state: StateDir,
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { state: StateDir::new(), directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("api.env")
    }

    /// Writes the file as an operator has it, for root alone.
    fn has(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
        fs::set_permissions(self.file(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reflector-api"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("REFLECTOR_API_STATE_DIR", self.state.path());
        command.arg("--env-file").arg(self.file()).args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).output().unwrap())
    }
}

/// What a command said, and how it ended.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }
}

const SETUP: [&str; 5] =
    ["setup", "--jitsi-domain", "meet.example.com", "--public-url", "https://reflector.example.com/"];

/// The address of the Postgres that runs in `state`.
fn address(state: &StateDir, user: &str) -> String {
    format!("postgresql://{user}@localhost:5432/reflector?host={}/run", state.path().display())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn one_command_writes_all_settings_and_another_time_nothing() {
    let scene = Scene::new();
    let said = scene.run(&SETUP).succeeded();
    let settings = environment_file::parse(&scene.text());
    assert_eq!(settings["JITSI_DOMAIN"], "meet.example.com");
    for name in ["JITSI_WEBHOOK_SECRET", "JITSI_JWT_SECRET", "SECRET_KEY", "AUTH_JWT_SECRET"] {
        assert_eq!(settings[name].len(), 64, "{name}");
        assert!(
            !said.out.contains(&settings[name]) && !said.err.contains(&settings[name]),
            "{name} is shown"
        );
    }
    assert_eq!(mode(&scene.file()), 0o600);
    assert!(said.out.contains("reflector-api agents enroll NAME --token"), "{}", said.out);
    let check = scene.run(&["check"]).succeeded();
    assert_eq!(check.out, "The configuration is complete.\n");
    let before = scene.text();
    let again = scene.run(&SETUP).succeeded();
    assert!(again.out.contains("has all that is needed"), "{}", again.out);
    assert_eq!(scene.text(), before);
}

#[test]
fn what_somebody_has_set_is_kept_unless_they_say_otherwise() {
    let scene = Scene::new();
    let mine = "# mine\nJITSI_DOMAIN=old.example.com\nSECRET_KEY='0123456789abcdef 0123456789abcdef'";
    scene.has(mine);
    let refused = scene.run(&SETUP);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(refused.err.contains("JITSI_DOMAIN") && refused.err.contains("--replace"), "{}", refused.err);
    assert_eq!(scene.text(), mine);
    let replaced = [&SETUP[..], &["--replace"]].concat();
    scene.run(&replaced).succeeded();
    let rest = mine.replace("old.example.com", "meet.example.com");
    assert!(scene.text().starts_with(&rest), "{}", scene.text());
    let settings = environment_file::parse(&scene.text());
    assert_eq!(settings["JITSI_DOMAIN"], "meet.example.com");
    assert_eq!(settings["SECRET_KEY"], "0123456789abcdef 0123456789abcdef");
}

#[test]
fn nothing_is_written_that_the_service_would_not_start_with() {
    let scene = Scene::new();
    let refused = scene.run(&["setup", "--jitsi-domain", "https://meet.example.com/"]);
    assert_eq!(refused.code, Some(78), "{}", refused.out);
    assert!(refused.err.contains("error: JITSI_DOMAIN: "), "{}", refused.err);
    let refused = scene.run(&["setup"]);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(refused.err.contains("--jitsi-domain is missing"), "{}", refused.err);
    assert!(!scene.file().exists());
}

#[test]
fn an_empty_domain_and_an_address_that_leads_nowhere_are_refused() {
    let scene = Scene::new();
    for (domain, url, expected) in [
        ("", "https://a.example.com", "the domain of your Jitsi is empty"),
        ("meet.example.com", "https://a.example.com/?b=c", "has a ? or a #"),
        ("meet.example.com", "https://ann:hunter2@a.example.com", "holds a user or a password"),
    ] {
        let refused = scene.run(&["setup", "--jitsi-domain", domain, "--public-url", url]);
        assert_eq!(refused.code, Some(1), "{domain:?} {url}: {}", refused.out);
        assert!(refused.err.contains(expected) && !refused.err.contains("hunter2"), "{}", refused.err);
    }
    assert!(!scene.file().exists());
    let own = scene
        .run(&["setup", "--jitsi-domain", "meet.example.com", "--public-url", "http://localhost:1250"])
        .succeeded();
    assert!(own.err.contains("leads agents of other hosts to themselves"), "{}", own.err);
}

#[test]
fn lines_that_count_for_nothing_and_secrets_for_everybody_are_warned_of() {
    let scene = Scene::new();
    scene.run(&SETUP).succeeded();
    let text = format!("{}export ROOT_PATH=/api\nLOG_LEVEL=info # a level\n", scene.text());
    fs::write(scene.file(), text).unwrap();
    fs::set_permissions(scene.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let check = scene.run(&["check"]);
    for expected in ["begins with \"export ROOT_PATH\"", "LOG_LEVEL has a #", "mode 644"] {
        assert!(check.out.contains(expected), "{expected}: {}", check.out);
    }
    assert!(!check.out.contains("complete"), "{}", check.out);
}

#[test]
fn secrets_come_into_no_file_that_everybody_may_read() {
    let scene = Scene::new();
    scene.has("# mine\n");
    fs::set_permissions(scene.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let refused = scene.run(&SETUP);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(refused.err.contains("mode 644") && refused.err.contains("chmod 600"), "{}", refused.err);
    assert_eq!(scene.text(), "# mine\n");
    fs::set_permissions(scene.file(), fs::Permissions::from_mode(0o640)).unwrap();
    scene.run(&SETUP).succeeded();
}

#[test]
fn what_some_systemd_would_read_otherwise_is_an_error_of_both_commands() {
    let scene = Scene::new();
    scene.run(&SETUP).succeeded();
    let text = format!("# paths\\\nREFLECTOR_API_PUBLIC_URL=https://a.example.com\n{}", scene.text());
    scene.has(&text.replace("JITSI_DOMAIN=", "# a back\\slash\\\nJITSI_DOMAIN="));
    let check = scene.run(&["check"]);
    assert_eq!(check.code, Some(78), "{}", check.out);
    assert!(check.out.contains("error: JITSI_DOMAIN: ") && check.out.contains("before 254"), "{}", check.out);
    let setup = scene.run(&[&SETUP[..], &["--listen", "127.0.0.1:1251"]].concat());
    assert_eq!(setup.code, Some(78), "{}", setup.out);
    assert!(setup.err.contains("error: JITSI_DOMAIN: "), "{}", setup.err);
    assert!(!scene.text().contains("1251"), "nothing is written");
}

#[test]
fn what_an_open_quote_would_swallow_is_not_written() {
    let scene = Scene::new();
    let mine = "WEBHOOK_ALLOWED_NETWORKS='10.0.0.0/8\n";
    scene.has(mine);
    let refused = scene.run(&SETUP);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(refused.err.contains("a quote that is open"), "{}", refused.err);
    assert_eq!(scene.text(), mine);
}

#[test]
fn the_address_of_a_database_comes_from_standard_input_and_is_not_shown() {
    let (scene, database) = (Scene::new(), StateDir::new());
    let _program = Program::start(database.path());
    scene.has(&format!("REFLECTOR_API_STATE_DIR={}\n", scene.state.path().display()));
    let mut child = scene
        .command(&["setup", "--jitsi-domain", "meet.example.com", "--database-url-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let url = address(&database, "reflector:hunter2%23x");
    writeln!(child.stdin.take().unwrap(), "{url}").unwrap();
    let said = Said::of(child.wait_with_output().unwrap()).succeeded();
    assert!(!said.out.contains("hunter2") && !said.err.contains("hunter2"), "{}{}", said.out, said.err);
    assert_eq!(environment_file::parse(&scene.text())["DATABASE_URL"], url);
}

#[test]
fn a_private_database_with_data_is_not_left_behind_by_accident() {
    let scene = Scene::new();
    scene.has(&format!("REFLECTOR_API_STATE_DIR={}\n", scene.state.path().display()));
    scene.run(&SETUP).succeeded();
    scene.run(&["migrate"]).succeeded();
    let database = StateDir::new();
    let _program = Program::start(database.path());
    let url = scene.directory.path().join("url");
    fs::write(&url, address(&database, "reflector")).unwrap();
    let moving = ["setup", "--database-url-file", url.to_str().unwrap()];
    let refused = scene.run(&moving);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(refused.err.contains("leave behind") && refused.err.contains("--replace"), "{}", refused.err);
    scene.run(&[&moving[..], &["--replace"]].concat()).succeeded();
    assert!(scene.text().contains("DATABASE_URL="));
    scene.run(&["check"]).succeeded();
}

#[test]
fn a_database_that_does_not_answer_is_not_moved_to_and_is_an_error_of_the_check() {
    let scene = Scene::new();
    let mine = format!("REFLECTOR_API_STATE_DIR={}\n", scene.state.path().display());
    scene.has(&mine);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = scene.directory.path().join("url");
    fs::write(&url, format!("postgresql://u:hunter2@{nobody}/d")).unwrap();
    let moving = [&SETUP[..], &["--database-url-file", url.to_str().unwrap()]].concat();
    let refused = scene.run(&moving);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(refused.err.contains("nothing was written: cannot connect to database d on"), "{}", refused.err);
    assert!(!refused.err.contains("hunter2") && scene.text() == mine, "{}", refused.err);
    scene.has(&format!("{mine}DATABASE_URL=postgresql://u:hunter2@{nobody}/d\n"));
    let check = scene.run(&["check"]);
    assert_eq!(check.code, Some(1), "{}", check.out);
    assert!(check.out.contains("error: DATABASE_URL: cannot connect to database d on"), "{}", check.out);
}

#[test]
fn an_agent_is_enrolled_with_a_token_that_says_where_and_who_and_the_environment_wins() {
    let scene = Scene::new();
    scene.run(&SETUP).succeeded();
    let token = |said: Said| EnrolmentToken::parse(&said.succeeded().out).unwrap();
    let said = scene.run(&["agents", "enroll", "meet-1", "--token"]);
    assert!(said.err.ends_with("asks for it: sudo reflector-agent setup\n"), "{}", said.err);
    let first = token(said);
    assert_eq!((first.url.as_str(), first.agent_id.as_str()), ("https://reflector.example.com", "meet-1"));
    let mut second = scene.command(&["agents", "enroll", "meet-2", "--token"]);
    let second =
        token(Said::of(second.env("REFLECTOR_API_PUBLIC_URL", "https://b.example.com").output().unwrap()));
    assert_eq!(second.url, "https://b.example.com");
    let third = ["agents", "enroll", "meet-3", "--token", "--url", "https://c.example.com"];
    assert_eq!(token(scene.run(&third)).url, "https://c.example.com");
    assert_ne!(first.secret, second.secret);
    let refused = scene.run(&["agents", "enroll", "meet-4", "--url", "https://c.example.com"]);
    assert_eq!(refused.code, Some(2), "an address is for a token");
}

#[test]
fn a_token_without_an_address_enrols_nobody() {
    let scene = Scene::new();
    scene.run(&["setup", "--jitsi-domain", "meet.example.com"]).succeeded();
    let refused = scene.run(&["agents", "enroll", "meet-1", "--token"]);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(refused.err.contains("REFLECTOR_API_PUBLIC_URL"), "{}", refused.err);
    let list = scene.run(&["agents", "list"]).succeeded();
    assert!(list.out.contains("No agent has a secret of its own."), "{}", list.out);
}

#[test]
fn a_file_that_is_named_and_not_there_is_an_error() {
    let scene = Scene::new();
    for arguments in [&["check"][..], &["serve"], &["token"], &["migrate"], &["agents", "list"]] {
        let refused = scene.run(arguments);
        assert_eq!(refused.code, Some(1), "{arguments:?}");
        assert!(refused.err.contains("api.env"), "{arguments:?}: {}", refused.err);
    }
}
