#!/usr/bin/env python3
"""The classic polling loop of BITS with Python's standard library: create, add a file, resume, ask each second, complete.

    poll.py [--strict] SOCKET URL LOCAL-NAME

A transient error ends by itself: it is reported, and the loop goes on. With --strict it is an error like any other.
Exit codes: 0 the file is there, 1 it is not, 2 bad usage.
"""

import http.client
import json
import socket
import sys
import time
import uuid

TIMEOUT_SECONDS = 60
# In all what a daemon needs to stop and to start again.
PAUSES_SECONDS = (0.2, 1, 3, 5, 10)


class Daemon(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def call(self, method, path, body=None, headers=None):
        """The status and the JSON of the answer."""
        headers = dict(headers or {})
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        # A daemon that is restarted is asked again; what changes something may have been done, and is not repeated.
        for pause in PAUSES_SECONDS if method == "GET" else ():
            try:
                return self.once(method, path, body, headers)
            except (OSError, http.client.HTTPException):
                self.close()
                time.sleep(pause)
        try:
            return self.once(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            sys.exit(f"error: no answer from the daemon on {self.path}: {error}; see `backhaul serve`, and `backhaul job list`")

    def once(self, method, path, body, headers):
        self.request(method, path, body, headers)
        response = self.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None

    def must(self, method, path, body=None, headers=None):
        """The JSON of the answer; a problem ends the program."""
        status, answer = self.call(method, path, body, headers)
        if status >= 400:
            sys.exit(f"error: {method} {path}: {answer['detail']} ({answer['code']})")
        return answer


def report(daemon, job):
    status, error = daemon.call("GET", f"{job}/error")
    if status == 200:  # It may be gone again.
        print(f"{error['code']} ({error['number']}, {error['context']}): {error['description']}", flush=True)


def main(words):
    strict = "--strict" in words
    words = [word for word in words if word != "--strict"]
    if len(words) != 3:
        print("usage: poll.py [--strict] SOCKET URL LOCAL-NAME", file=sys.stderr)
        return 2
    path, url, local_name = words
    daemon = Daemon(path)
    new = {"type": "download", "display_name": "poll.py", "minimum_retry_delay": 5}
    # With the key, a creation that is repeated after a broken connection is the same one.
    created = daemon.must("POST", "/v1/jobs", new, {"Idempotency-Key": str(uuid.uuid4())})
    job = f"/v1/jobs/{created['id']}"
    daemon.must("POST", f"{job}/files", {"files": [{"remote_name": url, "local_name": local_name}]})
    daemon.must("POST", f"{job}/resume")
    last = None
    while True:
        state = daemon.must("GET", f"{job}/state")["state"]
        if state != last:
            print(state, flush=True)
            last = state
        if state == "transferred":
            daemon.must("POST", f"{job}/complete")
            print(f"completed: {local_name}")
            return 0
        if state in ("error", "transient_error"):
            report(daemon, job)
            if state == "error" or strict:
                daemon.must("POST", f"{job}/cancel")
                return 1
        elif state in ("acknowledged", "cancelled"):  # Somebody else has dealt with it.
            return 0 if state == "acknowledged" else 1
        else:
            progress = daemon.must("GET", f"{job}/progress")
            total = progress["bytes_total"] if progress["bytes_total"] is not None else "?"
            print(f"{progress['bytes_transferred']} of {total} bytes", flush=True)
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
