-- What a module of jitsi-contrib needs of Jitsi's own library of that name: which rooms are jicofo's health checks.

local function is_healthcheck_room(room_jid)
	return room_jid:sub(1, #"__jicofo-health-check") == "__jicofo-health-check";
end

return { is_healthcheck_room = is_healthcheck_room };
