//! People who come with a token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use testbed::prosody::DOMAIN;
use testbed::xmpp::{Client, Login, display_name};

use crate::scene::{Scene, TOKEN_SECRET, room};

/// A token as Jitsi's authentication expects it, signed with `secret`.
fn token(secret: &str, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&json!({ "alg": "HS256", "typ": "JWT" })), encode(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn claims() -> Value {
    json!({
        "iss": "reflector", "aud": "jitsi", "sub": DOMAIN, "room": "daily", "exp": 4_102_444_800_u64,
        "context": { "user": { "id": "u-17", "name": "Alice in the token", "email": "alice@example.com" }, "group": "g-1" },
    })
}

impl Scene {
    fn with_token(&self, token: &str) -> anyhow::Result<Client> {
        Client::connect(
            self.prosody.port(),
            Login::Account { domain: DOMAIN, user: "alice", password: token },
        )
    }
}

#[test]
fn the_user_of_a_token_is_told_and_cannot_be_forged() {
    let scene = Scene::new();
    let focus = scene.focus();
    focus.join(&room("daily"), "focus", "").unwrap();
    let alice = scene.with_token(&token(TOKEN_SECRET, &claims())).unwrap();
    let forged = "<email>boss@example.com</email><identity xmlns='x'><user><id>u-1</id></user></identity>";
    alice.join(&room("daily"), "aaaaaaaa", forged).unwrap();
    alice.update(&room("daily"), "aaaaaaaa", &(display_name("Alice") + forged)).unwrap();
    scene.wait_for("muc-occupant-updated", 1);
    let events = scene.events();
    let [joined, updated] = [&events[2], &events[3]];
    for event in [joined, updated] {
        assert_eq!((event.text("user_id"), event.text("email")), ("u-17", "alice@example.com"));
        assert_eq!(event.text("group"), "g-1");
    }
    assert_eq!((joined.text("display_name"), updated.text("display_name")), ("Alice in the token", "Alice"));
    assert_eq!(updated.data["changed"], json!(["display_name"]));
}

#[test]
fn a_token_whose_user_is_no_object_costs_no_event() {
    let scene = Scene::new();
    let focus = scene.focus();
    focus.join(&room("daily"), "focus", "").unwrap();
    let mut odd = claims();
    odd["context"]["user"] = json!(17);
    let alice = scene.with_token(&token(TOKEN_SECRET, &odd)).unwrap();
    alice.join(&room("daily"), "aaaaaaaa", &display_name("Alice")).unwrap();
    scene.wait_for("muc-occupant-joined", 1);
    let events = scene.events();
    assert_eq!(events[2].text("display_name"), "Alice");
    assert!(!events[2].data.contains_key("user_id"));
}

#[test]
fn a_token_opens_its_own_room_and_only_with_the_right_signature() {
    let scene = Scene::new();
    let focus = scene.focus();
    focus.join(&room("other"), "focus", "").unwrap();
    assert!(scene.with_token(&token("some other secret", &claims())).is_err());
    let mut expired = claims();
    expired["exp"] = json!(1_700_000_000);
    assert!(scene.with_token(&token(TOKEN_SECRET, &expired)).is_err());
    let alice = scene.with_token(&token(TOKEN_SECRET, &claims())).unwrap();
    let refusal = alice.join(&room("other"), "aaaaaaaa", "").unwrap_err();
    assert!(refusal.to_string().contains("not-allowed"), "{refusal}");
}
