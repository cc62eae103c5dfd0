//! The configuration of a Prosody that serves Jitsi's hosts: users, service accounts, recorders and rooms.

use std::path::{Path, PathBuf};

/// The domain of the deployment; its users come with a token.
pub const DOMAIN: &str = "meet.test";
/// Visitors without a token.
pub const GUEST_DOMAIN: &str = "guest.meet.test";
/// Service accounts such as focus.
pub const AUTH_DOMAIN: &str = "auth.meet.test";
/// Recorders and transcribers.
pub const RECORDER_DOMAIN: &str = "recorder.meet.test";
/// The main MUC component.
pub const CONFERENCE: &str = "conference.meet.test";
/// The MUC component of breakout rooms.
pub const BREAKOUT: &str = "breakout.meet.test";
/// The password of every account in the box, which only listens on loopback.
pub const PASSWORD: &str = "box";

/// The text of `prosody.cfg.lua` for a Prosody that keeps everything in `directory` and serves clients on `port`;
/// `token_secret` signs the tokens that open rooms.
pub(super) fn text(
    directory: &Path,
    plugins: &[PathBuf],
    spool: &Path,
    token_secret: &str,
    port: u16,
) -> String {
    let directory = directory.display();
    let spool = spool.display();
    let plugins: Vec<String> = plugins.iter().map(|path| format!("\"{}\"", path.display())).collect();
    let plugins = plugins.join("; ");
    format!(
        r#"run_as_root = true
pidfile = "{directory}/prosody.pid"
data_path = "{directory}/data"
plugin_paths = {{ {plugins} }}
admin_socket = "{directory}/admin.sock"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
modules_enabled = {{ "saslauth"; "disco"; "admin_socket"; "admin_shell"; }}
modules_disabled = {{ "s2s"; "tls"; }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
log = {{ {{ levels = {{ min = "info" }}, to = "console" }} }}

VirtualHost "{DOMAIN}"
    authentication = "room_token"
    app_id = "reflector"
    app_secret = "{token_secret}"

VirtualHost "{GUEST_DOMAIN}"
    authentication = "anonymous"

VirtualHost "{AUTH_DOMAIN}"

VirtualHost "{RECORDER_DOMAIN}"

Component "{CONFERENCE}" "muc"
    modules_enabled = {{ "room_token_affiliation"; "reflector_events" }}
    storage = "memory"
    restrict_room_creation = true
    admins = {{ "focus@{AUTH_DOMAIN}" }}
    muc_room_locking = false
    muc_room_default_public_jids = true
    reflector_spool_directory = "{spool}"

Component "{BREAKOUT}" "muc"
    modules_enabled = {{ "reflector_events" }}
    storage = "memory"
    restrict_room_creation = true
    admins = {{ "focus@{AUTH_DOMAIN}" }}
    muc_room_locking = false
    muc_room_default_public_jids = true
    reflector_spool_directory = "{spool}"
"#
    )
}
