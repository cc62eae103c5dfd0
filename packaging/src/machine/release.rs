//! The systems that the packages are proven on.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// A release of Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Debian 12, with systemd 252 and Prosody 0.12.
    Bookworm,
    /// Debian 13, with systemd 257 and Prosody 13.
    Trixie,
}

impl Release {
    /// Its code name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// The tree that `packaging/machine/tree` made of it.
    pub fn tree(self) -> Result<PathBuf> {
        let link = target()?.join("package-test").join(self.name());
        link.canonicalize().with_context(|| format!("{} is missing; run: make package-test", link.display()))
    }
}

/// Where cargo puts what it builds, with the packages (`deb`) and the trees beside it.
pub fn target() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let found = here.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file());
    found
        .map(PathBuf::from)
        .with_context(|| format!("{} is not in a target directory of cargo", here.display()))
}
