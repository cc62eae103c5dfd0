//! Whether a process has a file open for writing, or was started to work in a directory.
//!
//! Only processes that we may look at are seen: those of our own user, or all of them as root. So "no" is a hint that the
//! patience of [`mod@super::stage`] backs up.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether some process that we may look at writes to the file at `path`.
pub fn is_written(path: &Path) -> bool {
    let (Ok(file), Ok(processes)) = (fs::metadata(path), fs::read_dir("/proc")) else { return false };
    processes.flatten().any(|process| {
        fs::read_dir(process.path().join("fd")).is_ok_and(|descriptors| {
            descriptors.flatten().any(|descriptor| {
                is_open_as(&descriptor.path(), path, &file)
                    && is_for_writing(&process.path().join("fdinfo").join(descriptor.file_name()))
            })
        })
    })
}

/// Whether some process that we may look at was given this session directory, or something in it, on its command line: the
/// finalize script is, and so are the programs that it calls. Roots have several names, so the session's own name counts.
pub fn is_named(directory: &Path) -> bool {
    let (Some(session), Ok(processes)) = (directory.file_name(), fs::read_dir("/proc")) else { return false };
    processes.flatten().any(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| matches!(byte, 0 | b'/')).any(|part| part == session.as_encoded_bytes())
    })
}

/// Whether the descriptor leads to the file, whichever way the path takes: roots may be links, containers mount them
/// elsewhere.
fn is_open_as(descriptor: &Path, path: &Path, file: &fs::Metadata) -> bool {
    // The name is compared first, because asking after the file itself can hang on a network file system that is none
    // of our business.
    fs::read_link(descriptor).is_ok_and(|target| target.file_name() == path.file_name())
        && fs::metadata(descriptor).is_ok_and(|open| (open.dev(), open.ino()) == (file.dev(), file.ino()))
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
        assert!(is_written(file.path()));
        let path = file.into_temp_path();
        let _reader = fs::File::open(&path).unwrap();
        assert!(!is_written(&path));
    }

    #[test]
    fn a_program_that_was_given_the_session_is_seen() {
        let session = Path::new("/elsewhere/b2f7c1e0-session");
        assert!(!is_named(session));
        let script = ["-c", "echo; read x", "finalize", "/srv/recordings/b2f7c1e0-session/"];
        let mut program = std::process::Command::new("sh")
            .args(script)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0];
        std::io::Read::read_exact(program.stdout.as_mut().unwrap(), &mut line).unwrap();
        assert!(is_named(session));
        assert!(!is_named(Path::new("/srv/b2f7c1e0")));
        drop(program.stdin.take());
        program.wait().unwrap();
        assert!(!is_named(session));
    }

    #[test]
    fn a_writer_is_seen_through_a_linked_root_and_another_file_of_that_name_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let [real, link, other] = ["real", "link", "other"].map(|name| directory.path().join(name));
        fs::create_dir(&real).unwrap();
        fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let _writer = fs::File::create(real.join("a.mp4")).unwrap();
        fs::write(other.join("a.mp4"), b"").unwrap();
        assert!(is_written(&link.join("a.mp4")));
        assert!(!is_written(&other.join("a.mp4")));
    }
}
