// What the frontends do, in their order, against a running API: node client.js <base> <owner's token> <another user's token>

import assert from "node:assert/strict";

import createClient from "openapi-fetch";

import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];
type Client = ReturnType<typeof caller>;

const [base, ownersToken, guestsToken] = process.argv.slice(2);
assert(base && ownersToken && guestsToken, "usage: client.js <base> <owner's token> <another user's token>");

function caller(token?: string) {
  return createClient<paths>({
    baseUrl: base as string,
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
  });
}

/** What a frontend shows of a refusal. */
function shown(error: Schemas["Problem"] | Schemas["HTTPValidationError"]): string {
  const { detail } = error;
  return Array.isArray(detail) ? detail.map((finding) => finding.msg).join("; ") : String(detail);
}

/** The data of an answer that must be there; a refusal is thrown as the frontends throw it. */
async function data<T>(
  answer: Promise<{ data?: T; error?: Schemas["Problem"] | Schemas["HTTPValidationError"]; response: Response }>,
): Promise<T> {
  const { data, error, response } = await answer;
  if (error !== undefined) throw new Error(`${response.url} answered ${response.status}: ${shown(error)}`);
  return data as T;
}

/** What a frontend shows of an answer that must be a refusal. */
async function refusal(
  status: number,
  answer: Promise<{ error?: Schemas["Problem"] | Schemas["HTTPValidationError"]; response: Response }>,
): Promise<string> {
  const { error, response } = await answer;
  assert.equal(response.status, status, `${response.url} answered ${response.status}`);
  assert(error !== undefined);
  assert.equal(error.status, status);
  return shown(error);
}

/** The body of the dialog that makes and edits rooms. */
function form(name: string, changes: Partial<Schemas["CreateRoom"]> = {}): Schemas["CreateRoom"] {
  return {
    name,
    platform: "jitsi",
    zulip_auto_post: false,
    zulip_stream: "",
    zulip_topic: "",
    is_locked: false,
    room_mode: "normal",
    recording_type: "cloud",
    recording_trigger: "automatic-2nd-participant",
    is_shared: false,
    webhook_url: "",
    webhook_secret: "",
    ics_url: "",
    ics_enabled: false,
    ics_fetch_interval: 300,
    skip_consent: false,
    ...changes,
  };
}

async function whoIsThere(owner: Client, anybody: Client) {
  const me = await data(owner.GET("/v1/me"));
  assert.deepEqual(me, { sub: "owner", email: null });
  assert.equal(await data(anybody.GET("/v1/me")), null);
  assert.equal(await refusal(401, anybody.GET("/v1/rooms", { params: { query: { page: 1 } } })), "Not authenticated");
}

async function rooms(owner: Client, guest: Client): Promise<Schemas["Room"]> {
  const room = await data(owner.POST("/v1/rooms", { body: form("planning") }));
  assert.equal(room.user_id, "owner");
  assert(!Number.isNaN(Date.parse(room.created_at)), room.created_at);
  assert.equal(await refusal(400, owner.POST("/v1/rooms", { body: form("planning") })), "Room name is not unique");
  const { platform: _, ...older } = form("older-frontend");
  await data(owner.POST("/v1/rooms", { body: older }));
  assert.match(await refusal(422, owner.POST("/v1/rooms", { body: form("browse") })), /./);

  const page = await data(owner.GET("/v1/rooms", { params: { query: { page: 1 } } }));
  assert.deepEqual([page.total, page.page, page.size, page.pages], [2, 1, 50, 1]);
  assert.deepEqual(page.items.map((item) => item.name), ["older-frontend", "planning"]);
  const others = await data(guest.GET("/v1/rooms"));
  assert.deepEqual(others.items, []);

  const room_id = room.id;
  const opened = await data(owner.GET("/v1/rooms/{room_id}", { params: { path: { room_id } } }));
  assert.equal(opened.webhook_url, null);
  assert.equal(await refusal(403, guest.GET("/v1/rooms/{room_id}", { params: { path: { room_id } } })), "Room access denied");
  const edited = await data(
    owner.PATCH("/v1/rooms/{room_id}", {
      params: { path: { room_id } },
      body: form("planning", { is_shared: true, webhook_url: "https://127.0.0.1/reflector" }),
    }),
  );
  assert.equal(edited.webhook_secret?.length, 43);
  assert.equal(
    await refusal(403, guest.PATCH("/v1/rooms/{room_id}", { params: { path: { room_id } }, body: { is_locked: true } })),
    "Not authorized",
  );
  const tested = await data(owner.POST("/v1/rooms/{room_id}/webhook/test", { params: { path: { room_id } } }));
  assert(!tested.success && tested.error, "a test of an address that only this host reaches must fail");
  assert.equal(await refusal(404, owner.POST("/v1/rooms/{room_id}/webhook/test", { params: { path: { room_id: "none" } } })), "Room not found");
  const calendar = await data(owner.GET("/v1/rooms/{room_name}/ics/status", { params: { path: { room_name: room.name } } }));
  assert.deepEqual([calendar.status, calendar.events_count], ["disabled", 0]);
  const seen = await data(guest.GET("/v1/rooms/{room_id}", { params: { path: { room_id } } }));
  assert.deepEqual([seen.webhook_url, seen.webhook_secret], [null, null]);
  return room;
}

