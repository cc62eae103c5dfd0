//! Secrets, and what makes one unusable.

use std::fmt;

/// A secret text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the code that signs or verifies with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Why `secret` must not be used, if it must not: shorter than `least` characters, or copied from an example.
pub(super) fn weakness(secret: &str, least: usize) -> Option<String> {
    let length = secret.chars().count();
    if is_placeholder(secret) {
        Some("is still the placeholder of the guide".to_owned())
    } else if length < least {
        Some(format!("has {length} characters, at least {least} are needed"))
    } else if secret.chars().all(|c| secret.starts_with(c)) {
        Some("is one character over and over".to_owned())
    } else {
        None
    }
}

/// The guides' examples read `your-…-here`, `your-…-key` and `your-…-name`; other texts that people leave standing are listed.
pub(super) fn is_placeholder(secret: &str) -> bool {
    let folded = secret.to_ascii_lowercase().replace(['_', ' '], "-");
    let ends = ["-here", "-key", "-name"].iter().any(|end| folded.ends_with(end));
    (folded.starts_with("your-") && (ends || folded.contains("secret")))
        || folded.contains("...")
        || ["changeme", "change-me", "replace-me", "replaceme"].iter().any(|text| folded.contains(text))
        || ["secret", "password", "example"].contains(&folded.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_or_a_short_secret_is_weak_whatever_its_length() {
        for (secret, least, expected) in [
            ("your-64-character-hex-secret-here", 32, Some("is still the placeholder of the guide")),
            ("your-32-character-hex-secret-here", 16, Some("is still the placeholder of the guide")),
            ("your-webhook-secret-here", 16, Some("is still the placeholder of the guide")),
            ("your_jwt_secret_here", 16, Some("is still the placeholder of the guide")),
            ("your-whereby-jwt-api-key", 16, Some("is still the placeholder of the guide")),
            ("eyJ[...truncated JWT token...]", 16, Some("is still the placeholder of the guide")),
            ("please-changeme-before-use-in-production", 32, Some("is still the placeholder of the guide")),
            ("0123456789abcde", 16, Some("has 15 characters, at least 16 are needed")),
            ("00000000000000000000000000000000", 32, Some("is one character over and over")),
            ("0123456789abcdef", 16, None),
        ] {
            assert_eq!(weakness(secret, least).as_deref(), expected, "{secret}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(hidden)");
    }
}
