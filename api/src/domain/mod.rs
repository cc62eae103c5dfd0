//! What events, rooms and meetings mean: functions of values, without SQL, HTTP or a clock.

pub mod acceptance;
pub mod consent;
pub mod identity;
pub mod lifecycle;
pub mod meeting;
pub mod moment;
pub mod presence;
pub mod receipt;
pub mod recording;
pub mod recording_notification;
pub mod recording_object;
pub mod recording_state;
pub mod redaction;
pub mod room;
pub mod upload;
pub mod whereby;
