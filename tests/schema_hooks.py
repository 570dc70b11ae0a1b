"""What schemathesis does not get from the document: what names mean, jobs that are there, and a count of the answers.

`SCHEMA_URL` is the daemon's address, `SCHEMA_CALLS` the file to which each answer is added: operation, phase, status.
"""

import itertools
import json
import os
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

import schemathesis
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import ensure_resource_availability

words = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=20)
schemathesis.openapi.format("uri", words.map(lambda word: f"http://127.0.0.1:1/{word}"))
schemathesis.openapi.format("path", words.map(lambda word: f"/nonexistent/{word}"))


@schemathesis.hook
def before_load_schema(context, schema):
    """Names come from the formats above: made from their patterns, next to none of them would be a name."""
    for shape in schema["components"]["schemas"].values():
        for field in shape.get("properties", {}).values():
            if field.get("format") in ("uri", "path"):
                field.pop("pattern", None)


# A job that has not failed has no error object, and a file that no origin has answered for no response: 404 is right for them.
MAY_LACK = ("/error", "/response-headers")


@schemathesis.check
def what_was_created_is_there(context, response, case):
    return None if case.operation.path.endswith(MAY_LACK) else ensure_resource_availability(context, response, case)


calls = open(os.environ["SCHEMA_CALLS"], "a", buffering=1)
counter = itertools.count()
# Every second request gets a job that is there; the others keep an id that nobody has.
turn = itertools.cycle([True, False])
lock = threading.Lock()
webhooks = threading.Lock()


def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["SCHEMA_URL"] + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response), response.headers


def new_job(**properties):
    file = {"remote_name": "http://127.0.0.1:1/file", "local_name": "/nonexistent/file"}
    return ask("POST", "/v1/jobs", {"type": "download", "files": [file], **properties})


def waited_for(job, state):
    """The job, once it is in that state."""
    deadline = time.monotonic() + 10
    while ask("GET", f"/v1/jobs/{job['id']}/state")[0]["state"] != state:
        assert time.monotonic() < deadline, f"a job is not {state}"
        time.sleep(0.05)
    return job


def answered_job():
    """A job whose file an origin has answered for: the daemon's own API is one."""
    file = {"remote_name": os.environ["SCHEMA_URL"] + "/openapi.json", "local_name": f"{tempfile.gettempdir()}/schema-{next(counter)}"}
    job, headers = ask("POST", "/v1/jobs", {"type": "download", "priority": "foreground", "files": [file], "resume": True})
    return waited_for(job, "transferred"), headers


def failed_job():
    """A job in ERROR: nobody listens on its origin's port, and with this timeout every error is fatal."""
    job, headers = new_job(resume=True, no_progress_timeout=0)
    return waited_for(job, "error"), headers


def fit(body):
    """What no schema can say: ranges of a file may not overlap, nor end beyond what a file can have (one of each file stays), and labels have
    so many bytes, not characters."""

    def cut(text, length):
        return text.encode(errors="ignore")[:length].decode(errors="ignore")

    if body.get("labels"):
        body["labels"] = {cut(name, 64): cut(value, 1024) for name, value in body["labels"].items()}
    for file in body.get("files") or []:
        for part in (file.get("ranges") or [])[:1]:
            file["ranges"] = [{**part, "length": None}] if part["offset"] + (part.get("length") or 1) >= 1 << 64 else [part]


def new_webhook():
    """A webhook that wants tests only: disabled, and where nobody listens. The one before goes, for their number is limited."""
    for webhook in ask("GET", "/v1/webhooks")[0]["webhooks"]:
        try:
            request = urllib.request.Request(os.environ["SCHEMA_URL"] + f"/v1/webhooks/{webhook['id']}", method="DELETE")
            urllib.request.urlopen(request, timeout=10).close()
        except urllib.error.HTTPError as error:
            # Another worker was faster.
            assert error.code == 404, error
    return ask("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/hook", "kinds": ["cancelled"]})[0]


def failed_delivery():
    """A webhook with a delivery that waits, and the number of its event."""
    webhook = new_webhook()
    job, _ = new_job()
    ask("POST", f"/v1/jobs/{job['id']}/cancel")
    deadline = time.monotonic() + 10
    while True:
        page = ask("GET", f"/v1/webhooks/{webhook['id']}/deliveries?state=pending")[0]
        for delivery in page["deliveries"]:
            # Once it has failed it is not delivered meanwhile.
            if delivery["attempts"]:
                return webhook, delivery["event"]["number"]
        assert time.monotonic() < deadline, "an event that nobody takes does not wait"
        time.sleep(0.05)


def is_id(text):
    try:
        return str(uuid.UUID(text)) == text.lower()
    except (AttributeError, TypeError, ValueError):
        return False


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers or {}
    # A key that came with another body before is refused, and that is right: each request has its own.
    if case.operation.method == "post" and case.meta.generation.mode.is_positive and "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = f"{headers['Idempotency-Key'][:200]}{next(counter)}"
    if case.meta.generation.mode.is_positive and isinstance(case.body, dict):
        fit(case.body)
    # A name that has a token is refused, and that is right: each request has its own.
    if case.operation.definition.raw.get("operationId") == "create_token" and case.meta.generation.mode.is_positive:
        if isinstance(case.body, dict) and isinstance(case.body.get("name"), str):
            case.body["name"] = f"{case.body['name'][:40]}{next(counter)}"
    parameters = case.path_parameters or {}
    if "name" in parameters and case.meta.phase.name != "stateful":
        with lock:
            if next(turn):
                parameters["name"] = ask("POST", "/v1/tokens", {"name": f"made-{next(counter)}", "scopes": ["read"]})[0]["name"]
    # The stateful phase has ids of its own; what is no id stays wrong.
    if case.meta.phase.name == "stateful" or not is_id(parameters.get("id")):
        return
    with lock:
        if not next(turn):
            return
    if "/webhooks/" in case.operation.path:
        with webhooks:
            if "n" not in parameters:
                parameters["id"] = new_webhook()["id"]
            elif str(parameters["n"]).isdigit():
                webhook, parameters["n"] = failed_delivery()
                parameters["id"] = webhook["id"]
        return
    of_path = {"error": failed_job, "response-headers": answered_job}
    job, answer = of_path.get(case.operation.path.rsplit("/", 1)[-1], new_job)()
    parameters["id"] = job["id"]
    if "n" in parameters and str(parameters["n"]).isdigit():
        parameters["n"] = 0
    # The job as the client saw it; another tag is refused, and that is right.
    if case.meta.generation.mode.is_positive and "If-Match" in headers:
        headers["If-Match"] = answer["ETag"]


@schemathesis.hook
def after_call(context, case, response):
    calls.write(f"{case.operation.label}\t{case.meta.phase.name if case.meta else '-'}\t{response.status_code}\n")
