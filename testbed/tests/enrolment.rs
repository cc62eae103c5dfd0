//! An agent with a secret of its own, from the command that enrolls it to the one that shuts it out: real programs, and the API runs
//! on its private Postgres all the while.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use testbed::agent::{Agent, Settings};
use testbed::api::Api;
use testbed::secrets::Secrets;
use testbed::wait::eventually;
use testbed::{ports, process};

const SOON: Duration = Duration::from_mins(1);

#[test]
fn an_enrolled_agent_delivers_until_it_is_revoked() {
    let home = tempfile::Builder::new().prefix("enrolment-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    let [state, host] = ["api", "agent"].map(|name| home.path().join(name));
    let secrets = Secrets::random().unwrap();
    let variables = vec![
        ("SECRET_KEY", "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e".to_owned()),
        ("JITSI_REQUIRE_AGENT", "true".to_owned()),
    ];
    let log = home.path().join("api.log");
    let api = Api::start(&state, &log, ports::free().unwrap(), &secrets, variables).unwrap();
    let secret = api.ask(&["agents", "enroll", "jitsi-1"]).unwrap();
    let again = api.ask(&["agents", "enroll", "jitsi-1"]).unwrap_err().to_string();
    assert!(again.contains("enrolled already") && !again.contains(&secret), "{again}");

    fs::create_dir_all(host.join("agent.d")).unwrap();
    fs::write(host.join("agent.d/name.toml"), "[api]\nagent-id = \"jitsi-1\"\n").unwrap();
    let [spool, recordings] = ["spool", "recordings"].map(|name| host.join(name));
    fs::create_dir_all(&spool).unwrap();
    fs::create_dir_all(&recordings).unwrap();
    let settings = Settings {
        url: &api.url(),
        secret: &secret,
        spool: &spool,
        recordings: &recordings,
        orphan_after_seconds: 5,
    };
    let agent = Agent::start(&host, settings).unwrap();
    assert!(agent.ask(&["check"]).unwrap().contains("as the agent jitsi-1"));
    assert!(agent.ask(&["send-test"]).unwrap().contains("accepted"));
    let heard = || api.sql("SELECT count(*) FROM reflector.agent").unwrap().trim() == "1";
    assert!(eventually(SOON, heard), "no heartbeat of the running agent was taken");

    let list = api.ask(&["agents", "list"]).unwrap();
    assert!(list.starts_with("jitsi-1  enrolled ") && list.contains("  heard of "), "{list}");
    assert_eq!(list.lines().count(), 1, "nobody shares a secret: {list}");
    assert!(api.ask(&["agents", "revoke", "jitsi-1"]).unwrap().contains("is revoked"));
    let shut_out = || agent.ask(&["send-test"]).is_err_and(|error| error.to_string().contains("agents list"));
    assert!(eventually(SOON, shut_out), "the revoked agent still delivers");
    assert!(api.ask(&["agents", "list"]).unwrap().contains("  revoked "));
    assert!(!fs::read_to_string(&log).unwrap().contains(&secret));
}

#[test]
fn one_line_carried_to_the_jitsi_host_sets_its_agent_up_and_counts_no_more_once_it_is_revoked() {
    let home = tempfile::Builder::new().prefix("enrolment-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    let [state, image, log] = ["api", "image", "api.log"].map(|name| home.path().join(name));
    let secrets = Secrets::random().unwrap();
    let variables = vec![
        ("SECRET_KEY", "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e".to_owned()),
        ("JITSI_REQUIRE_AGENT", "true".to_owned()),
    ];
    let api = Api::start(&state, &log, ports::free().unwrap(), &secrets, variables).unwrap();
    let url = api.url();
    let token = home.path().join("token");
    fs::write(&token, api.ask(&["agents", "enroll", "jitsi-1", "--token", "--url", &url]).unwrap()).unwrap();
    let setup = || {
        let mut command = Command::new(process::program("reflector-agent").unwrap());
        command.env_clear().stdin(Stdio::null());
        command.args(["setup", "--root"]).arg(&image).arg("--token-file").arg(&token).output().unwrap()
    };
    let output = setup();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("accepted a signed test event"), "{output:?}");
    let drop_in = fs::read_to_string(image.join("etc/reflector-agent/agent.d/50-setup.toml")).unwrap();
    assert!(drop_in.contains("agent-id = \"jitsi-1\"") && drop_in.contains(&url), "{drop_in}");
    api.ask(&["agents", "revoke", "jitsi-1"]).unwrap();
    let refused = || {
        let output = setup();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.code() == Some(1)
            && said.contains("does not accept this")
            && said.contains("agents list")
    };
    assert!(eventually(SOON, refused), "a revoked agent can still be set up");
}
