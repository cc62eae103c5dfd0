//! The addresses that lead a caller into a meeting. They carry tokens, so they are made for each answer and kept nowhere.

use contract::problem::ProblemCode;
use time::OffsetDateTime;

use crate::domain::identity::Identity;
use crate::domain::meeting::{Addresses, Meeting};
use crate::domain::room::Platform;
use crate::http::State;
use crate::http::problem::ApiError;
use crate::jitsi::address::join_url;
use crate::jitsi::claims::{Person, Target};
use crate::jitsi::token::TokenIssuer;

/// A meeting's addresses for one caller.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Leads in as a participant; empty when the meeting is over.
    pub room_url: String,
    /// Leads in as a moderator; empty for everybody but the room's owner. Frontends use `host_room_url || room_url`.
    pub host_room_url: String,
}

/// The side of this server that mints tokens for Jitsi meetings; an error that names what is missing without it.
pub fn jitsi(state: &State) -> Result<&TokenIssuer, ApiError> {
    state.jitsi.as_deref().ok_or_else(|| {
        let missing = state.config.jitsi.meetings.as_ref().err().map(|names| names.join(" and "));
        let missing = missing.unwrap_or_default();
        let detail = format!("Jitsi is not configured on this server; its operator must set {missing}.");
        ApiError::new(ProblemCode::PlatformNotConfigured, detail)
    })
}

impl Links {
    /// The addresses of `meeting` for `caller` from `now` on; none when it is over, and none where Jitsi has been taken off this
    /// server since. A Jitsi meeting's tokens would open its name on the Jitsi host for hours after its end.
    pub fn of(
        state: &State,
        meeting: &Meeting,
        caller: Option<&Identity>,
        is_owner: bool,
        now: OffsetDateTime,
    ) -> Result<Self, ApiError> {
        if !meeting.is_open(now) {
            return Ok(Self::default());
        }
        match (&meeting.addresses, meeting.settings.platform) {
            (Some(addresses), _) => Ok(Self::given(addresses, is_owner)),
            (None, Platform::Jitsi) => match &state.jitsi {
                Some(issuer) => Self::mint(issuer, meeting, caller, is_owner, now),
                None => Ok(Self::default()),
            },
            (None, Platform::Whereby) => Err(ApiError::internal(&"a Whereby meeting has no address")),
        }
    }

    fn given(addresses: &Addresses, is_owner: bool) -> Self {
        let host_room_url = if is_owner { addresses.host_room_url.clone() } else { String::new() };
        Self { room_url: addresses.room_url.clone(), host_room_url }
    }

    fn mint(
        issuer: &TokenIssuer,
        meeting: &Meeting,
        caller: Option<&Identity>,
        is_owner: bool,
        now: OffsetDateTime,
    ) -> Result<Self, ApiError> {
        let link = |moderator| {
            let target = Target {
                meeting_id: &meeting.id,
                room_name: &meeting.room_name,
                room_id: meeting.room_id.as_deref().unwrap_or_default(),
                settings: meeting.settings,
            };
            let person = person(caller, moderator);
            let token = issuer.mint(target, &person, now);
            let token =
                token.map_err(|error| ApiError::internal(&format!("cannot sign a token: {error}")))?;
            let asks = target.asks_to_record(&person);
            Ok::<_, ApiError>(join_url(issuer.domain(), &meeting.room_name, &token, asks))
        };
        let host_room_url = if is_owner { link(true)? } else { String::new() };
        Ok(Self { room_url: link(false)?, host_room_url })
    }
}

/// Who the caller is inside a meeting. Somebody unknown has no id and no name, and is asked for one.
fn person(caller: Option<&Identity>, moderator: bool) -> Person {
    let text =
        |member: fn(&Identity) -> Option<&String>| caller.and_then(member).cloned().unwrap_or_default();
    Person {
        id: text(|identity| Some(&identity.user_id)),
        name: text(|identity| identity.name.as_ref()),
        email: text(|identity| identity.email.as_ref()),
        moderator,
    }
}
