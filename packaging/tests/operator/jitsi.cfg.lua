-- What Jitsi's installation writes for Prosody on Debian, without what needs Jitsi's own modules: they are in no archive that
-- tests reach. Tokens are checked by the testbed's module instead of Jitsi's.

plugin_paths = { "/usr/share/jitsi-meet/prosody-plugins/" }
muc_mapper_domain_base = "meet.test";
c2s_require_encryption = false
-- Tokens travel as passwords here, from clients on this host.
allow_unencrypted_plain_auth = true
unlimited_jids = { "focus@auth.meet.test", "jvb@auth.meet.test" }

VirtualHost "meet.test"
    authentication = "room_token"
    app_id = "reflector"
    app_secret = "@SECRET@"
    modules_enabled = {
        "bosh";
        "ping"; -- Enable mod_ping
    }
    main_muc = "conference.meet.test"

VirtualHost "guest.meet.test"
    authentication = "anonymous"

Component "conference.meet.test" "muc"
    restrict_room_creation = true
    storage = "memory"
    modules_enabled = {
        "room_token_affiliation";
        --"token_verification";
    }
    admins = { "focus@auth.meet.test" }
    muc_room_locking = false
    muc_room_default_public_jids = true

Component "breakout.meet.test" "muc"
    restrict_room_creation = true
    storage = "memory"
    modules_enabled = {
        "ping";
    }
    admins = { "focus@auth.meet.test" }
    muc_room_locking = false
    muc_room_default_public_jids = true

-- internal muc component
Component "internal.auth.meet.test" "muc"
    storage = "memory"
    modules_enabled = {
        "ping";
    }
    admins = { "focus@auth.meet.test", "jvb@auth.meet.test" }
    muc_room_locking = false
    muc_room_default_public_jids = true

VirtualHost "auth.meet.test"
    authentication = "internal_plain"

VirtualHost "recorder.meet.test"
    authentication = "internal_plain"
