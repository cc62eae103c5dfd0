//! Who a bearer token speaks for: what its claims must say, decided without a clock or a key.

use serde::Deserialize;
use serde_json::Value;

use crate::domain::identity::Identity;

/// The longest `sub` that is accepted, in bytes: the limit that OIDC sets.
pub const MAX_SUBJECT_BYTES: usize = 255;

/// What a token's claims are compared with.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The audience that a token must be for; `None` asks for none and looks at none.
    pub audience: Option<String>,
    /// The issuer that a token must be from; `None` takes any whose key it is.
    pub issuer: Option<String>,
    /// How many seconds the issuer's clock may differ from ours.
    pub leeway: f64,
}

/// The claims that are read. Times are seconds since 1970 and may have a fraction.
#[derive(Debug, Clone, Deserialize)]
pub struct Claims {
    #[serde(default)]
    sub: Value,
    #[serde(default)]
    exp: Value,
    #[serde(default)]
    nbf: Value,
    #[serde(default)]
    aud: Value,
    #[serde(default)]
    iss: Value,
    #[serde(default)]
    name: Value,
    #[serde(default)]
    preferred_username: Value,
    #[serde(default)]
    email: Value,
}

/// Why claims are refused. A claim of the wrong type is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// `sub` is missing, empty, too long or no text.
    #[error("`sub` is missing, or is no text of 1 to {MAX_SUBJECT_BYTES} bytes")]
    NoSubject,
    /// `exp` is missing: a token that never ends is not accepted.
    #[error("`exp` is missing")]
    NoExpiry,
    /// `exp` has passed.
    #[error("it has expired")]
    Expired,
    /// `nbf` has not come, or is no number.
    #[error("it is not valid yet")]
    Immature,
    /// `aud` does not hold the configured audience.
    #[error("it is for another audience")]
    Audience,
    /// `iss` is not the configured issuer.
    #[error("it is from another issuer")]
    Issuer,
}

impl Claims {
    /// The person that the claims speak for, at `now` (seconds since 1970).
    pub fn identify(&self, rules: &Rules, now: f64) -> Result<Identity, ClaimError> {
        let subject = text(&self.sub).filter(|subject| subject.len() <= MAX_SUBJECT_BYTES);
        let user_id = subject.ok_or(ClaimError::NoSubject)?;
        let expiry = self.exp.as_f64().ok_or(ClaimError::NoExpiry)?;
        if now >= expiry + rules.leeway {
            return Err(ClaimError::Expired);
        }
        if !self.nbf.is_null() && self.nbf.as_f64().is_none_or(|begin| now < begin - rules.leeway) {
            return Err(ClaimError::Immature);
        }
        if rules.audience.as_deref().is_some_and(|audience| !holds(&self.aud, audience)) {
            return Err(ClaimError::Audience);
        }
        if rules.issuer.as_deref().is_some_and(|issuer| self.iss.as_str() != Some(issuer)) {
            return Err(ClaimError::Issuer);
        }
        let name = text(&self.name).or_else(|| text(&self.preferred_username));
        Ok(Identity { user_id, name, email: text(&self.email) })
    }
}

/// A claim that is text and can be stored.
fn text(claim: &Value) -> Option<String> {
    claim.as_str().filter(|text| !text.is_empty() && !text.contains('\0')).map(ToOwned::to_owned)
}

/// `aud` is one text or a list of them.
fn holds(claim: &Value, audience: &str) -> bool {
    match claim {
        Value::Array(audiences) => audiences.iter().any(|entry| entry.as_str() == Some(audience)),
        one => one.as_str() == Some(audience),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(claims: Value, rules: &Rules) -> Result<String, ClaimError> {
        let claims: Claims = serde_json::from_value(claims).unwrap();
        claims.identify(rules, 1000.0).map(|identity| identity.user_id)
    }

    #[test]
    fn a_token_needs_a_subject_and_an_end() {
        for (claims, expected) in [
            (json!({"sub": "u-1", "exp": 1001}), Ok("u-1")),
            (json!({"sub": "u-1", "exp": 1000.5}), Ok("u-1")),
            (json!({"sub": "u-1", "exp": 1000}), Err(ClaimError::Expired)),
            (json!({"sub": "u-1"}), Err(ClaimError::NoExpiry)),
            (json!({"sub": "u-1", "exp": "1001"}), Err(ClaimError::NoExpiry)),
            (json!({"exp": 1001}), Err(ClaimError::NoSubject)),
            (json!({"sub": "", "exp": 1001}), Err(ClaimError::NoSubject)),
            (json!({"sub": "a\u{0}", "exp": 1001}), Err(ClaimError::NoSubject)),
            (json!({"sub": 7, "exp": 1001}), Err(ClaimError::NoSubject)),
            (json!({"sub": "x".repeat(256), "exp": 1001}), Err(ClaimError::NoSubject)),
            (json!({"sub": "u-1", "exp": 1001, "nbf": 1000}), Ok("u-1")),
            (json!({"sub": "u-1", "exp": 1001, "nbf": 1001}), Err(ClaimError::Immature)),
            (json!({"sub": "u-1", "exp": 1001, "nbf": "0"}), Err(ClaimError::Immature)),
        ] {
            assert_eq!(
                verdict(claims.clone(), &Rules::default()).as_deref(),
                expected.as_deref(),
                "{claims}"
            );
        }
    }

    #[test]
    fn leeway_moves_both_ends_and_no_further() {
        let rules = Rules { leeway: 60.0, ..Rules::default() };
        for (exp, nbf, expected) in [
            (941, 1060, Ok("u-1".to_owned())),
            (940, 0, Err(ClaimError::Expired)),
            (2000, 1061, Err(ClaimError::Immature)),
        ] {
            assert_eq!(verdict(json!({"sub": "u-1", "exp": exp, "nbf": nbf}), &rules), expected);
        }
    }

    #[test]
    fn audience_and_issuer_count_where_they_are_configured() {
        let rules =
            Rules { audience: Some("reflector".into()), issuer: Some("https://id".into()), leeway: 0.0 };
        for (aud, iss, expected) in [
            (json!("reflector"), json!("https://id"), None),
            (json!(["other", "reflector"]), json!("https://id"), None),
            (json!("other"), json!("https://id"), Some(ClaimError::Audience)),
            (json!(null), json!("https://id"), Some(ClaimError::Audience)),
            (json!("reflector"), json!("https://other"), Some(ClaimError::Issuer)),
            (json!("reflector"), json!(null), Some(ClaimError::Issuer)),
        ] {
            let claims = json!({"sub": "u-1", "exp": 2000, "aud": aud, "iss": iss});
            assert_eq!(verdict(claims.clone(), &rules).err(), expected, "{claims}");
            assert!(verdict(claims, &Rules::default()).is_ok());
        }
    }

    #[test]
    fn the_name_is_the_best_that_the_issuer_tells() {
        for (claims, expected) in [
            (json!({"name": "Alice", "preferred_username": "al"}), Some("Alice")),
            (json!({"name": "", "preferred_username": "al"}), Some("al")),
            (json!({}), None),
        ] {
            let mut whole = json!({"sub": "u-1", "exp": 2000});
            whole.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
            let claims: Claims = serde_json::from_value(whole).unwrap();
            let identity = claims.identify(&Rules::default(), 0.0).unwrap();
            assert_eq!(identity.name.as_deref(), expected);
        }
    }
}
