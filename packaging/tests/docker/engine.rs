//! Containers by podman, in a place of their own that goes with the test.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use packaging::machine::target;
use serde_json::Value;
use tempfile::TempDir;
use testbed::process::Process;
use testbed::wait::eventually;

/// Longer than anything takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_mins(3);

/// The network of a container: its own, and this host's loopback is 10.0.2.2.
const NETWORK: &str = "slirp4netns:allow_host_loopback=true";

/// Images and containers.
pub(crate) struct Engine {
    /// Holds the mount namespace in which podman sees cgroups as it wants them.
    namespace: Process,
    pub(crate) directory: TempDir,
}

impl Engine {
    /// An engine that has the base image and nothing else.
    pub(crate) fn new() -> Self {
        let directory = testbed::home::directory().unwrap();
        let mut holder = Command::new("unshare");
        holder.args(["--mount", "--propagation", "private", "--", "sh", "-euc"]);
        holder.arg("umount -R -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; echo ready; exec sleep infinity");
        let log = directory.path().join("namespace.log");
        let mut namespace = Process::spawn("unshare", &holder, &log).unwrap();
        namespace.wait_until(SOON, || fs::read_to_string(&log).is_ok_and(|it| it.contains("ready"))).unwrap();
        let engine = Self { namespace, directory };
        engine.run(&[
            "import",
            "--quiet",
            base().to_str().unwrap(),
            "docker.io/library/debian:bookworm-slim",
        ]);
        engine
    }

    /// Builds an image from a Dockerfile, with a directory as its context.
    pub(crate) fn build(&self, name: &str, file: &Path, context: &Path) {
        let (file, context) = (file.to_str().unwrap(), context.to_str().unwrap());
        let how =
            ["build", "--quiet", "--layers=false", "--format=docker", "--isolation=chroot", "--network=host"];
        let what = ["--tag", name, "--file", file, context];
        self.run(&[&how[..1], &LIMITS, &how[1..], &what].concat());
    }

    /// Runs a service of a merged compose file to its end.
    pub(crate) fn finish(&self, service: &Value, more: &[&str]) {
        let options = options(service, more);
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        self.run(&options);
    }

    /// Starts a service of a merged compose file; it ends when the process is dropped.
    pub(crate) fn start(&self, name: &str, service: &Value, more: &[&str]) -> Process {
        let mut command = self.podman();
        command.args(options(service, &[&["--name", name], more].concat()));
        Process::spawn(name, &command, &self.directory.path().join(format!("{name}.log"))).unwrap()
    }

    /// Runs podman, which must succeed; what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let (succeeded, printed) = self.attempt(arguments);
        assert!(succeeded, "podman {arguments:?}: {printed}");
        printed
    }

    /// Whether podman succeeded, and what it printed.
    pub(crate) fn attempt(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.podman().args(arguments).output().unwrap();
        let printed =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.success(), printed.concat())
    }

    /// The first process of a container.
    pub(crate) fn process(&self, name: &str) -> u32 {
        let mut pid = None;
        eventually(SOON, || {
            let (_, said) = self.attempt(&["inspect", "--format", "{{.State.Pid}}", name]);
            pid = said.trim().parse().ok().filter(|pid| *pid > 0);
            pid.is_some()
        });
        pid.unwrap_or_else(|| panic!("{name} does not start: {}", self.log(name)))
    }

    /// What a container printed.
    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    fn podman(&self) -> Command {
        let at = self.directory.path();
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.namespace.pid())).args(["--", "podman"]);
        command.arg("--root").arg(at.join("storage")).arg("--runroot").arg(at.join("run"));
        command.args(["--storage-driver=overlay", "--cgroup-manager=cgroupfs", "--events-backend=file"]);
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // What a failed test has left.
        self.attempt(&["rm", "--all", "--force", "--time=1"]);
        self.attempt(&["system", "reset", "--force"]);
    }
}

/// More than this host lets anybody have is refused.
const LIMITS: [&str; 2] = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"];

/// `podman run` with the options of a compose file's service.
fn options(service: &Value, more: &[&str]) -> Vec<String> {
    // Its timers for health checks want systemd; the test asks for itself.
    let mut all = ["run", "--rm", "--cgroups=disabled", "--no-healthcheck"].map(str::to_owned).to_vec();
    all.extend(LIMITS.map(str::to_owned));
    let network = if service["network_mode"] == "none" { "none" } else { NETWORK };
    all.push(format!("--network={network}"));
    if service["read_only"] == true {
        all.extend(["--read-only".to_owned(), "--read-only-tmpfs=false".to_owned()]);
    }
    for (member, option) in [("user", "--user"), ("hostname", "--hostname")] {
        all.extend(service[member].as_str().map(|value| format!("{option}={value}")));
    }
    let lists = [("tmpfs", "--tmpfs"), ("cap_drop", "--cap-drop"), ("cap_add", "--cap-add")];
    for (member, option) in
        lists.into_iter().chain([("security_opt", "--security-opt"), ("volumes", "--volume")])
    {
        let values = service[member].as_array().into_iter().flatten();
        all.extend(values.map(|value| format!("{option}={}", value.as_str().unwrap())));
    }
    let environment = service["environment"].as_object().into_iter().flatten();
    all.extend(environment.filter_map(|(name, value)| Some(format!("--env={name}={}", value.as_str()?))));
    if service["entrypoint"].is_array() {
        all.push(format!("--entrypoint={}", service["entrypoint"]));
    }
    all.extend(more.iter().map(|&it| it.to_owned()));
    all.push(service["image"].as_str().unwrap().to_owned());
    all
}

/// The file system of Debian's image, made once.
fn base() -> std::path::PathBuf {
    let directory = target().unwrap().join("docker-test");
    let base = directory.join("bookworm-slim.tar");
    if !base.exists() {
        fs::create_dir_all(&directory).unwrap();
        let half = directory.join(format!("half-{}.tar", std::process::id()));
        let mut mmdebstrap = Command::new("mmdebstrap");
        let made = mmdebstrap.args(["--quiet", "--variant=minbase", "bookworm"]).arg(&half).status().unwrap();
        assert!(made.success(), "mmdebstrap failed");
        fs::rename(half, &base).unwrap();
    }
    base
}
