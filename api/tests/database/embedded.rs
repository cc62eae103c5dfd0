//! Start, adoption, stop.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::signal::kill;
use nix::unistd::Uid;
use sqlx::Connection as _;

use crate::client::{deliver, health};
use crate::load::make_meeting;
use crate::program::{Program, StateDir, command, user_of};

fn said(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn it_starts_from_nothing_as_whoever_starts_it_and_stops_in_order() {
    let state = StateDir::new();
    let program = Program::start(state.path());
    assert_eq!(health(program.address).await.unwrap(), 200);
    let postmaster = state.postmaster().unwrap();
    assert_ne!(user_of(postmaster), 0);
    if !Uid::effective().is_root() {
        assert_eq!(user_of(postmaster), Uid::effective().as_raw());
    }
    let mode = |name: &str| std::fs::metadata(state.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run"), mode("postgres")), (0o700, 0o700));
    let fsync: String = {
        let mut session = state.connect().await.unwrap();
        let fsync = sqlx::query_scalar("SHOW fsync").fetch_one(&mut session).await.unwrap();
        session.close().await.unwrap();
        fsync
    };
    assert_eq!(fsync, "on");
    assert_eq!(program.terminate().code(), Some(0));
    assert!(kill(postmaster, None).is_err() && state.postmaster().is_none());
}

#[tokio::test]
async fn a_postgres_that_outlived_the_program_is_adopted_with_all_it_holds() {
    let state = StateDir::new();
    let program = Program::start(state.path());
    make_meeting(&state).await;
    assert_eq!(deliver(program.address, "evt_1").await.unwrap().0, 200);
    let postmaster = state.postmaster().unwrap();
    program.kill();
    assert!(kill(postmaster, None).is_ok());

    let program = Program::start(state.path());
    assert_eq!(state.postmaster(), Some(postmaster));
    let mut session = state.connect().await.unwrap();
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT id FROM reflector.meeting_event").fetch_all(&mut session).await.unwrap();
    assert_eq!(ids, ["evt_1"]);
    session.close().await.unwrap();
    assert_eq!(program.terminate().code(), Some(0));
    assert!(kill(postmaster, None).is_err());
}

#[tokio::test]
async fn a_second_program_in_the_same_directory_is_refused() {
    let state = StateDir::new();
    let first = Program::start(state.path());
    let (code, error) = said(command(state.path()).args(["serve", "--listen", "127.0.0.1:0"]));
    assert_eq!(code, Some(1));
    assert!(error.contains("another reflector-api uses the state directory"), "{error}");
    assert_eq!(health(first.address).await.unwrap(), 200);
    assert_eq!(first.terminate().code(), Some(0));
}

#[tokio::test]
async fn a_state_directory_too_deep_for_a_socket_is_served_all_the_same() {
    let state = StateDir::new();
    let deep = state.path().join("x".repeat(100));
    let program = Program::start(&deep);
    assert_eq!(health(program.address).await.unwrap(), 200);
    assert_eq!(program.terminate().code(), Some(0));
}

#[test]
fn a_directory_that_postgres_cannot_enter_is_named() {
    if !Uid::effective().is_root() {
        return;
    }
    let closed = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let (code, error) = said(command(&closed.path().join("state")).arg("migrate"));
    assert_eq!(code, Some(1));
    assert!(
        error.contains("cannot enter") && error.contains(&closed.path().display().to_string()),
        "{error}"
    );
}

#[test]
fn a_state_directory_in_which_root_has_worked_is_refused_with_the_way_to_hand_it_over() {
    const SOMEBODY: u32 = 65534;
    if !Uid::effective().is_root() {
        return;
    }
    for (file, is_directory) in [("lock", false), ("postgres", true), ("postgres/start.log", false)] {
        let state = StateDir::new();
        chown(state.path(), Some(SOMEBODY), None).unwrap();
        let path = state.path().join(file);
        if is_directory {
            std::fs::create_dir(&path).unwrap();
        } else {
            let above = path.parent().unwrap();
            std::fs::create_dir_all(above).unwrap();
            chown(above, Some(SOMEBODY), None).unwrap();
            std::fs::write(&path, "").unwrap();
        }
        let program = state.path().join("program");
        std::fs::copy(env!("CARGO_BIN_EXE_reflector-api"), &program).unwrap();
        let mut command = Command::new(&program);
        command.uid(SOMEBODY).gid(SOMEBODY).env_clear().env("REFLECTOR_API_STATE_DIR", state.path());
        let (code, said) = said(command.current_dir("/").arg("migrate"));
        assert_eq!(code, Some(1), "{file}: {said}");
        let remedy = format!("sudo chown -R nobody: {}", state.path().display());
        assert!(said.contains(file) && said.contains(&remedy), "{file}: {said}");
    }
}

#[test]
fn migrate_makes_the_schema_and_leaves_nothing_running() {
    let state = StateDir::new();
    let (code, error) = said(command(state.path()).arg("migrate"));
    assert_eq!(code, Some(0), "{error}");
    assert!(state.path().join("postgres/data/PG_VERSION").exists() && state.postmaster().is_none());
}
