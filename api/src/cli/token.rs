//! `reflector-api token`: a bearer token for local use.

use std::io::{self, Write};

use clap::Args;
use time::{Duration, OffsetDateTime};

use crate::auth::identity::MAX_SUBJECT_BYTES;
use crate::auth::local::{self, Grant, GrantError};
use crate::config::Auth;

/// What the token says.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// Who the token speaks for: the owner of the rooms that it makes
    #[arg(long, default_value = "local", value_parser = subject)]
    subject: String,
    /// The e-mail address that the token carries
    #[arg(long)]
    email: Option<String>,
    /// How many hours the token is valid for, at most a year
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=8784))]
    hours: u32,
}

/// A subject that the server accepts.
fn subject(text: &str) -> Result<String, String> {
    match text.len() {
        1..=MAX_SUBJECT_BYTES => Ok(text.to_owned()),
        length => Err(format!("it must have 1 to {MAX_SUBJECT_BYTES} bytes, this one has {length}")),
    }
}

/// Why no token was printed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    /// The configuration allows none.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The output is closed.
    #[error("cannot write the token")]
    Output(#[from] io::Error),
}

/// Writes a token as `args` ask for it, made at `now`, and a line break.
pub(super) fn run(
    args: &TokenArgs,
    auth: &Auth,
    now: OffsetDateTime,
    output: &mut impl Write,
) -> Result<(), TokenError> {
    let grant = Grant {
        subject: &args.subject,
        email: args.email.as_deref(),
        expires_at: now + Duration::hours(i64::from(args.hours)),
    };
    let token = local::sign(auth, grant, now)?;
    writeln!(output, "{token}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration as StdDuration;

    use clap::Parser;
    use jsonwebtoken::Algorithm;
    use time::macros::datetime;

    use super::*;
    use crate::config::{BearerAuth, KeySource, Secret};

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: TokenArgs,
    }

    #[test]
    fn the_output_is_one_line_with_a_token() {
        let args = Cli::try_parse_from(["token", "--subject", "u-1"]).unwrap().args;
        let auth = Auth::Jwt(BearerAuth {
            algorithm: Algorithm::HS256,
            key: KeySource::Shared(Secret::new("0123456789abcdef0123456789abcdef")),
            audience: None,
            issuer: None,
            leeway: StdDuration::ZERO,
        });
        let mut output = Vec::new();
        run(&args, &auth, datetime!(2026-01-01 00:00 UTC), &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        let token = text.strip_suffix('\n').unwrap();
        assert_eq!(token.split('.').count(), 3, "{text:?}");
        assert!(!token.contains(char::is_whitespace));
    }

    #[test]
    fn a_subject_of_no_use_and_an_endless_token_are_refused() {
        let (longest, too_long) = ("x".repeat(MAX_SUBJECT_BYTES), "x".repeat(MAX_SUBJECT_BYTES + 1));
        assert!(Cli::try_parse_from(["token", "--subject", &longest]).is_ok());
        for arguments in [
            ["token", "--subject", ""],
            ["token", "--subject", &too_long],
            ["token", "--hours", "0"],
            ["token", "--hours", "9000"],
        ] {
            assert!(Cli::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
    }
}
