//! Keeps the private Postgres running.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::binaries::Binaries;
use super::owner::Owner;
use super::place::Place;
use super::postmaster::Postmaster;

/// How often the process is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long to wait between two starts, at first and at most. Sessions of a killed server take a moment to end, and until then
/// the next one refuses to start.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A server that lived as long as this started well.
const STEADY: Duration = Duration::from_secs(10);
/// How long a stop in order may take.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// The task that starts the server and starts it again.
pub(super) struct Supervisor {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Adopts a running server, or starts one, and sees to it that one runs until [`Self::stop`].
    pub(super) fn start(place: Place, owner: Owner, binaries: Binaries) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move { supervise(&place, &owner, &binaries, stopped).await });
        Self { stop, task }
    }

    /// Stops the server and waits until it is gone.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        // The task ends by itself; a panic in it has been reported already.
        let _ = self.task.await;
    }
}

async fn supervise(place: &Place, owner: &Owner, binaries: &Binaries, mut stopped: watch::Receiver<bool>) {
    let mut pause = PAUSE.0;
    loop {
        let begun = Instant::now();
        match find_or_start(place, owner, binaries) {
            Ok(mut postmaster) => {
                let is_stop = tokio::select! {
                    () = until_ended(&mut postmaster) => false,
                    () = asked(&mut stopped) => true,
                };
                if is_stop {
                    return stop(postmaster).await;
                }
                tracing::warn!("the private PostgreSQL ended; it is started again");
            }
            Err(error) => tracing::error!("cannot start the private PostgreSQL: {error}"),
        }
        pause = if begun.elapsed() >= STEADY { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
        tokio::select! {
            () = sleep(pause) => {}
            () = asked(&mut stopped) => return,
        }
    }
}

/// Waits for the stop; also when whoever could ask for it is gone.
async fn asked(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn find_or_start(place: &Place, owner: &Owner, binaries: &Binaries) -> std::io::Result<Postmaster> {
    if let Some(running) = Postmaster::running(place) {
        tracing::info!("found the private PostgreSQL running; it is kept");
        return Ok(running);
    }
    Postmaster::start(place, owner, binaries)
}

async fn until_ended(postmaster: &mut Postmaster) {
    while !postmaster.has_ended() {
        sleep(LOOK).await;
    }
}

async fn stop(mut postmaster: Postmaster) {
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        postmaster.signal(signal);
        if tokio::time::timeout(STOP_PATIENCE, until_ended(&mut postmaster)).await.is_ok() {
            return;
        }
        tracing::warn!(
            "the private PostgreSQL did not stop within {} s of {signal}",
            STOP_PATIENCE.as_secs()
        );
    }
}
