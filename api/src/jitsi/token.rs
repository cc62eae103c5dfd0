//! The token that opens one Jitsi meeting for one person, signed.
//!
//! Minted when somebody asks for a meeting's address, never stored and never logged.

use std::time::Duration;

use jsonwebtoken::errors::Error;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use time::OffsetDateTime;

use super::claims::{Claims, Context, Person, Target};
use crate::config::{JitsiMeetings, SigningKey};

/// Mints tokens for one Jitsi host.
pub struct TokenIssuer {
    header: Header,
    key: EncodingKey,
    /// Where the host is reached: a domain, perhaps with a port.
    domain: String,
    /// The claim `iss`.
    issuer: String,
    /// The claim `aud`.
    audience: String,
    /// How long a token opens a meeting. Who is inside when it ends stays inside.
    lifetime: Duration,
}

impl TokenIssuer {
    /// An issuer as configured; fails when the private key is no RSA key.
    pub fn new(config: &JitsiMeetings) -> Result<Self, Error> {
        crate::token_crypto::install();
        let (header, key) = match &config.signing_key {
            SigningKey::Shared(secret) => {
                (Header::new(Algorithm::HS256), EncodingKey::from_secret(secret.expose().as_bytes()))
            }
            SigningKey::Rsa { pem, key_id } => {
                let header = Header { kid: Some(key_id.clone()), ..Header::new(Algorithm::RS256) };
                (header, EncodingKey::from_rsa_pem(pem.expose().as_bytes())?)
            }
        };
        // A key that cannot sign is found out at the start and not by the first meeting.
        jsonwebtoken::encode(&header, &(), &key)?;
        Ok(Self {
            header,
            key,
            domain: config.domain.clone(),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            lifetime: config.lifetime,
        })
    }

    /// The domain of the host that takes these tokens, with its port if it has one.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// A token that lets `person` into `target`, from `now` on for the configured time.
    pub fn mint(&self, target: Target<'_>, person: &Person, now: OffsetDateTime) -> Result<String, Error> {
        let claims = Claims {
            iss: &self.issuer,
            aud: &self.audience,
            sub: without_port(&self.domain),
            room: target.room_name,
            iat: now.unix_timestamp(),
            exp: (now + self.lifetime).unix_timestamp(),
            context: Context::new(target, person),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key)
    }
}

impl std::fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenIssuer").field("domain", &self.domain).finish_non_exhaustive()
    }
}

