//! `reflector-agent finalize`: what Jibri may run when a recording is finished. Tells the agent to look now.
//!
//! The agent finds finished recordings by itself; this saves the log line about a missing script, and the wait for the next
//! look where the kernel reports no changes. Jibri waits for its script without any limit and writes its output into its
//! own log, so this returns in milliseconds, says little, and never fails.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use super::say;
use crate::hint;
use crate::kept::keep;

/// Gives the hint, then runs the next script if there is one. Always ends well: a recording must not look failed because
/// of us.
pub(super) fn finalize(outbox: &Path, then: Option<&Path>, arguments: &[OsString]) -> ExitCode {
    let subject = arguments.first().map(Path::new);
    match subject {
        None => say("reflector-agent finalize: no session directory was named; Jibri passes one"),
        Some(path) if !path.exists() => say(&format!(
            "reflector-agent finalize: {} does not exist; the agent reports what it finds below its roots (`reflector-agent doctor`)",
            path.display()
        )),
        Some(_) => {}
    }
    let kept = then.and(subject).map(keep);
    if !hint::give(outbox) {
        say("reflector-agent finalize: no agent waits for a hint here; it finds the recording when it runs");
    }
    if let Some(Err(error)) = kept {
        say(&format!(
            "reflector-agent finalize: the recording could not be kept ({error}); if the next script removes it before the agent has read it, it is not reported"
        ));
    }
    if let Some(program) = then {
        run(program, arguments);
    }
    ExitCode::SUCCESS
}

/// Runs the next script as Jibri would have: same arguments, same output, and we wait for it as Jibri would.
fn run(program: &Path, arguments: &[OsString]) {
    let what = match Command::new(program).args(arguments).status() {
        Ok(status) if status.success() => return,
        Ok(status) => format!("ended with {status}"),
        Err(error) => format!("could not be run: {error}"),
    };
    say(&format!("reflector-agent finalize: {} {what}", program.display()));
}
