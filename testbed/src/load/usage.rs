//! What a process costs, from `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// The clock ticks of `/proc/PID/stat` in a second: `USER_HZ`, the same on every architecture that we build for.
const TICKS_PER_SECOND: u64 = 100;

/// A process's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Resident now, in KiB (`VmRSS`).
    pub resident_kib: u64,
    /// The highest it ever was, in KiB (`VmHWM`).
    pub peak_kib: u64,
}

/// The CPU time of a process and all its threads, user and system, with a resolution of 10 ms.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    ticks_of(&stat)
        .map(|ticks| Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has no CPU times")))
}

/// The memory of a process.
pub fn memory(pid: u32) -> io::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name| {
        kib_of(&status, name).ok_or_else(|| io::Error::other(format!("/proc/{pid}/status has no {name}")))
    };
    Ok(Memory { resident_kib: field("VmRSS:")?, peak_kib: field("VmHWM:")? })
}

/// User and system ticks; the command's name before them may hold blanks and brackets.
fn ticks_of(stat: &str) -> Option<u64> {
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn kib_of(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_command_name() {
        let stat = "4711 (a ) b) S 1 2 3 0 -1 4194560 10 0 0 0 150 25 0 0 20 0 4 0 99 1 2 3";
        assert_eq!(ticks_of(stat), Some(175));
        assert_eq!(ticks_of("4711 (a) S 1"), None);
    }

    #[test]
    fn this_process_has_memory_and_its_peak_is_not_below_it() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.resident_kib > 0 && memory.peak_kib >= memory.resident_kib, "{memory:?}");
        cpu_time(std::process::id()).unwrap();
    }
}
