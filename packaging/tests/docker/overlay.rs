//! What the overlay adds to a stock compose file, and what it leaves alone.

use serde_json::{Value, json};

use crate::merged::{Age, BEFORE, SINCE, merge, overlay, stock, whole};

const VARIABLES: [(&str, &str); 2] =
    [("CONFIG", "/cfg"), ("REFLECTOR_API_URL", "https://reflector.example.com")];

fn with(age: &Age, more: &[(&str, &str)]) -> Value {
    merge(&whole(age), &[&VARIABLES, more].concat()).unwrap()
}

fn volumes(service: &Value) -> Vec<&str> {
    service["volumes"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect()
}

#[test]
fn prosody_shares_the_spool_with_the_agent_and_keeps_all_that_it_had() {
    for age in [SINCE, BEFORE] {
        let merged = with(&age, &[]);
        let prosody = &merged["services"]["prosody"];
        let stock = merge(&[stock().join(age.name).join("docker-compose.yml")], &VARIABLES).unwrap();
        let stock = &stock["services"]["prosody"];
        for member in ["image", "read_only", "tmpfs", "networks", "user", "restart"] {
            assert_eq!(prosody[member], stock[member], "{member}");
        }
        let (now, before) = (volumes(prosody), volumes(stock));
        assert!(before.iter().all(|it| now.contains(it)), "{now:?}");
        assert_eq!(now.len(), before.len() + 1);
        assert!(now.contains(&"reflector-spool:/var/spool/reflector-agent/prosody:z"), "{now:?}");
        for variable in ["XMPP_MUC_MODULES", "XMPP_BREAKOUT_MUC_MODULES"] {
            assert_eq!(prosody["environment"][variable], "reflector_events");
        }
        let agent = &merged["services"]["reflector-agent"];
        assert!(volumes(agent).contains(&"reflector-spool:/var/spool/reflector-agent/prosody:rw"));
    }
}

#[test]
fn the_agent_is_confined_and_reads_recordings_where_the_layout_has_them() {
    for (age, recordings) in [(SINCE, "/cfg/storage/jibri:/storage:ro"), (BEFORE, "/cfg/jibri:/config:ro")] {
        let agent = &with(&age, &[])["services"]["reflector-agent"];
        assert!(volumes(agent).contains(&recordings), "{agent}");
        assert_eq!(agent["read_only"], true);
        assert_eq!(agent["cap_drop"], json!(["ALL"]));
        assert!(agent["security_opt"].as_array().unwrap().contains(&json!("no-new-privileges:true")));
        assert_eq!(agent["user"], Value::Null, "the image's user");
        assert_eq!(agent["secrets"], json!([{"source": "reflector"}]));
        assert!(!agent["environment"].to_string().contains("SECRET\""), "{agent}");
    }
}

#[test]
fn names_that_containers_change_with_each_start_are_fixed() {
    let services = &with(&SINCE, &[("REFLECTOR_HOST", "jitsi-1")])["services"];
    assert_eq!(services["prosody"]["hostname"], "jitsi-1");
    assert_eq!(services["reflector-agent"]["hostname"], "jitsi-1");
}

#[test]
fn what_an_operator_has_set_for_prosody_stays() {
    let own = [
        ("XMPP_MUC_MODULES", "token_affiliation,reflector_events"),
        ("XMPP_HIDDEN_DOMAIN", "recorder.example.com"),
        ("GLOBAL_CONFIG", "own = 1"),
    ];
    let prosody = &with(&SINCE, &own)["services"]["prosody"]["environment"];
    assert_eq!(prosody["XMPP_MUC_MODULES"], "token_affiliation,reflector_events");
    assert_eq!(
        prosody["GLOBAL_CONFIG"],
        r#"own = 1\nreflector_main_muc = "muc.meet.jitsi"\nreflector_hidden_domain = "recorder.example.com""#
    );
}

#[test]
fn a_host_with_jibri_alone_needs_no_prosody() {
    for age in [SINCE, BEFORE] {
        let files = [overlay().join("compose.reflector.yml"), overlay().join(age.jibri)];
        let merged = merge(&files, &VARIABLES).unwrap();
        assert_eq!(merged["services"]["prosody"], Value::Null);
        let init = &merged["services"]["reflector-init"];
        assert_eq!(volumes(init), ["reflector-spool:/var/spool/reflector-agent/prosody:rw"]);
    }
}

#[test]
fn without_the_apis_address_nothing_starts_and_the_reason_is_said() {
    let said = merge(&whole(&SINCE), &[("CONFIG", "/cfg")]).unwrap_err();
    assert!(said.contains("the address of your Reflector API"), "{said}");
}
