//! An agent with a secret of its own, from the command that enrolls it to the one that shuts it out: real programs, and the API runs
//! on its private Postgres all the while.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use testbed::agent::{Agent, Settings};
use testbed::api::Api;
use testbed::ports;
use testbed::secrets::Secrets;
use testbed::wait::eventually;

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
