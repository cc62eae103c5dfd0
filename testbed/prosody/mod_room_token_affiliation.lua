-- mod_room_token_affiliation: stands in for Jitsi's token_affiliation on the MUC component: who comes with a moderator's
-- token is the room's owner from the first presence on, who comes with any other token is a member, and guests are nothing.

local OWNERS = { owner = true, moderator = true, teacher = true };

module:hook("muc-occupant-pre-join", function (event)
	local user = event.origin.jitsi_meet_context_user;
	if type(user) ~= "table" then return; end
	local room, occupant = event.room, event.occupant;
	local is_owner = OWNERS[user.affiliation] or user.moderator == true or user.moderator == "true";
	local affiliation = is_owner and "owner" or "member";
	room:set_affiliation(true, occupant.bare_jid, affiliation);
	occupant.role = room:get_default_role(affiliation);
end, -3.5);
