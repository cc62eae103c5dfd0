//! Everything that is generated, written below a directory for each package.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::{completions, programs};

/// Writes the documents of each program below `directory/PROGRAM`, at the paths that a package has them at.
pub fn write(directory: &Path, _date: &str) -> anyhow::Result<()> {
    for program in programs::all() {
        let root = directory.join(program.get_name());
        for (path, text) in completions::of(&program) {
            write_file(&root.join(path), &text)?;
        }
    }
    Ok(())
}

fn write_file(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let parent = path.parent().context("a document has a directory")?;
    fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