async function meetings(owner: Client, guest: Client, anybody: Client, room: Schemas["Room"]) {
  const room_name = room.name;
  const named = { params: { path: { room_name } } };
  const door = await data(anybody.GET("/v1/rooms/name/{room_name}", named));
  assert.deepEqual([door.id, door.webhook_secret], [room.id, null]);
  assert.equal(
    await refusal(404, anybody.GET("/v1/rooms/name/{room_name}", { params: { path: { room_name: "nowhere" } } })),
    "Room not found",
  );

  const meeting = await data(owner.POST("/v1/rooms/{room_name}/meeting", { ...named, body: { allow_duplicated: false } }));
  const leads = (url: string) => url.startsWith("https://") && url.includes(meeting.room_name);
  assert(leads(meeting.host_room_url || meeting.room_url), meeting.host_room_url);
  assert(Date.parse(meeting.end_date) > Date.parse(meeting.start_date));
  const again = await data(guest.POST("/v1/rooms/{room_name}/meeting", named));
  assert.deepEqual([again.id, again.host_room_url, again.is_active], [meeting.id, "", true]);

  const active = await data(anybody.GET("/v1/rooms/{room_name}/meetings/active", named));
  assert.deepEqual(active.map((one) => [one.id, one.host_room_url]), [[meeting.id, ""]]);
  assert.deepEqual(await data(anybody.GET("/v1/rooms/{room_name}/meetings/upcoming", named)), []);
  assert.deepEqual(await data(anybody.GET("/v1/rooms/{room_name}/meetings", named)), []);

  const meeting_id = meeting.id;
  const its = { params: { path: { room_name, meeting_id } } };
  const one = await data(guest.GET("/v1/rooms/{room_name}/meetings/{meeting_id}", its));
  assert.deepEqual([one.id, one.platform, one.recording_type, one.num_clients], [meeting_id, "jitsi", "cloud", 0]);
  const joined = await data(guest.POST("/v1/rooms/{room_name}/meetings/{meeting_id}/join", its));
  assert(leads(joined.room_url) && joined.host_room_url === "");

  const path = { params: { path: { meeting_id } } };
  const consent = await data(anybody.POST("/v1/meetings/{meeting_id}/consent", { ...path, body: { consent_given: true } }));
  assert.equal(consent.status, "success");
  assert.equal(
    await refusal(403, guest.PATCH("/v1/meetings/{meeting_id}/deactivate", path)),
    "Only the room owner can deactivate meetings",
  );
  const ended = await data(owner.PATCH("/v1/meetings/{meeting_id}/deactivate", path));
  assert.deepEqual(ended, { status: "success", meeting_id });
  assert.equal(
    await refusal(400, guest.POST("/v1/rooms/{room_name}/meetings/{meeting_id}/join", its)),
    "Meeting is not active",
  );
}

async function otherPlatform(owner: Client, guest: Client) {
  const room = await data(owner.POST("/v1/rooms", { body: form("elsewhere", { platform: "whereby" }) }));
  const named = { params: { path: { room_name: room.name } } };
  const hosted = await data(owner.POST("/v1/rooms/{room_name}/meeting", { ...named, body: {} as Schemas["CreateRoomMeeting"] }));
  assert.equal(hosted.platform, "whereby");
  assert(new URL(hosted.host_room_url).searchParams.has("roomKey"), hosted.host_room_url);
  const visited = await data(guest.POST("/v1/rooms/{room_name}/meeting", named));
  assert.deepEqual([visited.id, visited.room_url, visited.host_room_url], [hosted.id, hosted.room_url, ""]);
}

async function keys(owner: Client) {
  const made = await data(owner.POST("/v1/user/api-keys", { body: { name: "pipeline" } }));
  const listed = await data(owner.GET("/v1/user/api-keys"));
  assert.deepEqual(listed.map((key) => key.id), [made.id]);
  const program = createClient<paths>({ baseUrl: base as string, headers: { "X-API-Key": made.key } });
  assert.equal((await data(program.GET("/v1/me")))?.sub, "owner");
  assert((await data(program.GET("/v1/rooms"))).total > 0);
  await data(owner.DELETE("/v1/user/api-keys/{key_id}", { params: { path: { key_id: made.id } } }));
  assert.equal(await data(program.GET("/v1/me")), null);
}

async function leaving(owner: Client, guest: Client, room: Schemas["Room"]) {
  const its = { params: { path: { room_id: room.id } } };
  assert.equal(await refusal(403, guest.DELETE("/v1/rooms/{room_id}", its)), "Not authorized");
  assert.deepEqual(await data(owner.DELETE("/v1/rooms/{room_id}", its)), { status: "ok" });
  assert.equal(await refusal(404, owner.GET("/v1/rooms/{room_id}", its)), "Room not found");
}

const [owner, guest, anybody] = [caller(ownersToken), caller(guestsToken), caller()];
await whoIsThere(owner, anybody);
const room = await rooms(owner, guest);
await meetings(owner, guest, anybody, room);
await otherPlatform(owner, guest);
await keys(owner);
await leaving(owner, guest, room);
console.log("all answers were as the frontends expect them");
