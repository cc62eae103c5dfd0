//! The real program is killed between Whereby's answer and its own commit.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testbed::whereby::Fault;

use crate::app::{App, ROOM};
use crate::support::wait;

/// `reflector-api serve`, killed when dropped.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn start(app: &App) -> Self {
        let socket = app.options.get_socket().unwrap().display().to_string().replace('/', "%2F");
        let database = app.options.get_database().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_reflector-api"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env_clear()
            .envs(&app.variables)
            .env("DATABASE_URL", format!("postgresql://reflector@{socket}/{database}"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let url = loop {
            let before = said.len();
            assert!(log.read_line(&mut said).unwrap() > 0, "it ended before it listened:\n{said}");
            if let Some((_, url)) = said[before..].split_once("listening on ") {
                break url.trim().to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, url }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_whereby_s_room_and_the_commit_leaves_no_room_behind() {
    let app = App::start().await;
    let program = Program::start(&app);
    app.whereby.fail("POST /v1/meetings", Fault::Slow(Duration::from_secs(8)));
    let request = reqwest::Client::new().post(format!("{}/v1/rooms/{ROOM}/meeting", program.url)).send();
    let visit = tokio::spawn(request);
    wait::until("the room", async || (app.rooms().len() == 1).then_some(())).await;
    drop(program);
    assert!(visit.await.unwrap().is_err(), "nobody is there to answer");
    let lost = app.rooms();

    assert_eq!(app.visit().await.refusal(), (503, "unavailable"), "it may still be somebody's");
    assert_eq!((app.clean_up().await, app.rooms()), (0, lost), "it may still be somebody's");
    // Half a minute later.
    app.change("UPDATE reflector.whereby_intent SET leased_until = now() - interval '1 s'").await;
    let meeting = app.visit().await.ok();
    assert_eq!((app.clean_up().await, app.rooms()), (1, vec![meeting["id"].as_str().unwrap().to_owned()]));
    assert_eq!(app.count("SELECT count(*) FROM reflector.whereby_intent").await, 0);
}
