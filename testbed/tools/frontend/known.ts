// What the frontends are written against: the names and types that they use today. This file is never run; that it compiles is the
// test. The types on the right are made from the API's own document.

import type { components, operations, paths } from "./schema.js";

type Schemas = components["schemas"];

interface KnownRoom {
  id: string;
  name: string;
  user_id: string;
  created_at: string;
  zulip_auto_post: boolean;
  zulip_stream: string;
  zulip_topic: string;
  is_locked: boolean;
  room_mode: "normal" | "group";
  recording_type: "none" | "local" | "cloud";
  recording_trigger: "none" | "prompt" | "automatic" | "automatic-2nd-participant";
  is_shared: boolean;
  platform: "whereby" | "jitsi";
  ics_url?: string | null;
  ics_fetch_interval: number;
  ics_enabled: boolean;
  ics_last_sync?: string | null;
  ics_last_etag?: string | null;
  skip_consent: boolean;
}

interface KnownRoomDetails extends KnownRoom {
  webhook_url: string | null;
  webhook_secret: string | null;
}

interface KnownMeeting {
  id: string;
  room_name: string;
  room_url: string;
  host_room_url: string;
  start_date: string;
  end_date: string;
  user_id?: string | null;
  room_id?: string | null;
  is_locked: boolean;
  room_mode: "normal" | "group";
  recording_type: "none" | "local" | "cloud";
  recording_trigger: "none" | "prompt" | "automatic" | "automatic-2nd-participant";
  num_clients: number;
  is_active: boolean;
  calendar_event_id?: string | null;
  calendar_metadata?: { [key: string]: unknown } | null;
  platform: "whereby" | "jitsi";
  daily_composed_video_s3_key?: string | null;
  daily_composed_video_duration?: number | null;
}

interface KnownPage {
  items: KnownRoomDetails[];
  total?: number | null;
  page: number | null;
  size: number | null;
  pages?: number | null;
}

interface KnownValidationError {
  loc: (string | number)[];
  msg: string;
  type: string;
}

interface KnownWebhookTest {
  success: boolean;
  message: string;
  error: string;
  status_code?: number | null;
  response_preview?: string | null;
}

interface KnownApiKey {
  id: string;
  user_id: string;
  name: string | null;
  created_at: string;
}

/** What the dialog for rooms sends. */
interface KnownRoomForm {
  name: string;
  platform: "whereby" | "jitsi";
  zulip_auto_post: boolean;
  zulip_stream: string;
  zulip_topic: string;
  is_locked: boolean;
  room_mode: "normal" | "group";
  recording_type: "none" | "local" | "cloud";
  recording_trigger: "none" | "prompt" | "automatic" | "automatic-2nd-participant";
  is_shared: boolean;
  webhook_url: string;
  webhook_secret: string;
  ics_url: string;
  ics_enabled: boolean;
  ics_fetch_interval: number;
  skip_consent: boolean;
}

/** Compiles when whoever expects `Wanted` can be given `Given`. */
type Serves<Given extends Wanted, Wanted> = Given;

export type Answers = [
  Serves<Schemas["Room"], KnownRoom>,
  Serves<Schemas["RoomDetails"], KnownRoomDetails>,
  Serves<Schemas["Meeting"], KnownMeeting>,
  Serves<Schemas["Page_RoomDetails_"], KnownPage>,
  Serves<Schemas["UserInfo"], { sub: string; email: string | null }>,
  Serves<Schemas["DeletionStatus"], { status: string }>,
  Serves<Schemas["WebhookTestResult"], KnownWebhookTest>,
  Serves<Required<Schemas["CreateApiKeyResponse"]>, KnownApiKey & { key: string }>,
  Serves<Schemas["ValidationError"], KnownValidationError>,
  Serves<Schemas["HTTPValidationError"], { detail?: KnownValidationError[] }>,
];

export type Requests = [
  Serves<KnownRoomForm, Schemas["CreateRoom"]>,
  Serves<KnownRoomForm, Schemas["UpdateRoom"]>,
  Serves<Partial<KnownRoomForm>, Partial<Schemas["UpdateRoom"]>>,
  Serves<{ allow_duplicated: boolean }, Schemas["CreateRoomMeeting"]>,
  Serves<{ consent_given: boolean }, Schemas["MeetingConsentRequest"]>,
];

export type Operations = Serves<
  | "health"
  | "v1_jibri_recording_complete"
  | "v1_jitsi_events_webhook"
  | "v1_jitsi_health_check"
  | "v1_meeting_audio_consent"
  | "v1_meeting_deactivate"
  | "v1_rooms_create"
  | "v1_rooms_create_meeting"
  | "v1_rooms_delete"
  | "v1_rooms_get"
  | "v1_rooms_get_by_name"
  | "v1_rooms_get_meeting"
  | "v1_rooms_join_meeting"
  | "v1_rooms_list"
  | "v1_rooms_list_active_meetings"
  | "v1_rooms_list_meetings"
  | "v1_rooms_list_upcoming_meetings"
  | "v1_create_api_key"
  | "v1_delete_api_key"
  | "v1_list_api_keys"
  | "v1_rooms_ics_status"
  | "v1_rooms_sync_ics"
  | "v1_rooms_test_webhook"
  | "v1_rooms_update"
  | "v1_user_me"
  | "v1_whereby_webhook",
  keyof operations
>;

export type Paths = Serves<
  | "/v1/me"
  | "/v1/meetings/{meeting_id}/consent"
  | "/v1/meetings/{meeting_id}/deactivate"
  | "/v1/rooms"
  | "/v1/rooms/name/{room_name}"
  | "/v1/rooms/{room_id}"
  | "/v1/rooms/{room_id}/webhook/test"
  | "/v1/rooms/{room_name}/ics/status"
  | "/v1/rooms/{room_name}/ics/sync"
  | "/v1/rooms/{room_name}/meeting"
  | "/v1/rooms/{room_name}/meetings"
  | "/v1/rooms/{room_name}/meetings/active"
  | "/v1/rooms/{room_name}/meetings/upcoming"
  | "/v1/rooms/{room_name}/meetings/{meeting_id}"
  | "/v1/rooms/{room_name}/meetings/{meeting_id}/join"
  | "/v1/user/api-keys"
  | "/v1/user/api-keys/{key_id}"
  | "/v1/whereby",
  keyof paths
>;