/// Prosody knows its domain, and not the port that browsers use.
fn without_port(domain: &str) -> &str {
    domain.split_once(':').map_or(domain, |(host, _port)| host)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;
    use crate::config::Secret;
    use crate::domain::room::{MeetingSettings, Platform, RecordingTrigger, RecordingType, RoomMode};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const SETTINGS: MeetingSettings = MeetingSettings {
        platform: Platform::Jitsi,
        is_locked: false,
        room_mode: RoomMode::Normal,
        recording_type: RecordingType::Cloud,
        recording_trigger: RecordingTrigger::AutomaticSecondParticipant,
    };

    fn issuer(signing_key: SigningKey) -> TokenIssuer {
        TokenIssuer::new(&JitsiMeetings {
            domain: "meet.example.com".into(),
            signing_key,
            issuer: "reflector".into(),
            audience: "jitsi".into(),
            lifetime: Duration::from_hours(8),
        })
        .unwrap()
    }

    fn target(settings: MeetingSettings) -> Target<'static> {
        Target { meeting_id: "m-1", room_name: "reflector-daily-1", room_id: "r-1", settings }
    }

    fn alice(moderator: bool) -> Person {
        Person { id: "u-17".into(), name: "Alice".into(), email: "alice@example.com".into(), moderator }
    }

    fn read(token: &str, key: &DecodingKey, algorithm: Algorithm) -> (Header, Value) {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.set_audience(&["jitsi"]);
        let data = jsonwebtoken::decode::<Value>(token, key, &validation).unwrap();
        (data.header, data.claims)
    }

    fn claims_of(person: &Person, settings: MeetingSettings) -> Value {
        let issuer = issuer(SigningKey::Shared(Secret::new(SECRET)));
        let token = issuer.mint(target(settings), person, datetime!(2026-01-01 00:00:00.9 UTC)).unwrap();
        read(&token, &DecodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS256).1
    }

    #[test]
    fn a_moderator_s_token_says_all_that_prosody_asks_for() {
        assert_eq!(
            claims_of(&alice(true), SETTINGS),
            json!({
                "iss": "reflector", "aud": "jitsi", "sub": "meet.example.com", "room": "reflector-daily-1",
                "iat": 1_767_225_600, "exp": 1_767_254_400,
                "context": {
                    "user": {"id": "u-17", "name": "Alice", "email": "alice@example.com", "moderator": "true", "affiliation": "owner"},
                    "features": {
                        "recording": true, "livestreaming": false, "transcription": false, "outbound-call": false,
                        "create-polls": true, "send-groupchat": true, "send-private-message": true, "flip": true,
                        "live-translation": false, "live-translation-subscribe": false,
                    },
                    "room": {"id": "r-1", "meeting_id": "m-1", "recording_type": "cloud", "recording_trigger": "automatic-2nd-participant"},
                },
            })
        );
    }

    #[test]
    fn only_a_moderator_of_a_recorded_meeting_may_record() {
        let unrecorded = MeetingSettings { recording_type: RecordingType::None, ..SETTINGS };
        for (moderator, settings, expected) in
            [(true, SETTINGS, true), (false, SETTINGS, false), (true, unrecorded, false)]
        {
            let claims = claims_of(&alice(moderator), settings);
            assert_eq!(claims["context"]["features"]["recording"], expected, "{moderator} {settings:?}");
        }
    }

    #[test]
    fn who_may_record_is_asked_to_where_the_trigger_is_a_prompt() {
        let prompt = MeetingSettings { recording_trigger: RecordingTrigger::Prompt, ..SETTINGS };
        let unrecorded = MeetingSettings { recording_type: RecordingType::None, ..prompt };
        let by_hand = MeetingSettings { recording_trigger: RecordingTrigger::None, ..SETTINGS };
        for (moderator, settings, expected) in [
            (true, prompt, true),
            (false, prompt, false),
            (true, unrecorded, false),
            (true, by_hand, false),
            (true, SETTINGS, false),
        ] {
            let asks = target(settings).asks_to_record(&alice(moderator));
            assert_eq!(asks, expected, "{moderator} {settings:?}");
        }
    }

    #[test]
    fn a_participant_is_a_member_and_no_moderator() {
        let claims = claims_of(&alice(false), SETTINGS);
        let user = &claims["context"]["user"];
        assert_eq!((&user["moderator"], &user["affiliation"]), (&json!("false"), &json!("member")));
    }

    #[test]
    fn the_subject_is_the_domain_without_its_port() {
        for (domain, expected) in [("meet.example.com", "meet.example.com"), ("localhost:8443", "localhost")]
        {
            assert_eq!(without_port(domain), expected);
        }
    }

    #[test]
    fn a_private_key_signs_under_its_id() {
        let pem = Secret::new(include_str!("../../tests/keys/rsa_private.pem"));
        let issuer = issuer(SigningKey::Rsa { pem, key_id: "reflector-1".into() });
        let token = issuer.mint(target(SETTINGS), &alice(true), datetime!(2026-01-01 00:00 UTC)).unwrap();
        let public = DecodingKey::from_rsa_pem(include_bytes!("../../tests/keys/rsa_public.pem")).unwrap();
        let (header, claims) = read(&token, &public, Algorithm::RS256);
        assert_eq!((header.typ.as_deref(), header.kid.as_deref()), (Some("JWT"), Some("reflector-1")));
        assert_eq!(claims["room"], "reflector-daily-1");
    }
}
