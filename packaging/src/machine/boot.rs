//! Starting and ending the container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::process::Process;

use super::Options;
use super::network::Place;
use super::release::{Release, target};

/// How long the container's manager may take to notice that its first process is gone.
const FAREWELL: Duration = Duration::from_secs(20);

/// What makes the view of a lone host: cgroup v2 alone, in a mount namespace that this host does not see, and in a group
/// of its own, by which everything in the machine can be found. `bpf` lets systemd filter addresses, which it would leave
/// out without a word.
const SCRIPT: &str = r#"
umount -R -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$ID"
echo $$ >"/sys/fs/cgroup/$ID/cgroup.procs"
if [ "$LASTING" = yes ]; then
    mkdir -p "$DIRECTORY/upper" "$DIRECTORY/work" "$DIRECTORY/root"
    mount -t overlay overlay -o "lowerdir=$TREE,upperdir=$DIRECTORY/upper,workdir=$DIRECTORY/work" "$DIRECTORY/root"
    set -- --directory="$DIRECTORY/root"
else
    set -- --directory="$TREE" --volatile=overlay
fi
exec env --ignore-environment PATH="$PATH" systemd-nspawn --quiet --boot --machine="$ID" --hostname="$HOST" \
    --register=no --keep-unit --console=read-only --resolv-conf=off --timezone=off \
    --system-call-filter=bpf --network-namespace-path="/run/netns/$ID" "$@"
"#;

/// A directory for what a machine leaves on this host's disk.
pub(super) fn directory(id: &str) -> Result<PathBuf> {
    let directory = target()?.join("package-test").join("machines").join(id);
    // A killed test may have left one.
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Starts the container; its console goes to `console.log` in the directory.
pub(super) fn start(release: Release, place: &Place, directory: &Path, options: Options) -> Result<Process> {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "--", "bash", "-euc", SCRIPT])
        .env("ID", &place.id)
        .env("HOST", &place.host)
        .env("TREE", release.tree()?)
        .env("DIRECTORY", directory)
        .env("LASTING", if options.lasting { "yes" } else { "no" });
    Process::spawn("systemd-nspawn", &command, &directory.join("console.log"))
}

/// The first process of the container that `nspawn` runs, once it is there.
pub(super) fn leader(nspawn: i32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid| is_first(*pid))
}

/// Whether a process is the first in a namespace of processes of its own.
fn is_first(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    ids.split_whitespace().skip(1).last() == Some("1")
}

/// Ends the container at once: nothing in it is worth an orderly end, and the kernel takes all of its processes with the
/// first one.
pub(super) fn end(process: &mut Process, leader: i32, id: &str) {
    if leader > 0 {
        let _ = kill(Pid::from_raw(leader), Signal::SIGKILL);
    }
    let group = group(id);
    if leader == 0 || process.wait(FAREWELL).is_err() {
        let _ = fs::write(group.join("cgroup.kill"), "1");
        let _ = process.wait(FAREWELL);
    }
    let _ = remove_groups(&group);
}

/// The machine's cgroup as this host sees it.
fn group(id: &str) -> PathBuf {
    let unified = Path::new("/sys/fs/cgroup/unified");
    let base = if unified.is_dir() { unified } else { Path::new("/sys/fs/cgroup") };
    base.join(id)
}

/// Removes a cgroup with those below it; each must be empty.
fn remove_groups(group: &Path) -> Result<()> {
    for entry in fs::read_dir(group).with_context(|| group.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_groups(&entry.path())?;
        }
    }
    Ok(fs::remove_dir(group)?)
}
