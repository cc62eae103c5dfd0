//! `reflector-api check` asks Whereby what the service would ask.

use std::process::{Command, Output};

use testbed::whereby::Whereby;

fn check(whereby: &Whereby, changes: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reflector-api"));
    command.arg("check").env_clear().envs(whereby.environment());
    command.envs(changes.iter().copied()).output().unwrap()
}

#[test]
fn a_key_is_tried_and_what_is_wrong_with_it_is_said() {
    let whereby = Whereby::start().unwrap();
    let gone = "http://127.0.0.1:9/v1";
    for (changes, code, expected) in [
        (&[][..], 0, "Whereby takes the key"),
        (&[("WHEREBY_API_KEY", "a-key-that-has-expired")], 1, "set WHEREBY_API_KEY to a key"),
        (&[("WHEREBY_API_URL", gone)], 1, "check WHEREBY_API_URL"),
        (&[("WHEREBY_API_KEY", "your-whereby-jwt-api-key")], 78, "WHEREBY_API_KEY: is still the placeholder"),
    ] {
        let output = check(&whereby, changes);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains(whereby.api_key()) && !said.contains("a-key-that-has"), "{said}");
    }
}
