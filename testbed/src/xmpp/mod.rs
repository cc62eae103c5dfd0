//! XMPP clients: enough to be a participant, a recorder or focus in a conference.

mod client;
mod element;
mod room;

pub use client::{Client, Login};
pub use element::Element;
pub use room::{RecordingStatus, display_name, escaped};
