//! What the commands of the Jitsi guide take for granted: rooms by these names, and a meeting by that one.

use anyhow::Result;

use crate::stack::Stack;

/// The rooms for which the guide creates meetings without creating them first.
const ROOMS: [&str; 2] = ["test-room", "test"];
/// The id of the meeting that the guide's queries ask for.
pub const EXAMPLE_MEETING: &str = "meeting-uuid";
/// Its name at Jitsi, which the guide's events carry.
pub const EXAMPLE_ROOM: &str = "reflector-test-room-uuid";

/// Creates the rooms through the API, and the example meeting, whose name no API would choose, in the database.
pub fn prepare(stack: &Stack) -> Result<()> {
    for room in ROOMS {
        stack.client.ensure_room(room)?;
    }
    let insert = format!(
        "INSERT INTO reflector.meeting (id, room_id, room_name, platform, start_date, end_date, is_locked, room_mode,
           recording_type, recording_trigger)
         SELECT '{EXAMPLE_MEETING}', id, '{EXAMPLE_ROOM}', platform, now(), now() + interval '8 hours', is_locked, room_mode,
           recording_type, recording_trigger
         FROM reflector.room WHERE name = 'test-room'
         ON CONFLICT DO NOTHING"
    );
    stack.api.sql(&insert).map(drop)
}
