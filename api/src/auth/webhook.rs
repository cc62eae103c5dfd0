//! Signatures of deliveries from Jitsi hosts.
