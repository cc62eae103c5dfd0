//! The Jitsi side: webhooks that come in, tokens that go out.

use std::sync::Arc;
use std::time::Duration;

use contract::signature::Secrets;
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::reader::Reader;
use super::secret::{Secret, weakness};

/// 128 bits in hexadecimal are 32 characters, but the guide's own remedy for webhooks makes 32 and asks for no more than 16.
const LEAST_WEBHOOK_SECRET: usize = 16;
/// The guide: "strong, unique secrets (32+ characters)".
const LEAST_TOKEN_SECRET: usize = 32;

/// The Jitsi side.
#[derive(Debug, Clone)]
pub struct Jitsi {
    /// The secrets that deliveries are signed with: `JITSI_WEBHOOK_SECRET`. Without any, every delivery is refused.
    pub webhook_secrets: Option<Arc<Secrets>>,
    /// Whether deliveries must carry a signed timestamp: `JITSI_REQUIRE_TIMESTAMP`.
    pub require_timestamp: bool,
    /// What meetings are made with; the error names the variables that are missing.
    pub meetings: Result<JitsiMeetings, Vec<&'static str>>,
}

/// What is needed to lead people into a meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JitsiMeetings {
    /// The deployment's domain, without scheme: `JITSI_DOMAIN`.
    pub domain: String,
    /// What tokens are signed with.
    pub signing_key: SigningKey,
    /// The tokens' `iss`, which Prosody compares with its `app_id`: `JITSI_JWT_ISSUER`, else `JITSI_APP_ID`, else `reflector`.
    pub issuer: String,
    /// The tokens' `aud`: `JITSI_JWT_AUDIENCE`.
    pub audience: String,
    /// How long a token lives: `JITSI_JWT_LIFETIME_SECONDS`.
    pub lifetime: Duration,
}

/// What tokens are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningKey {
    /// HS256 with the secret that Prosody has as `app_secret`: `JITSI_JWT_SECRET`.
    Shared(Secret),
    /// RS256 with a private key whose public half Prosody finds under the key id.
    Rsa {
        /// The PEM text of the file that `JITSI_JWT_PRIVATE_KEY_FILE` names.
        pem: Secret,
        /// The tokens' `kid`: `JITSI_JWT_KEY_ID`.
        key_id: String,
    },
}

impl Jitsi {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            webhook_secrets: webhook_secrets(reader).map(Arc::new),
            require_timestamp: reader.flag("JITSI_REQUIRE_TIMESTAMP", false),
            meetings: meetings(reader),
        }
    }
}

fn webhook_secrets(reader: &mut Reader<'_>) -> Option<Secrets> {
    const VARIABLE: &str = "JITSI_WEBHOOK_SECRET";
    let Some(list) = reader.text(VARIABLE) else {
        reader.warning(
            VARIABLE,
            "is not set: every delivery from a Jitsi host is refused with 401; make one with: openssl rand -hex 16",
        );
        return None;
    };
    for (index, secret) in list.split(',').map(str::trim).filter(|secret| !secret.is_empty()).enumerate() {
        if let Some(weakness) = weakness(secret, LEAST_WEBHOOK_SECRET) {
            let place = index + 1;
            reader.error(VARIABLE, format!("secret {place} {weakness}; make one with: openssl rand -hex 16"));
        }
    }
    let secrets = Secrets::parse(&list);
    if secrets.is_err() {
        reader.error(VARIABLE, "holds only commas; make a secret with: openssl rand -hex 16");
    }
    secrets.ok()
}

fn meetings(reader: &mut Reader<'_>) -> Result<JitsiMeetings, Vec<&'static str>> {
    let domain = domain(reader);
    let signing_key = signing_key(reader);
    let issuer = issuer(reader);
    let audience = reader.text_or("JITSI_JWT_AUDIENCE", "jitsi");
    let lifetime =
        Duration::from_secs(reader.within("JITSI_JWT_LIFETIME_SECONDS", 8 * 3600, 60..=7 * 86_400));
    match (domain, signing_key) {
        (Some(domain), Some(signing_key)) => {
            Ok(JitsiMeetings { domain, signing_key, issuer, audience, lifetime })
        }
        (domain, signing_key) => {
            let mut missing = Vec::new();
            if domain.is_none() {
                missing.push("JITSI_DOMAIN");
            }
            if signing_key.is_none() {
                missing.push("JITSI_JWT_SECRET");
            }
            // One that is set and wrong has a finding of its own.
            let unset: Vec<_> = missing.iter().copied().filter(|name| !is_said(reader, name)).collect();
            if let Some(first) = unset.first() {
                reader.warning(
                    first,
                    format!("Jitsi meetings cannot be created without {}", unset.join(" and ")),
                );
            }
            Err(missing)
        }
    }
}

fn is_said(reader: &mut Reader<'_>, variable: &'static str) -> bool {
    let instead = (variable == "JITSI_JWT_SECRET").then_some("JITSI_JWT_PRIVATE_KEY_FILE");
    reader.text(variable).is_some() || instead.is_some_and(|instead| reader.text(instead).is_some())
}

fn domain(reader: &mut Reader<'_>) -> Option<String> {
    let text = reader.text("JITSI_DOMAIN")?;
    let acceptable = text.chars().all(|c| c.is_ascii_alphanumeric() || "-._:".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !acceptable {
        let message =
            format!("{text:?} is no domain; write it without https:// and path, such as meet.example.com");
        reader.error("JITSI_DOMAIN", message);
        return None;
    }
    Some(text.to_ascii_lowercase())
}

fn signing_key(reader: &mut Reader<'_>) -> Option<SigningKey> {
    let key_id = reader.text("JITSI_JWT_KEY_ID");
    if reader.text("JITSI_JWT_PRIVATE_KEY_FILE").is_none() {
        return reader
            .secret("JITSI_JWT_SECRET", LEAST_TOKEN_SECRET, "openssl rand -hex 32")
            .map(SigningKey::Shared);
    }
    let contents = reader.file("JITSI_JWT_PRIVATE_KEY_FILE")?;
    let pem = String::from_utf8(contents).ok();
    let pem = pem.filter(|pem| can_sign(pem));
    if pem.is_none() {
        reader.error(
            "JITSI_JWT_PRIVATE_KEY_FILE",
            "names a file without an RSA private key; make one with: openssl genrsa 3072",
        );
    }
    if key_id.is_none() {
        reader.error("JITSI_JWT_KEY_ID", "must name the key when JITSI_JWT_PRIVATE_KEY_FILE is set");
    }
    Some(SigningKey::Rsa { pem: Secret::new(pem?), key_id: key_id? })
}

/// Reading alone does not tell: a public key is read, too, and fails when it is to sign.
fn can_sign(pem: &str) -> bool {
    crate::token_crypto::install();
    let key = EncodingKey::from_rsa_pem(pem.as_bytes());
    key.is_ok_and(|key| jsonwebtoken::encode(&Header::new(Algorithm::RS256), &(), &key).is_ok())
}

fn issuer(reader: &mut Reader<'_>) -> String {
    let app_id = reader.text("JITSI_APP_ID");
    let issuer = reader.text("JITSI_JWT_ISSUER");
    if let (Some(app_id), Some(issuer)) = (&app_id, &issuer)
        && app_id != issuer
    {
        let message = format!(
            "is {issuer:?} and JITSI_APP_ID is {app_id:?}; Prosody refuses tokens whose issuer is not its app_id"
        );
        reader.warning("JITSI_JWT_ISSUER", message);
    }
    issuer.or(app_id).unwrap_or_else(|| "reflector".to_owned())
}
