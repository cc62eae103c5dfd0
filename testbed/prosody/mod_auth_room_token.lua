-- mod_auth_room_token: stands in for Jitsi's token authentication, which Debian's Prosody does not have.
--
-- A client logs in with any user name and a room token as its password. As in Jitsi, the token's signature, issuer,
-- audience and expiry are checked, its context becomes the session's as it is, and it opens no other room than its own.

local jwt = require "util.jwt";
local new_sasl = require "util.sasl".new;
local jid = require "util.jid";
local st = require "util.stanza";

local secret = module:get_option_string("app_secret");
local app_id = module:get_option_string("app_id", "reflector");
local audience = module:get_option_string("app_audience", "jitsi");

local function claims_of(token)
	local ok, claims = jwt.verify(secret, token);
	if not ok or claims.iss ~= app_id or claims.aud ~= audience then return nil; end
	if type(claims.exp) ~= "number" or claims.exp <= os.time() then return nil; end
	return claims;
end

local provider = {};

function provider.get_sasl_handler(session)
	return new_sasl(module.host, {
		plain_test = function (_, _, token)
			local claims = claims_of(token);
			if not claims then return false, true; end
			local context = claims.context or {};
			session.auth_token = token;
			session.jitsi_meet_room = claims.room;
			session.jitsi_meet_domain = claims.sub;
			session.jitsi_meet_context_user = context.user;
			session.jitsi_meet_context_group = context.group;
			session.jitsi_meet_context_features = context.features;
			session.jitsi_meet_context_room = context.room;
			return true, true;
		end;
	});
end

module:provides("auth", provider);

module:hook("pre-presence/full", function (event)
	local room = event.origin.jitsi_meet_room;
	if room and room ~= "*" and jid.node(event.stanza.attr.to) ~= room then
		event.origin.send(st.error_reply(event.stanza, "cancel", "not-allowed", "The token is for another room"));
		return true;
	end
end, 10);
