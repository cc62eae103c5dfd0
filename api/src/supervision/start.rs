//! Starts that take long.

use host::notify::{EXTEND_EVERY, extend};
use tokio::time::sleep;

/// Does `work`, which may take any time, without running into the limit of the start.
pub(crate) async fn patiently<T>(work: impl Future<Output = T>) -> T {
    let asking = async {
        loop {
            extend();
            sleep(EXTEND_EVERY).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = asking => unreachable!("it asks for ever"),
    }
}
