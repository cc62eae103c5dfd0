"""Lets generated requests get further than the door: real ids in paths, and signatures over generated bodies."""

import base64
import hashlib
import hmac
import json
import os
import time
from collections import defaultdict
from itertools import count

import schemathesis
from requests.auth import AuthBase

# Ids of what exists, by the name of the parameter: sets that are kept, and one that may be taken away.
KNOWN = json.loads(os.environ["KNOWN"])
SPARE = json.loads(os.environ["SPARE"])
JITSI_SECRET = os.environ["JITSI_WEBHOOK_SECRET"].encode()
TURNS = defaultdict(count)
WHEREBY_SECRET = os.environ["WHEREBY_WEBHOOK_SECRET"].encode()


def takes_away(operation):
    return operation.label.startswith("DELETE") or operation.label.endswith("/deactivate")


def chosen(operation):
    """What the next request to this operation is about: something that exists, or every other time whatever was generated."""
    # Whoever completes an upload wrongly ends it, so one of them is left alone.
    kept = KNOWN[:1] if operation.label.endswith("/complete") else KNOWN
    sets = [SPARE] if takes_away(operation) else kept
    turn = next(TURNS[operation.label]) % (2 * len(sets))
    return sets[turn] if turn < len(sets) else {}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Leads requests to what exists. What other requests are about is neither taken away nor renamed."""
    ids = chosen(case.operation)
    parameters = {name: ids.get(name, value) for name, value in (case.path_parameters or {}).items()}
    is_kept = any(value in known.values() for value in parameters.values() for known in KNOWN)
    if is_kept and takes_away(case.operation):
        parameters = {name: SPARE.get(name, value) for name, value in parameters.items()}
    if parameters:
        case.path_parameters = parameters
    if isinstance(case.body, dict):
        case.body = {name: value for name, value in case.body.items() if not (is_kept and name == "name")}
        for name in ("room", "room_name"):
            if ids and isinstance(case.body.get(name), str):
                case.body[name] = ids["room"]


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
