#!/usr/bin/env node
// Events instead of polling, with what node has: `http` over a unix socket, and server-sent events.
//
//     node notify.mjs SOCKET URL LOCAL-NAME
//
// A broken stream is opened again after the last event, so that none is missed. Exit codes: 0 the file is there, 1 it is not, 2 bad usage.

import http from "node:http";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const TIMEOUT_MS = 60_000;
/** The daemon sends a heartbeat every 15 s: a stream that is silent for so long is dead. */
const SILENCE_MS = 60_000;

const [socketPath, url, localName, ...more] = process.argv.slice(2);
if (!localName || more.length) {
  console.error("usage: notify.mjs SOCKET URL LOCAL-NAME");
  process.exit(2);
}

/** The JSON of an answer; a problem is thrown. */
function call(method, path, body, headers = {}) {
  return new Promise((resolve, reject) => {
    if (body) headers = { ...headers, "Content-Type": "application/json" };
    const request = http.request({ socketPath, method, path, headers, timeout: TIMEOUT_MS }, async (response) => {
      try {
        let text = "";
        for await (const piece of response.setEncoding("utf8")) text += piece;
        const answer = JSON.parse(text);
        if (response.statusCode < 400) resolve(answer);
        else reject(new Error(`${method} ${path}: ${answer.detail} (${answer.code})`));
      } catch (error) {
        reject(error);
      }
    });
    request.on("timeout", () => request.destroy(new Error(`${method} ${path}: no answer`)));
    request.on("error", reject);
    request.end(body && JSON.stringify(body));
  });
}

/** Opens the stream of a job's events after a number. */
function open(job, after) {
  return new Promise((resolve, reject) => {
    const headers = { Accept: "text/event-stream", "Last-Event-ID": String(after) };
    const path = `/v1/events?job=${job}&progress=0`;
    const request = http.get({ socketPath, path, headers, timeout: SILENCE_MS }, resolve);
    request.on("timeout", () => request.destroy(new Error("the stream is silent")));
    request.on("error", reject);
  });
}

/** Events of a job, each once, over broken connections; gives up when none can be made ten times in a row. */
async function* events(job) {
  let after = 0;
  for (let failures = 0; failures < 10; failures++) {
    try {
      const response = await open(job, after);
      if (response.statusCode !== 200) throw new Error(`the stream was refused with status ${response.statusCode}`);
      failures = 0;
      let text = "";
      for await (const piece of response.setEncoding("utf8")) {
        const blocks = (text + piece).split("\n\n");
        text = blocks.pop();
        for (const block of blocks) {
          const field = (name) => block.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
          const number = Number(field("id") ?? 0);
          if (number > after) {
            after = number;
            yield JSON.parse(field("data"));
          }
        }
      }
    } catch (error) {
      console.error(`the stream broke: ${error.message}`);
    }
    await sleep(500);
  }
  throw new Error("the daemon is gone");
}

async function fetchFile() {
  const files = [{ remote_name: url, local_name: localName }];
  const created = await call(
    "POST",
    "/v1/jobs",
    { type: "download", display_name: "notify.mjs", minimum_retry_delay: 5, files, resume: true },
    { "Idempotency-Key": randomUUID() },
  );
  const job = `/v1/jobs/${created.id}`;
  for await (const event of events(created.id)) {
    switch (event.kind) {
      case "state_changed":
        console.log(`${event.from} > ${event.to}`);
        break;
      case "attempt_failed":
        console.log(`an attempt failed: ${event.error.description}`);
        break;
      case "job_transferred":
        await call("POST", `${job}/complete`);
        break;
      case "job_error":
        console.error(`${event.error.code}: ${event.error.description}`);
        await call("POST", `${job}/cancel`);
        break;
      case "acknowledged":
        console.log(`completed: ${localName}`);
        return 0;
      case "cancelled":
        return 1;
    }
  }
}

try {
  process.exitCode = await fetchFile();
} catch (error) {
  const where = error.syscall === "connect" ? `cannot reach the daemon on ${socketPath}: ` : "";
  console.error(`error: ${where}${error.message}`);
  process.exitCode = 1;
}
