//! The real program is killed while a receiver has a webhook and has not answered.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::app::App;
use crate::receiver::Reply;

/// `reflector-api serve`, killed when dropped.
struct Program(Child);

impl Program {
    /// Starts it on the app's database and waits until it listens.
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
        while !said.contains("listening on ") {
            assert!(log.read_line(&mut said).unwrap() > 0, "it ended before it listened:\n{said}");
        }
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self(child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_a_webhook_and_the_note_of_it_repeats_it_under_the_same_id() {
    let app = App::start().await;
    app.room("standup", "/room").await;
    app.receiver.reply("/room", Reply::Silence);
    let first = Program::start(&app);
    app.ended_meeting("m-1", "standup").await;
    app.receiver.receive("/room", 1).await;
    drop(first);
    let _second = Program::start(&app);
    // Its lease keeps others away for a minute.
    app.change("UPDATE reflector.webhook_target SET leased_until = now()").await;
    app.settled("delivered", 1).await;
    let calls = app.receiver.calls("/room");
    let ids: Vec<_> = calls.iter().map(|call| call.header("webhook-id")).collect();
    assert_eq!(ids, [ids[0]; 2]);
    let retries: Vec<_> = calls.iter().map(|call| call.header("x-webhook-retry")).collect();
    assert_eq!(retries, ["0", "1"]);
}
