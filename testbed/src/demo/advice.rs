//! What a visitor can try against the running demo: the commands of the Jitsi guide.

use std::io::Write;

use anyhow::Result;

use super::place::Place;
use crate::guide;
use crate::stack::Stack;

/// Says how to run the guide's commands here.
pub(super) fn show(place: &Place, stack: &Stack, out: &mut dyn Write) -> Result<()> {
    let url = stack.api.url();
    writeln!(
        out,
        r#"
Operators see all of it at {url}/ops (any name, the password {operators}).

The Jitsi guide's commands work against this API; put {url} in the place of
https://your-reflector-domain.com. In a second terminal:

  . {environment}
  curl "{url}/v1/jitsi/health"
  curl -X POST "{url}/v1/rooms/test-room/meeting" -H "Authorization: Bearer $AUTH_TOKEN"
  curl -H "Authorization: Bearer $AUTH_TOKEN" "{url}/v1/meetings/{example}"

The guide's examples send events of the room {room}; the meeting with that name is {example}."#,
        environment = place.environment().display(),
        example = guide::EXAMPLE_MEETING,
        room = guide::EXAMPLE_ROOM,
        operators = stack.secrets.operators,
    )?;
    Ok(())
}
