//! The server's threads: s3s behind hyper's HTTP/1.

use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Keys;
use super::policy::Policy;
use super::store::Store;

/// The service that answers for `store` to those who sign with one of `keys`, of which `policy` knows what they may do.
pub(super) fn service(store: Store, keys: [&Keys; 2], policy: Policy) -> S3Service {
    let mut builder = S3ServiceBuilder::new(store);
    let mut auth = SimpleAuth::new();
    for keys in keys {
        auth.register(keys.access_key.clone(), keys.secret_key.clone().into());
    }
    builder.set_auth(auth);
    builder.set_access(policy);
    builder.build()
}

/// Serves until the owner is gone; what is under way then is cut off.
pub(super) async fn run(
    listener: std::net::TcpListener,
    service: S3Service,
    mut stopped: oneshot::Receiver<()>,
) {
    // Without it nobody is served, which they notice.
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => return,
        };
        // Whoever cannot be accepted, or hangs up, tries again.
        let Ok((stream, _)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        connections.spawn(async move {
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
