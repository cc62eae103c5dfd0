//! Where the product's binaries are.

use std::env;
use std::path::PathBuf;

/// A binary that has not been built yet.
#[derive(Debug, thiserror::Error)]
#[error("{path} does not exist; build it first: cargo build{release} --workspace --bins", path = path.display())]
pub struct BinaryMissing {
    path: PathBuf,
    release: &'static str,
}

/// The binary `name` of the same build as the running program (a test, or `testbed` itself).
pub fn binary(name: &str) -> Result<PathBuf, BinaryMissing> {
    let directory =
        env::current_exe().ok().and_then(|exe| exe.parent().map(PathBuf::from)).unwrap_or_default();
    let directory = if directory.ends_with("deps") { directory.join("..") } else { directory };
    let path = directory.join(name);
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    if path.is_file() { Ok(path) } else { Err(BinaryMissing { path, release }) }
}
