-- reflector_triggers: the part of mod_reflector_events that starts recordings by rule. It is loaded by that module and has to
-- lie beside it.
--
-- The rule is in the tokens with which people come in: context.room.recording_trigger and context.room.recording_type, which
-- Jitsi's token authentication leaves in the session as jitsi_meet_context_room. "automatic" asks for one person in the
-- room, "automatic-2nd-participant" for two at the same time; every other trigger, the recording type "none" and whatever is
-- not text starts nothing. ("prompt" is done by the browser: the meeting's address asks Jitsi's page to suggest it.)
--
-- When the rule is met, focus gets the request that a moderator's button sends: to focus's own address, in the name of an
-- occupant who is a moderator and whose token grants the feature "recording". Nobody else's token starts anything.
--
-- What it promises:
--   * One recording per meeting, a meeting being the life of a room: once something was recorded to a file, by rule or by
--     hand, or once a person has stopped it, the rule is spent. That outlives a reload of the module.
--   * A person is a human or a telephone; two tabs or devices with the same user id of a token are one person. Recorders,
--     transcribers, focus and health checks are none. Breakout rooms start nothing: what is recorded is the main room.
--   * What focus refuses, and what it accepts but does not bring about, is logged, told as an event, and tried again: after 5
--     seconds, then after twice as long each time, at most 5 minutes. Refusals that time does not cure end it sooner.
--   * Focus's answers reach nobody in the room. Nothing waits: timers wake `advance`, which decides by what is known of the
--     room, so that a lost timer or a reload costs nothing.
--
-- States of a room's trigger (state_of(room).trigger.phase; strings and numbers only, so that they outlive a reload):
--     nil        nothing was asked yet
--     asked      focus has the request `request`; if no answer came until `due`, it counts as refused
--     accepted   focus named the session `session_id`; if nothing was recorded until `due`, it counts as refused
--     pausing    refused; asked again when `due` has come and the rule is still met
--     spent      nothing is asked any more in this meeting

local jid = require "util.jid";
local st = require "util.stanza";
local new_id = require "util.id".medium;
local monotonic = require "util.time".monotonic;

local NS_JIBRI = "http://jitsi.org/protocol/jibri";
local REQUEST_PREFIX = "reflector-start-";
local APP_DATA = '{"file_recording_metadata":{"share":true}}'; -- what the button of Jitsi's page sends

-- Focus handles presence and requests apart, and gives out roles after a join: it gets time for that before it is asked.
local SETTLE_SECONDS = 1;
local ANSWER_SECONDS = 60; -- before it answers, focus asks one recorder after the other
local BEGIN_SECONDS = 600; -- a recorder has 90 seconds to begin, and focus tries six
local FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5, 300;
local PATIENCE = 5; -- how often focus is asked in all when time alone does not cure its refusal

local PEOPLE_NEEDED = { ["automatic"] = 1, ["automatic-2nd-participant"] = 2 };
local RECORDED_TYPES = { ["local"] = true, ["cloud"] = true };
local IS_PERSON = { human = true, phone = true };

-- The last three are this file's own: focus was silent, or has accepted and then nothing was recorded.
local CURED_BY_TIME = {
	["resource-constraint"] = true; -- all recorders are busy
	["service-unavailable"] = true; -- no recorder is there
	["unexpected-request"] = true; -- something is recorded or streamed already
	["policy-violation"] = true; -- too many requests
	["internal-server-error"] = true;
	["remote-server-timeout"] = true;
	["no-answer"] = true;
	["no-recording"] = true;
	["recording-failed"] = true;
};

-- Decisions ---------------------------------------------------------------------------------------------------------

-- The trigger that a token's claims ask for; nil when they start nothing.
local function trigger_of(session)
	local claims = session.jitsi_meet_context_room;
	if type(claims) ~= "table" or not RECORDED_TYPES[claims.recording_type] then return nil; end
	return PEOPLE_NEEDED[claims.recording_trigger] and claims.recording_trigger or nil;
end

-- Jitsi's own condition for recording: the role for focus, the feature for Prosody. A feature that is not named is denied.
local function may_record(role, session)
	local features = session.jitsi_meet_context_features;
	local granted = type(features) == "table" and features.recording;
	return role == "moderator" and (granted == true or granted == "true");
end

-- How many people are behind the records of a room's occupants.
local function people_in(records)
	local seen, count = {}, 0;
	for resource, record in pairs(records) do
		local person = record.user_id and "user " .. record.user_id or "occupant " .. resource;
		if IS_PERSON[record.kind] and not seen[person] then
			seen[person] = true;
			count = count + 1;
		end
	end
	return count;
end

local function pause_after(attempts)
	local pause = FIRST_PAUSE_SECONDS;
	for _ = 2, attempts do pause = math.min(2 * pause, LONGEST_PAUSE_SECONDS); end
	return pause;
end

-- Acts --------------------------------------------------------------------------------------------------------------

