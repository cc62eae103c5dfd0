//! What this host is: derived from what exists, so that a half that is missing is no error and one that comes later is seen.

use contract::heartbeat::Role;

/// What is known about the two halves of a Jitsi host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signs {
    /// The spool is read, and its directory is there.
    pub spool: bool,
    /// Recordings are looked for, and a directory for them is there.
    pub recordings: bool,
    /// There is a configuration of Jibri.
    pub jibri: bool,
}

/// The roles that these signs speak for.
pub fn roles(signs: Signs) -> Vec<Role> {
    let prosody = signs.spool.then_some(Role::Prosody);
    let jibri = (signs.recordings || signs.jibri).then_some(Role::Jibri);
    prosody.into_iter().chain(jibri).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_is_there_when_anything_of_it_is() {
        let none = Signs::default();
        for (signs, expected) in [
            (none, &[][..]),
            (Signs { spool: true, ..none }, &[Role::Prosody]),
            (Signs { jibri: true, ..none }, &[Role::Jibri]),
            (Signs { spool: true, recordings: true, ..none }, &[Role::Prosody, Role::Jibri]),
        ] {
            assert_eq!(roles(signs), expected, "{signs:?}");
        }
    }
}
