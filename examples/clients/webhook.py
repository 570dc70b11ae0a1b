#!/usr/bin/env python3
"""A receiver of webhooks with Python's standard library: verifies each signature, and tells each event once.

    webhook.py [--port N] [--until KIND] SECRET-FILE

The file has the secret as `backhaul webhook add` prints it (whsec_...). Listens on 127.0.0.1, prints its URL, then a line for each event:
its id, its kind and its job. With --until it ends after the first event of that kind.
"""

import argparse
import base64
import collections
import hashlib
import hmac
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What is older was recorded by somebody and is sent again. Standard Webhooks advises five minutes.
TOLERANCE_SECONDS = 300
# Deliveries are below 20 kB.
BODY_BYTES_MAX = 64 * 1024
# A delivery that was answered may come again: the same id is told once.
REMEMBERED = 10_000


def is_genuine(key, headers, body):
    """Whether the body was signed with the key, not long ago (Standard Webhooks 1.0.0)."""
    try:
        message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
            return False
        signed = f"{message_id}.{timestamp}.".encode() + body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        # There may be several, each with its version: while a secret is replaced, for example.
        signatures = [one.split(",", 1)[1] for one in headers["webhook-signature"].split() if one.startswith("v1,")]
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    return any(hmac.compare_digest(expected, signature) for signature in signatures)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    key = b""
    until = None
    seen = collections.OrderedDict()
    lock = threading.Lock()

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(int(length))
        if not is_genuine(self.key, self.headers, body):
            return self.answer(401)
        message = json.loads(body)
        with self.lock:
            is_new = self.headers["webhook-id"] not in self.seen
            self.seen[self.headers["webhook-id"]] = True
            if len(self.seen) > REMEMBERED:
                self.seen.popitem(last=False)
            if is_new:
                print(self.headers["webhook-id"], message["type"], message["data"].get("job"), flush=True)
        # What takes long is done after the answer: who answers late is sent the same again.
        self.answer(204)
        if message["type"] == self.until:
            threading.Thread(target=self.server.shutdown).start()

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--until")
    parser.add_argument("secret_file")
    arguments = parser.parse_args()
    with open(arguments.secret_file, encoding="ascii") as file:
        secret = file.read().strip()
    if not secret.startswith("whsec_"):
        sys.exit(f"error: {arguments.secret_file} has no secret of a webhook: it begins with whsec_")
    Receiver.key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    Receiver.until = arguments.until
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Receiver)
    server.daemon_threads = True
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