-- `host` is what mod_reflector_events has to offer: muc, state_of, report, is_focus, limited, guarded.
return function (host)
	local advance; -- defined below
	local planned = {}; -- by room, when its next timer comes

	local function progress_of(room)
		local state = host.state_of(room);
		if not state.trigger then state.trigger = { attempts = 0 }; end
		return state.trigger;
	end

	-- Looks at the room's rule after so many seconds, or sooner if that is planned already.
	local function wake(room, seconds)
		local room_jid, due = room.jid, monotonic() + seconds;
		if planned[room_jid] and planned[room_jid] <= due then return; end
		planned[room_jid] = due;
		module:add_timer(seconds, function ()
			if planned[room_jid] == due then planned[room_jid] = nil; end
			local now_there = host.muc.get_room_from_jid(room_jid);
			if not now_there then return; end
			host.guarded("the recording of room " .. room_jid .. " was not started", function () advance(now_there); end);
		end);
	end

	local function spend(progress)
		progress.phase, progress.due, progress.request = "spent", nil, nil;
	end

	local function refused(room, condition, text)
		local progress = progress_of(room);
		local again = (CURED_BY_TIME[condition] or progress.attempts < PATIENCE) and pause_after(progress.attempts) or nil;
		module:log(progress.attempts > 1 and again and "info" or "warn",
			"the recording of room %s (%s) did not start: %s%s; %s", room.jid, progress.trigger, condition,
			text and " (" .. text .. ")" or "", again and ("asking again in %d s"):format(again) or "not asking again");
		host.report("recording-start-refused", room, {
			trigger = progress.trigger;
			condition = host.limited(condition);
			reason_text = host.limited(text);
			initiator = host.limited(progress.starter);
			attempt = progress.attempts;
			retry_in_seconds = again;
		});
		if not again then return spend(progress); end
		progress.phase, progress.due, progress.request = "pausing", monotonic() + again, nil;
		wake(room, again);
	end

	local function focus_in(room)
		for _, occupant in room:each_occupant() do
			if host.is_focus(occupant.bare_jid) then return occupant; end
		end
	end

	-- An occupant in whose name focus may be asked now, and the trigger in that occupant's token.
	local function starter_in(room)
		local records = host.state_of(room).occupants;
		local people = people_in(records);
		for _, occupant in room:each_occupant() do
			local record = records[jid.resource(occupant.nick)];
			local session = prosody.full_sessions[occupant.jid];
			local is_candidate = record and record.kind == "human" and session and may_record(occupant.role, session);
			local trigger = is_candidate and trigger_of(session);
			if trigger and people >= PEOPLE_NEEDED[trigger] then return occupant, trigger; end
		end
	end

	-- Sends what the room would send on if the occupant had asked, so that the answer comes back to the room.
	local function ask(room, focus, occupant, trigger)
		local progress = progress_of(room);
		progress.phase, progress.due = "asked", monotonic() + ANSWER_SECONDS;
		progress.request, progress.session_id = REQUEST_PREFIX .. new_id(), nil;
		progress.attempts = progress.attempts + 1;
		progress.trigger, progress.starter = trigger, jid.resource(occupant.nick);
		wake(room, ANSWER_SECONDS);
		module:send(st.iq({ type = "set", id = progress.request, from = occupant.nick, to = focus.jid })
			:tag("jibri", { xmlns = NS_JIBRI, action = "start", recording_mode = "file", app_data = APP_DATA }));
	end

	function advance(room)
		local progress = progress_of(room);
		if progress.phase == "spent" then return; end
		local left = progress.due and progress.due - monotonic() or 0;
		if left > 0 then return wake(room, left); end
		if progress.phase == "asked" then return refused(room, "no-answer"); end
		if progress.phase == "accepted" then return refused(room, "no-recording"); end
		local focus = focus_in(room);
		local occupant, trigger = starter_in(room);
		if focus and occupant then ask(room, focus, occupant, trigger); end
	end

	local function accepted(room, session_id)
		local progress = progress_of(room);
		progress.phase, progress.due, progress.request = "accepted", monotonic() + BEGIN_SECONDS, nil;
		progress.session_id = session_id;
		wake(room, BEGIN_SECONDS);
		host.report("recording-start-accepted", room, {
			trigger = progress.trigger;
			session_id = host.limited(session_id);
			initiator = host.limited(progress.starter);
			attempt = progress.attempts;
		});
	end

	-- An answer that comes too late, or after something was recorded, changes nothing.
	local function answered(room, stanza)
		local progress = progress_of(room);
		if progress.phase ~= "asked" or progress.request ~= stanza.attr.id then return; end
		if stanza.attr.type == "error" then
			local _, condition, text = stanza:get_error();
			return refused(room, condition or "undefined-condition", text);
		end
		local jibri = stanza:get_child("jibri", NS_JIBRI);
		accepted(room, jibri and jibri.attr.session_id);
	end

	-- Before the room's own handler, which would pass the answer on to the occupant.
	module:hook("iq/full", function (event)
		local stanza = event.stanza;
		local id, kind = stanza.attr.id or "", stanza.attr.type;
		if id:sub(1, #REQUEST_PREFIX) ~= REQUEST_PREFIX or (kind ~= "result" and kind ~= "error") then return; end
		if not host.is_focus(jid.bare(stanza.attr.from)) then return; end
		local room = host.muc.get_room_from_jid(jid.bare(stanza.attr.to));
		if room then
			host.guarded("focus's answer for room " .. room.jid .. " was not understood", function () answered(room, stanza); end);
		end
		return true;
	end, 10);

	return {
		-- Something changed that a rule may depend on: who is here, and with which role.
		changed = function (room)
			if progress_of(room).phase ~= "spent" then wake(room, SETTLE_SECONDS); end
		end;

		-- Focus says how a recording stands, now or (in a snapshot) since some time before this module was loaded.
		recording = function (room, attr, is_snapshot)
			if attr.recording_mode == "stream" then return; end
			local progress = progress_of(room);
			local was_stopped_by_somebody = attr.status == "off" and attr.initiator;
			local is_of_unknown_past = is_snapshot and not progress.phase;
			if attr.status == "on" or was_stopped_by_somebody or is_of_unknown_past then
				spend(progress);
			elseif attr.status == "off" and progress.phase == "accepted" and attr.session_id == progress.session_id then
				refused(room, "recording-failed", attr.failure_reason);
			end
		end;
	};
end
