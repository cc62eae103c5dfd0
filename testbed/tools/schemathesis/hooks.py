"""Lets generated requests get further than the door: real ids in paths, and signatures over generated bodies."""

import base64
import hashlib
import hmac
import json
import os
import time
import zlib

import schemathesis
from requests.auth import AuthBase

# One of these instead of what was generated: ids by the name of the parameter.
KNOWN = json.loads(os.environ["KNOWN"])
JITSI_SECRET = os.environ["JITSI_WEBHOOK_SECRET"].encode()
WHEREBY_SECRET = os.environ["WHEREBY_WEBHOOK_SECRET"].encode()


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Every other request is about something that exists, unless it would take that away."""
    if not path_parameters:
        return path_parameters
    label = context.operation.label
    if label.startswith("DELETE") or label.endswith("/deactivate"):
        return path_parameters
    choice = zlib.crc32(repr(sorted(path_parameters.items())).encode()) % (2 * len(KNOWN))
    if choice < len(KNOWN):
        path_parameters.update({name: KNOWN[choice][name] for name in path_parameters if name in KNOWN[choice]})
    return path_parameters


@schemathesis.hook
def map_body(context, body):
    """Every other delivery is about a meeting that exists."""
    if isinstance(body, dict):
        choice = zlib.crc32(repr(body).encode()) % (2 * len(KNOWN))
        if choice < len(KNOWN):
            for member in ("room", "room_name"):
                if isinstance(body.get(member), str):
                    body[member] = KNOWN[choice]["room"]
    return body


def content_of(request):
    body = request.body or b""
    return body if isinstance(body, bytes) else body.encode()


class SignedByAgent(AuthBase):
    """Signs as agents do: Standard Webhooks, by the id of the upload that the path names, if it names one."""

    def __call__(self, request):
        steps = request.path_url.split("?")[0].split("/")
        name = steps[4] if request.path_url.startswith("/v1/recordings/uploads/") and len(steps) > 4 else "msg_1"
        date = str(int(time.time()))
        content = b".".join([name.encode(), date.encode(), content_of(request)])
        digest = hmac.new(JITSI_SECRET, content, hashlib.sha256).digest()
        request.headers["webhook-id"] = name
        request.headers["webhook-timestamp"] = date
        request.headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
        return request


class SignedByWhereby(AuthBase):
    """Signs as Whereby does."""

    def __call__(self, request):
        date = str(int(time.time()))
        digest = hmac.new(WHEREBY_SECRET, date.encode() + b"." + content_of(request), hashlib.sha256).hexdigest()
        request.headers["Whereby-Signature"] = f"t={date},v1={digest}"
        return request


FROM_AGENTS = r"^/v1/(jitsi/events|jibri/|agents/|recordings/uploads)"
schemathesis.auth.set_from_requests(SignedByAgent()).apply_to(path_regex=FROM_AGENTS)
schemathesis.auth.set_from_requests(SignedByWhereby()).apply_to(method="POST", path="/v1/whereby")
