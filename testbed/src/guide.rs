//! The commands of the guides, and what those of the Jitsi guide take for granted: rooms by these names, and a meeting by that one.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

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

/// Runs commands of a guide in bash as they are written there.
#[derive(Debug, Default)]
pub struct Shell {
    /// What the guide marks as a placeholder, and what is put in its place.
    pub placeholders: Vec<(&'static str, String)>,
    /// The variables that the guide tells its reader to set.
    pub variables: Vec<(&'static str, String)>,
}

/// What a command printed.
#[derive(Debug)]
pub struct Said {
    /// On standard output.
    pub out: String,
    /// On standard error, where curl tells of requests.
    pub error: String,
}

impl Shell {
    /// Runs `command`, which must succeed.
    pub fn run(&self, command: &str) -> Result<Said> {
        let put_in = |text: String, (mark, value): &(&str, String)| text.replace(mark, value);
        let command = self.placeholders.iter().fold(command.to_owned(), put_in);
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        let output = Command::new("bash").args(["-c", &command]).envs(variables).output()?;
        let (out, error) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{command}\n{out}\n{error}");
        Ok(Said { out, error: error.into_owned() })
    }

    /// The JSON that `command` prints.
    pub fn answer(&self, command: &str) -> Result<Value> {
        let said = self.run(command)?;
        serde_json::from_str(&said.out).with_context(|| format!("{command}\n{}\n{}", said.out, said.error))
    }
}
