-- mod_reflector_events: writes what happens in the rooms of a Jitsi deployment into a spool directory, from which
-- reflector-agent delivers it. With reflector_triggers.lib.lua beside it, it also starts recordings by the rule in
-- people's tokens.
--
-- Load it on the main MUC component and, if there is one, on the breakout component; on no other host:
--
--     Component "conference.meet.example.com" "muc"
--         modules_enabled = { "muc_meeting_id"; "reflector_events"; }
--         reflector_spool_directory = "/var/spool/reflector-agent/prosody"
--
-- Options (all have a default; <base> is the component's host without its first label):
--     reflector_spool_directory   where segments go; must exist and be writable      /var/spool/reflector-agent/prosody
--     reflector_source            name of this source                                <contents of /etc/hostname>/<host>
--     reflector_focus_jids        bare JIDs that jicofo logs in with                 { "focus@auth.<base>" }
--     reflector_hidden_domain     domain that recorders and transcribers log in to   "recorder.<base>"
--     reflector_main_muc          main MUC; only needed on the breakout component    "conference.<base>"
--
-- What it promises:
--   * One event is one line of JSON: {"id","event","room","timestamp","data"}, appended with one write as it happens.
--   * Ids are unique and rise with time: "evt_", the boot id (12 hexadecimal digits of the load time in milliseconds
--     and 8 random ones) and 8 digits of the sequence number. data.boot_id and data.seq carry both parts; seq counts from 1.
--   * Timestamps are UTC and never go back within a boot.
--   * Segments are named <YYYYMMDD>T<HH>Z.<boot id>.jsonl, so lexical order is the order of writing. A new boot never
--     appends to an old segment, and after a write that may have left half a line the rest goes to a new segment
--     (<boot id>_002 and so on): a good line is never glued to half a one.
--   * While the directory cannot be written, up to 10,000 events wait in memory, in order, and one error is logged. If more
--     have to be given up, a new boot begins afterwards: its `source-started` counts them in data.events_lost, and the
--     snapshot that follows says how the rooms stand.
--   * It never blocks on a network, starts no process, and never changes or stops an event of Prosody, except for focus's
--     answers to its own requests.
--
-- Events: source-started, muc-room-created, muc-room-destroyed, muc-occupant-joined, muc-occupant-updated,
-- muc-occupant-left, jibri-recording-on, jibri-recording-off, recording-start-accepted, recording-start-refused. After
-- source-started come the rooms, occupants and running recordings that exist already, with data.snapshot = true. `room` is
-- the room's node without its tenant; for a breakout room it is the main room, and data.is_breakout and
-- data.breakout_room_id tell them apart.
--
-- Trust: recording state counts only in the presence of a focus account, told by its real JID and never by its nick;
-- recorders and transcribers are told by the domain of their real JID. Names and e-mail addresses that clients choose are
-- cut at 256 characters. Focus itself and jicofo's health-check rooms are not reported.

local jid = require "util.jid";
local json = require "util.json";
local lfs = require "lfs";
local new_queue = require "util.queue".new;
local random_bytes = require "util.random".bytes;
local time_now = require "util.time".now;

if module:get_host_type() ~= "component" then
	error("mod_reflector_events belongs into modules_enabled of the MUC component (conference." .. module.host
		.. "), not of the host " .. module.host);
end
local muc = module:depends("muc");

local MODULE_VERSION = "0.1.0";
local MAX_CHARACTERS = 256;
local MAX_WAITING = 10000;
local RETRY_SECONDS = 5;
local HEALTH_CHECK_PREFIX = "__jicofo-health-check";
local NS_JIBRI = "http://jitsi.org/protocol/jibri";
local NS_JIGASI = "http://jitsi.org/protocol/jigasi";
local NS_NICK = "http://jabber.org/protocol/nick";
local TRANSCRIBER_FEATURE = "http://jitsi.org/protocol/transcriber";

local function host_name()
	local file = io.open("/etc/hostname");
	local name = file and file:read("*l");
	if file then file:close(); end
	return name and name:match("%S+") or "localhost";
end

local base = module.host:gsub("^[^.]+%.", "");
local is_breakout_host = module.host:find("^breakout%.") ~= nil;
local directory = module:get_option_string("reflector_spool_directory", "/var/spool/reflector-agent/prosody"):gsub("(.)/+$", "%1");
local source = module:get_option_string("reflector_source", host_name() .. "/" .. module.host);
local focus_jids = module:get_option_set("reflector_focus_jids", { "focus@auth." .. base });
local hidden_domain = module:get_option_string("reflector_hidden_domain", "recorder." .. base);
local main_muc = module:get_option_string("reflector_main_muc", "conference." .. base);

-- Values ------------------------------------------------------------------------------------------------------------

-- A client's text, cut at MAX_CHARACTERS without splitting a UTF-8 character; nil when there is none.
local function limited(text)
	if text == nil or text == "" then return nil; end
	text = tostring(text);
	if #text <= MAX_CHARACTERS then return text; end
	local characters = 0;
	for start in text:gmatch("()[^\128-\191]") do
		characters = characters + 1;
		if characters > MAX_CHARACTERS then return text:sub(1, start - 1); end
	end
	return text;
end

local function now_ms()
	return math.floor(time_now() * 1000);
end

local function utc(format, ms)
	return os.date("!" .. format, math.floor(ms / 1000));
end

local function rfc3339(ms)
	return utc("%Y-%m-%dT%H:%M:%S", ms) .. (".%03dZ"):format(ms % 1000);
end

local function new_boot_id(ms)
	return ("%012x"):format(ms) .. random_bytes(4):gsub(".", function (byte) return ("%02x"):format(byte:byte()); end);
end

local function is_focus(bare_jid)
	return focus_jids:contains(bare_jid);
end

-- Accounts of the deployment's own components, as opposed to those that any visitor can get.
local function is_service_account(occupant)
	local host = jid.host(occupant.bare_jid);
	if host == hidden_domain then return true; end
	for focus_jid in focus_jids:items() do
		if jid.host(focus_jid) == host then return true; end
	end
	return false;
end

-- An error in here must not reach Prosody, which would drop what it was doing in the room.
local function guarded(complaint, act)
	local ok, err = xpcall(act, debug.traceback);
	if not ok then module:log("error", "%s: %s", complaint, err); end
end

-- Spool -------------------------------------------------------------------------------------------------------------

local boot_id, seq, latest_ms;
local segment, segment_path, segment_size; -- the open file, its path, and how long we left it
local part = 1; -- counts segments of this boot that follow a torn write
local waiting = new_queue(MAX_WAITING);
local given_up = 0; -- events of this boot that found the queue full
local in_outage, retry_is_planned = false, false;

local function close_segment()
	if segment then segment:close(); end
	segment, segment_path = nil, nil;
end

local function current_path()
	local suffix = part > 1 and ("_%03d"):format(part) or "";
	return directory .. "/" .. utc("%Y%m%dT%HZ", latest_ms) .. "." .. boot_id .. suffix .. ".jsonl";
end

-- Opens the segment of this hour unless it is open already and still the file that its name leads to.
local function open_segment()
	local path = current_path();
	if segment and segment_path == path and lfs.attributes(path, "size") == segment_size then return segment; end
	close_segment();
	local file, err = io.open(path, "a");
	if not file then return nil, err; end
	file:setvbuf("no");
	segment, segment_path, segment_size = file, path, file:seek("end");
	return file;
end

local function append(line)
	local file, err = open_segment();
	if not file then return nil, err; end
	local written, write_err = file:write(line);
	if written then
		segment_size = segment_size + #line;
		return true;
	end
	if file:seek("end") ~= segment_size then part = part + 1; end
	close_segment();
	return nil, write_err;
end

local function write_waiting()
	while waiting:count() > 0 do
		local ok, err = append(waiting:peek());
		if not ok then return nil, err; end
		waiting:pop();
	end
	return true;
end

local start_boot, plan_retry; -- defined below

-- Writes what waits. Says once per outage what is wrong, and begins a new boot if the outage cost events.
local function flush()
	local ok, err = write_waiting();
	if not ok then
		if not in_outage then
			in_outage = true;
			module:log("error", "cannot write events to the spool directory %s: %s. Make sure that it exists, that the user "
				.. "who runs Prosody may write to it, and that its disk has room. Events wait in memory (at most %d) and are "
				.. "written as soon as that is possible", directory, err, MAX_WAITING);
		end
		plan_retry();
		return;
	end
	if in_outage then
		in_outage = false;
		module:log("info", "the spool directory %s can be written again; %d events were given up", directory, given_up);
	end
	if given_up > 0 then start_boot(); end
end

function plan_retry()
	if retry_is_planned then return; end
	retry_is_planned = true;
	module:add_timer(RETRY_SECONDS, function ()
		retry_is_planned = false;
		flush();
	end);
end

local function line_of(id, name, room_name, ms, data)
	return ('{"id":"%s","event":"%s","room":%s,"timestamp":"%s","data":%s}\n'):format(
		id, name, json.encode(room_name), rfc3339(ms), json.encode(data));
end

local function emit(name, room_name, data)
	latest_ms = math.max(latest_ms, now_ms());
	seq = seq + 1;
	data.boot_id, data.seq = boot_id, seq;
	if not waiting:push(line_of(("evt_%s%08x"):format(boot_id, seq), name, room_name, latest_ms, data)) then
		given_up = given_up + 1;
	end
	flush();
end

-- Rooms -------------------------------------------------------------------------------------------------------------

-- What is known of a room lives on the room, as strings in tables, so that it goes with the room and outlives a reload.
local function state_of(room)
	local state = room._reflector_events;
	if not state then
		state = { occupants = {}, seen = {}, active = {} };
		room._reflector_events = state;
	end
	return state;
end

local function is_reported(room)
	return room.jid:sub(1, #HEALTH_CHECK_PREFIX) ~= HEALTH_CHECK_PREFIX;
end

-- The name under which a room is reported, and its tenant if it has one.
local function name_and_tenant(room_jid)
	local node = jid.node(room_jid) or room_jid;
	local tenant, name = node:match("^%[([^%]]+)%](.+)$");
	return name or node, tenant;
end

-- The JID of the main room that a breakout room belongs to, found once; nil while nobody knows it.
local function main_room_jid(room, state)
	if state.main_room then return state.main_room; end
	local host = prosody.hosts[main_muc];
	if not (host and host.modules.muc) then return nil; end
	for main_room in host.modules.muc.each_room(true) do
		local breakouts = main_room._data.breakout_rooms;
		if breakouts and breakouts[room.jid] then
			state.main_room = main_room.jid;
			return state.main_room;
		end
	end
end

local function report(name, room, data, is_snapshot)
	local reported_jid = room.jid;
	if is_breakout_host then
		reported_jid = main_room_jid(room, state_of(room)) or room.jid;
		data.is_breakout, data.breakout_room_id = true, jid.node(room.jid);
	end
	local room_name, tenant = name_and_tenant(reported_jid);
	data.tenant = tenant;
	data.meeting_session_id = room._data.meetingId;
	data.snapshot = is_snapshot;
	emit(name, room_name, data);
end

local function room_appeared(room, is_snapshot)
	local state = state_of(room);
	if state.created then return; end
	state.created = "yes";
	report("muc-room-created", room, {}, is_snapshot);
end

-- Occupants ---------------------------------------------------------------------------------------------------------

local function has_feature(presence, feature)
	local features = presence:get_child("features");
	if not features then return false; end
	for child in features:childtags("feature") do
		if child.attr.var == feature then return true; end
	end
	return false;
end

local function kind_of(occupant, presence)
	if is_service_account(occupant) and has_feature(presence, TRANSCRIBER_FEATURE) then return "transcriber"; end
	if jid.host(occupant.bare_jid) == hidden_domain then
		return (jid.node(occupant.bare_jid) or ""):find("^transcriber") and "transcriber" or "recorder";
	end
	return presence:get_child("initiator", NS_JIGASI) and "phone" or "human";
end

-- Everything that is reported of an occupant who is in the room. What a token says wins over what the client says.
local function describe(room, occupant, presence, session)
	local user = session and session.jitsi_meet_context_user;
	if type(user) ~= "table" then user = {}; end -- tokens say what they like
	local record = {
		occupant_id = limited(jid.resource(occupant.nick));
		user_id = limited(user.id);
		display_name = limited(presence:get_child_text("nick", NS_NICK)) or limited(user.name);
		email = limited(user.email) or limited(presence:get_child_text("email"));
		role = occupant.role;
		affiliation = room:get_affiliation(occupant.bare_jid) or "none";
		kind = kind_of(occupant, presence);
	};
	local group = session and session.jitsi_meet_context_group;
	if type(group) == "string" then record.group = limited(group); end
	return record;
end

local function copy(record)
	local result = {};
	for name, value in pairs(record) do result[name] = value; end
	return result;
end

local function session_of(occupant)
	return prosody.full_sessions[occupant.jid];
end

local function occupant_appeared(room, occupant, presence, session, is_snapshot)
	local record = describe(room, occupant, presence, session);
	state_of(room).occupants[jid.resource(occupant.nick)] = record;
	report("muc-occupant-joined", room, copy(record), is_snapshot);
end

-- True if something of what is reported has changed.
local function occupant_updated(room, occupant, presence)
	local occupants = state_of(room).occupants;
	local resource = jid.resource(occupant.nick);
	local before = occupants[resource];
	if not before then return false; end -- the join follows this presence
	local session = session_of(occupant);
	local now = describe(room, occupant, presence, session);
	-- Who somebody is was settled at the join; the session that knew it may be another one now.
	now.user_id, now.group, now.kind = before.user_id, before.group, before.kind;
	if not session then
		now.display_name, now.email = now.display_name or before.display_name, now.email or before.email;
	end
	local changed = {};
	for _, name in ipairs { "display_name", "email", "role", "affiliation" } do
		if now[name] ~= before[name] then changed[#changed + 1] = name; end
	end
	if #changed == 0 then return false; end
	occupants[resource] = now;
	local data = copy(now);
	data.changed = changed;
	report("muc-occupant-updated", room, data);
	return true;
end

local REASON_BY_STATUS = {
	["301"] = "banned";
	["303"] = "nick_changed";
	["307"] = "kicked";
	["321"] = "affiliation_changed";
	["322"] = "members_only";
	["333"] = "error";
};

-- Why an occupant goes, from the unavailable presence that is broadcast just before.
local function departure(room, event)
	local actor = event.actor and room:get_occupant_by_real_jid(event.actor);
	local result = { actor = actor and limited(jid.resource(actor.nick)); text = limited(event.reason) };
	for status in event.x:childtags("status") do
		result.reason = REASON_BY_STATUS[status.attr.code] or result.reason;
	end
	if not result.reason then
		local text = event.stanza:get_child_text("status") or "";
		if room.destroying then
			result.reason = "room_destroyed";
		elseif text:find("^Disconnected") then
			result.reason = "connection_lost";
		elseif text == "switch_room" then
			result.reason = "switch_room";
		end
	end
	return result;
end

-- Prosody sends the leave of a lost connection itself, for a session that it has destroyed.
local function occupant_left(room, occupant, session)
	local state = state_of(room);
	local resource = jid.resource(occupant.nick);
	local record = state.occupants[resource] or { occupant_id = limited(resource) };
	local leaving = state.leaving or {};
	state.occupants[resource], state.leaving = nil, nil;
	local data = copy(record);
	data.reason = leaving.reason or (session and session.destroyed and "connection_lost") or "left";
	data.actor, data.reason_text = leaving.actor, leaving.text;
	report("muc-occupant-left", room, data);
end

-- Recordings --------------------------------------------------------------------------------------------------------

local function report_recording(room, status, session_id, data, is_snapshot)
	data.session_id = session_id;
	report("jibri-recording-" .. status, room, data, is_snapshot);
end

local function recording_data(state, element)
	local attr = element.attr;
	local initiator = attr.initiator and jid.resource(attr.initiator);
	local record = initiator and state.occupants[initiator];
	return {
		mode = limited(attr.recording_mode);
		initiator = limited(initiator);
		initiator_name = record and record.display_name;
		failure_reason = limited(attr.failure_reason);
	};
end

-- Focus repeats the element in every later presence: only what differs from the last time is news.
local function recording_status(room, element)
	local status, session_id = element.attr.status, limited(element.attr.session_id);
	if not session_id or (status ~= "on" and status ~= "off") then return; end
	local state = state_of(room);
	local value = status .. "|" .. (element.attr.failure_reason or "");
	if state.seen[session_id] == value then return; end
	state.seen[session_id] = value;
	local data = recording_data(state, element);
	state.active[session_id] = status == "on" and (data.mode or "file") or nil;
	report_recording(room, status, session_id, data);
end

-- After a reload: a running recording is told again, and one that ended meanwhile is told as ended.
local function recording_snapshot(room, element, was_active)
	local status, session_id = element.attr.status, limited(element.attr.session_id);
	if not session_id or (status ~= "on" and status ~= "off") then return; end
	local state = state_of(room);
	state.seen[session_id] = status .. "|" .. (element.attr.failure_reason or "");
	if status == "off" and not was_active[session_id] then return; end
	local data = recording_data(state, element);
	state.active[session_id] = status == "on" and (data.mode or "file") or nil;
	report_recording(room, status, session_id, data, true);
end

local function end_active_recordings(room)
	local state = state_of(room);
	local session_ids = {};
	for session_id in pairs(state.active) do session_ids[#session_ids + 1] = session_id; end
	table.sort(session_ids);
	for _, session_id in ipairs(session_ids) do
		report_recording(room, "off", session_id, { mode = state.active[session_id], reason = "room_destroyed" });
	end
end

local function nothing() end

-- What is recorded is the main room, so that breakout rooms have no rule. Without the file with the rules, events are still told.
local triggers = { changed = nothing, recording = nothing };
if not is_breakout_host then
	local ok, found = pcall(function ()
		return module:require "reflector_triggers" {
			muc = muc, state_of = state_of, report = report, is_focus = is_focus, limited = limited, guarded = guarded,
		};
	end);
	if ok then
		triggers = found;
	else
		module:log("error", "recordings are not started by rule: %s. Put reflector_triggers.lib.lua beside "
			.. "mod_reflector_events.lua, and reload the module", found);
	end
end

-- Start -------------------------------------------------------------------------------------------------------------

local function snapshot_of(room)
	local before = state_of(room);
	room._reflector_events = {
		occupants = {}, seen = before.seen, active = {}, main_room = before.main_room, trigger = before.trigger,
	};
	room_appeared(room, true);
	local focus_presences = {};
	for _, occupant in room:each_occupant() do
		local presence = occupant:get_presence();
		if presence and is_focus(occupant.bare_jid) then
			focus_presences[#focus_presences + 1] = presence;
		elseif presence then
			occupant_appeared(room, occupant, presence, session_of(occupant), true);
		end
	end
	for _, presence in ipairs(focus_presences) do
		for element in presence:childtags("jibri-recording-status", NS_JIBRI) do
			recording_snapshot(room, element, before.active);
			triggers.recording(room, element.attr, true);
		end
	end
	triggers.changed(room);
end

function start_boot()
	latest_ms = math.max(latest_ms or 0, now_ms());
	boot_id, seq, part = new_boot_id(latest_ms), 0, 1;
	local lost = given_up;
	given_up = 0;
	emit("source-started", module.host, {
		source = source;
		prosody_version = prosody.version;
		module_version = MODULE_VERSION;
		events_lost = lost > 0 and lost or nil;
	});
	for room in muc.each_room(true) do
		if is_reported(room) then
			guarded("room " .. room.jid .. " was not reported as it stands", function () snapshot_of(room); end);
		end
	end
	module:log("info", "boot %s writes events to %s", boot_id, directory);
end

-- Hooks. Priorities are not negative, so that the last leave is seen before the room's end; at creation it is the lowest of
-- these, so that other modules have named the meeting.
local function hook(name, handler, priority)
	module:hook(name, function (event)
		if not is_reported(event.room) then return; end
		guarded(name .. " in room " .. event.room.jid .. " was not reported", function () handler(event); end);
	end, priority or 10);
end

hook("muc-room-created", function (event)
	room_appeared(event.room);
end, 0);

hook("muc-occupant-joined", function (event)
	if not is_focus(event.occupant.bare_jid) then
		room_appeared(event.room);
		occupant_appeared(event.room, event.occupant, event.stanza, event.origin);
	end
	triggers.changed(event.room);
end);

hook("muc-broadcast-presence", function (event)
	local room, occupant, presence = event.room, event.occupant, event.stanza;
	if is_focus(occupant.bare_jid) then
		if presence.attr.type == "unavailable" then return; end
		for element in presence:childtags("jibri-recording-status", NS_JIBRI) do
			recording_status(room, element);
			triggers.recording(room, element.attr);
		end
	elseif presence.attr.type == "unavailable" then
		state_of(room).leaving = departure(room, event);
	elseif occupant_updated(room, occupant, presence) then
		triggers.changed(room);
	end
end);

hook("muc-occupant-left", function (event)
	if is_focus(event.occupant.bare_jid) then return; end
	occupant_left(event.room, event.occupant, event.origin);
end);

hook("muc-room-destroyed", function (event)
	end_active_recordings(event.room);
	report("muc-room-destroyed", event.room, { reason_text = limited(event.reason) });
	event.room._reflector_events = nil;
end);

module:hook_global("reopen-log-files", close_segment);

-- Events that wait in memory go over to the next load of this module.
function module.save()
	local lines = {};
	for _, line in waiting:items() do lines[#lines + 1] = line; end
	return { lines = lines, given_up = given_up };
end

local function say_what_is_lost()
	local count = waiting:count() + given_up;
	if count > 0 then
		module:log("error", "%d events could not be written to the spool directory %s and are lost", count, directory);
	end
end

module:hook_global("server-stopped", say_what_is_lost);

function module.unload()
	close_segment();
	if not module.reloading then say_what_is_lost(); end
end

local inherited = module.saved_state;
if inherited then
	for _, line in ipairs(inherited.lines) do waiting:push(line); end
	given_up = inherited.given_up;
end
start_boot();
