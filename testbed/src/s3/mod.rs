//! An S3 server on this host: real Signature V4, presigned addresses that expire, multipart uploads; objects are files.
//!
//! The protocol is the crate `s3s`; [`store`] keeps what it is told. It is as strict as AWS where recordings depend on it: a
//! part's `ETag` must be right at the completion, parts but the last have 5 MiB, an upload that has ended is `NoSuchUpload`.

pub mod cli;
mod listing;
mod policy;
mod serve;
mod store;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use self::policy::Policy;
use self::store::Store;

/// The bucket that every server has.
pub const BUCKET: &str = "recordings";

/// Threads that serve. Writing files and hashing them is the work.
const WORKERS: usize = 2;

/// What requests are signed with.
#[derive(Clone)]
pub struct Keys {
    /// The access key's id.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
}

/// A running server. It ends when dropped; the objects stay.
#[derive(Debug)]
pub struct S3 {
    address: SocketAddr,
    directory: PathBuf,
    keys: Keys,
    whereby_keys: Keys,
    reads: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keys {
    /// Random ones.
    pub fn random() -> Self {
        let text = |length: usize| std::iter::repeat_with(fastrand::alphanumeric).take(length).collect();
        Self { access_key: text(20), secret_key: text(40) }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({}, hidden)", self.access_key)
    }
}

impl S3 {
    /// Starts a server on a free loopback port that keeps its objects in `directory`, with keys of its own.
    pub fn start(directory: &Path) -> io::Result<Self> {
        Self::start_with(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), directory, Keys::random())
    }

    /// Starts a server on `address`. A directory that a server has used before still holds its objects and its uploads.
    pub fn start_with(address: SocketAddr, directory: &Path, keys: Keys) -> io::Result<Self> {
        fs::create_dir_all(directory.join(BUCKET))?;
        let directory = directory.canonicalize()?;
        let reads = Arc::new(AtomicU64::new(0));
        let store = Store::open(directory.clone(), Arc::clone(&reads))?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let whereby_keys = Keys::random();
        let policy = Policy { of_whereby: whereby_keys.access_key.clone(), directory: directory.clone() };
        let service = serve::service(store, [&keys, &whereby_keys], policy);
        let thread = thread::Builder::new()
            .name("s3".to_owned())
            .spawn(move || runtime.block_on(serve::run(listener, service, stopped)))?;
        Ok(Self { address, directory, keys, whereby_keys, reads, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint's address, for path-style requests.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What requests are signed with.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Keys that may do no more than what the policy of the Whereby guide allows: write and read objects.
    pub fn whereby_keys(&self) -> &Keys {
        &self.whereby_keys
    }

    /// The variables with which somebody who follows the Whereby guide names this bucket, and where the server is.
    pub fn whereby_environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_WHEREBY_ACCESS_KEY_ID", self.whereby_keys.access_key.clone()),
            ("AWS_WHEREBY_ACCESS_KEY_SECRET", self.whereby_keys.secret_key.clone()),
            ("RECORDING_STORAGE_AWS_BUCKET_NAME", BUCKET.to_owned()),
            ("RECORDING_STORAGE_AWS_ENDPOINT_URL", self.url()),
        ]
    }

    /// The file that holds the object `key` of [`BUCKET`], whether or not there is one.
    pub fn object(&self, key: &str) -> PathBuf {
        self.directory.join(BUCKET).join(key)
    }

    /// How many uploads are neither completed nor aborted.
    pub fn open_uploads(&self) -> io::Result<usize> {
        Ok(fs::read_dir(self.directory.join(store::UPLOADS))?.count())
    }

    /// How often reading an object has begun.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// The variables with which `reflector-api` keeps recordings here.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("RECORDING_STORAGE_BACKEND", "aws".to_owned()),
            ("RECORDING_STORAGE_AWS_BUCKET_NAME", BUCKET.to_owned()),
            ("RECORDING_STORAGE_AWS_ENDPOINT_URL", self.url()),
            ("RECORDING_STORAGE_AWS_ACCESS_KEY_ID", self.keys.access_key.clone()),
            ("RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY", self.keys.secret_key.clone()),
        ]
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
