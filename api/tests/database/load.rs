//! Postgres is killed while events arrive.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::sys::signal::{Signal, kill};
use sqlx::Connection as _;
use tokio::task::JoinSet;

use crate::client::{deliver, health};
use crate::program::{Program, StateDir};
use crate::wait;

const SENDERS: usize = 8;

#[derive(Default)]
struct Watch {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_postgres_is_killed_and_service_comes_back_by_itself() {
    let state = StateDir::new();
    let program = Program::start(state.path());
    make_meeting(&state).await;
    let watch = Arc::new(Watch::default());
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        senders.spawn(send(program.address, sender, Arc::clone(&watch)));
    }
    for round in 1..=2 {
        progress(&watch, round * 50).await;
        let victim = state.postmaster().unwrap();
        kill(victim, Signal::SIGKILL).unwrap();
        let before = watch.acknowledged.load(Ordering::SeqCst);
        wait::until("another postmaster", async || state.postmaster().filter(|pid| *pid != victim)).await;
        progress(&watch, before + 50).await;
    }
    watch.stop.store(true, Ordering::SeqCst);
    let acknowledged: BTreeSet<String> = senders.join_all().await.into_iter().flatten().collect();
    assert!(watch.refused.load(Ordering::SeqCst) > 0, "the outage was never seen");

    let mut session = state.connect().await.unwrap();
    let stored: Vec<String> =
        sqlx::query_scalar("SELECT id FROM reflector.meeting_event").fetch_all(&mut session).await.unwrap();
    session.close().await.unwrap();
    let missing: Vec<_> = acknowledged.iter().filter(|id| !stored.contains(id)).collect();
    assert!(missing.is_empty(), "acknowledged and lost: {missing:?}");
    assert_eq!(health(program.address).await.unwrap(), 200);
    assert_eq!(program.terminate().code(), Some(0));
}

async fn progress(watch: &Watch, count: usize) {
    wait::until("acknowledgements", async || {
        (watch.acknowledged.load(Ordering::SeqCst) >= count).then_some(())
    })
    .await;
}

/// Delivers one event after the other, each until it is acknowledged. Whatever is no 200 must be a 503 with `Retry-After`.
async fn send(address: SocketAddr, sender: usize, watch: Arc<Watch>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let id = format!("evt_{sender}_{number}");
        while !watch.stop.load(Ordering::SeqCst) {
            let (status, says_when) = deliver(address, &id).await.expect("the program answers");
            if status == 200 {
                watch.acknowledged.fetch_add(1, Ordering::SeqCst);
                acknowledged.push(id);
                break;
            }
            assert_eq!((status.as_u16(), says_when), (503, true));
            watch.refused.fetch_add(1, Ordering::SeqCst);
        }
        if watch.stop.load(Ordering::SeqCst) {
            break;
        }
    }
    acknowledged
}

/// The meeting that the events belong to.
pub(crate) async fn make_meeting(state: &StateDir) {
    let mut session = state.connect().await.unwrap();
    sqlx::query(
        "INSERT INTO reflector.meeting (id, room_name, platform, start_date, end_date, is_locked, room_mode, \
         recording_type, recording_trigger) \
         VALUES ('m', 'r', 'jitsi', now(), now() + interval '8 h', false, 'normal', 'cloud', 'none')",
    )
    .execute(&mut session)
    .await
    .unwrap();
    session.close().await.unwrap();
}
