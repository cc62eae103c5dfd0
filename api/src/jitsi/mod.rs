//! Jitsi Meet as this server sees it: addresses of meetings and the tokens that open them.
//!
//! Nothing here talks to Jitsi. A meeting exists there from the moment somebody opens its address with a token that the
//! Jitsi host's Prosody accepts.

pub mod address;
pub mod claims;
pub mod token;
