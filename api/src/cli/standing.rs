//! Whether this host has an installed service whose settings a command would miss.
//!
//! A command that went on without them would work in a world of its own: with a private Postgres that the service never sees, or, for
//! root, with one in the service's place that the service cannot use.

use std::io;

use nix::unistd::{Uid, User};

use super::service_user;
use crate::config::Variables;

/// Where the service keeps its state.
pub(super) const STATE_DIR: &str = "/var/lib/reflector-api";

/// What says which database is meant.
pub(super) const DATABASE: [&str; 2] = ["DATABASE_URL", "REFLECTOR_API_STATE_DIR"];

/// What says with which key a token is signed.
pub(super) const KEY: [&str; 1] = ["AUTH_JWT_SECRET"];

/// Why a command cannot go on, and what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Standing {
    /// The package is installed, and that was all.
    #[error("reflector-api is not set up yet; run: sudo reflector-api setup")]
    NotSetUp,
    /// There are settings, or a directory for them, and they are not for this user.
    #[error("only root may read the settings of the service; run it as root: sudo reflector-api …")]
    OnlyRoots,
}

/// Whether a command may go on that could not read the service's settings for `error`, with `variables` in its environment. One of `own`
/// there says that something else than the service is meant.
pub(super) fn without_settings(
    error: &io::Error,
    variables: &Variables,
    own: &[&str],
) -> Result<(), Standing> {
    let has_user = matches!(User::from_name(service_user::NAME), Ok(Some(_)));
    judge(error.kind(), Uid::effective().is_root(), has_user, brings(variables, own))
}

/// An ordinary user who sees that there are no settings has no package before them, whose directory is closed.
fn judge(error: io::ErrorKind, is_root: bool, has_user: bool, brings_own: bool) -> Result<(), Standing> {
    match error {
        _ if brings_own => Ok(()),
        io::ErrorKind::PermissionDenied => Err(Standing::OnlyRoots),
        io::ErrorKind::NotFound if is_root && has_user => Err(Standing::NotSetUp),
        _ => Ok(()),
    }
}

fn brings(variables: &Variables, own: &[&str]) -> bool {
    let said = |name: &&str| variables.get(*name).map(|value| value.trim());
    own.iter().filter_map(said).any(|value| !value.is_empty() && value.trim_end_matches('/') != STATE_DIR)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};

    use super::*;

    #[test]
    fn a_command_goes_on_where_it_would_not_work_beside_the_installed_service() {
        for (error, is_root, has_user, brings_own, expected) in [
            // Installed, and nothing else.
            (NotFound, true, true, false, Err(Standing::NotSetUp)),
            (NotFound, true, true, true, Ok(())),
            // No package.
            (NotFound, true, false, false, Ok(())),
            (NotFound, false, false, false, Ok(())),
            (NotFound, false, true, false, Ok(())),
            // An ordinary user beside a package.
            (PermissionDenied, false, true, false, Err(Standing::OnlyRoots)),
            (PermissionDenied, false, true, true, Ok(())),
            (NotADirectory, true, true, false, Ok(())),
        ] {
            let judged = judge(error, is_root, has_user, brings_own);
            assert_eq!(judged, expected, "{error:?} {is_root} {has_user} {brings_own}");
        }
    }

    #[test]
    fn the_services_own_state_directory_is_no_other_place() {
        for (name, value, expected) in [
            ("DATABASE_URL", "postgresql://u@h/d", true),
            ("DATABASE_URL", " ", false),
            ("REFLECTOR_API_STATE_DIR", "/srv/reflector", true),
            ("REFLECTOR_API_STATE_DIR", "/var/lib/reflector-api/", false),
            ("JITSI_DOMAIN", "meet.example.com", false),
        ] {
            let variables = Variables::from([(name.to_owned(), value.to_owned())]);
            assert_eq!(brings(&variables, &DATABASE), expected, "{name}={value}");
        }
    }
}
