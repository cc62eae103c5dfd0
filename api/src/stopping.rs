//! The wait for the end of the process.

use tokio::sync::watch;

/// Completes when whoever holds the other end says `true`, or is gone.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error says that whoever would tell is gone, which comes to the same.
    let _ = stopping.wait_for(|stop| *stop).await;
}
