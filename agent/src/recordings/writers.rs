//! Whether a process has a file open for writing.
//!
//! Only processes that we may look at are seen: those of our own user, or all of them as root. So "no" is a hint that the
//! patience of [`super::stage`] backs up.

use std::fs;
use std::path::Path;

/// Whether some process that we may look at writes to `path`.
pub fn is_written(path: &Path) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes.flatten().any(|process| {
        fs::read_dir(process.path().join("fd")).is_ok_and(|descriptors| {
            descriptors.flatten().any(|descriptor| {
                fs::read_link(descriptor.path()).is_ok_and(|target| target == path)
                    && is_for_writing(&process.path().join("fdinfo").join(descriptor.file_name()))
            })
        })
    })
}

/// The access mode is in the two lowest bits of `flags`, which is octal (`proc_pid_fdinfo(5)`); 0 is read-only.
fn is_for_writing(fdinfo: &Path) -> bool {
    let text = fs::read_to_string(fdinfo).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).map(str::trim);
    flags.and_then(|flags| u32::from_str_radix(flags, 8).ok()).is_some_and(|flags| flags & 3 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_seen_and_a_reader_does_not_count() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().canonicalize().unwrap();
        assert!(is_written(&path));
        let path = file.into_temp_path();
        let _reader = fs::File::open(&path).unwrap();
        assert!(!is_written(&path.canonicalize().unwrap()));
    }
}
