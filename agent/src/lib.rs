//! `reflector-agent`: what a Jitsi host wrote down reaches the Reflector API, exactly once in effect, in order per room,
//! whatever crashes in between.
//!
//! A guided tour, in the order in which an event travels:
//!
//! 1. [`spool`] reads the lines that the Prosody module appended; [`recordings`] finds the files that Jibri finished,
//!    where [`jibri`] says that they are. Both are threads with a plain loop; [`watch`] wakes them.
//! 2. [`outbox`] makes an event durable, in the same transaction as the source's cursor.
//! 3. [`delivery`] signs it, sends it, and turns the answer into what is written down about it.
//! 4. [`upload`] brings recording files into the object storage before they are reported; [`retention`] removes them from the
//!    host afterwards, if the operator wants that.
//! 5. [`cli`] lets a person ask what happened and what is wrong; [`heartbeat`] tells the API how the host is. [`hint`] and
//!    [`kept`] are for Jibri's finalize script.
//!
//! [`app`] is the one place that knows every part; [`config`] says how they behave.

pub mod app;
pub mod chain;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod event_sync;
pub mod heartbeat;
pub mod hint;
pub mod http;
pub mod jibri;
pub mod kept;
pub mod listener;
pub mod metrics;
pub mod outbox;
pub mod recordings;
pub mod retention;
pub mod rooms;
pub mod secret;
mod source;
pub mod spool;
pub mod supervision;
pub mod upload;
pub mod watch;
