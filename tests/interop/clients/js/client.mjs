// Adapter for the published JavaScript client, for the interop tests and the benchmarks.
//
// The environment variable VOLT_CLIENT_BUILD selects the client's build, `js` (the default) or `wasm`.

import { readFileSync } from "node:fs";
import { env } from "node:process";
// Node has had a WebSocket of its own since version 22 only; the client's README names this package.
import WebSocket from "ws";

const builds = {
  async js() {
    return import("@tdxvolt/volt-client-web/js");
  },

  async wasm() {
    const client = await import("@tdxvolt/volt-client-web/wasm");
    // The client would fetch its module from a file URL, which Node refuses. Initialise it first.
    const module = "@tdxvolt/volt-ws-protocol-web/volt_ws_protocol_web_bg.wasm";
    client.voltUtils.initSync(readFileSync(new URL(import.meta.resolve(module))));
    return client;
  }
};

const build = env.VOLT_CLIENT_BUILD || "js";
check(Object.hasOwn(builds, build), `unknown build ${build}`);
const { SyncProvider, VoltClient } = await builds[build]();

/** Keeps a Yjs document equal to the Volt's. */
export { SyncProvider };

/** A connected client. */
export async function connect(config) {
  // The `wasm` build requires this member and ignores it.
  if (build === "wasm") config.volt.ca_pem ??= "";
  const client = new VoltClient(WebSocket);
  await client.initialise(config);
  return client;
}

/** Opens the call `Connect`. */
export function open(client) {
  return client.Connect();
}

export function send(call, message) {
  call.send(message);
}

/** A buffer as this client takes it in a message. */
export function bytes(buffer) {
  return buffer.toString("base64");
}

/** The number of bytes in a message of this client. */
export function byteLength(value) {
  return Buffer.from(value, "base64").length;
}

/** Calls `look` for each message of a streaming call. Resolves at the end of the call. */
export function each(call, look) {
  return new Promise((resolve, reject) => {
    call.on("data", look);
    call.on("error", reject);
    call.on("end", resolve);
  });
}

/** All messages of a streaming call. Listens from the call of this function, not from its `await`. */
export async function all(call) {
  const received = [];
  await each(call, (data) => received.push(data));
  return received;
}

/** The messages of a streaming call as an async iterator. */
export async function* messages(call) {
  const queue = [];
  let wake = () => {};
  const put = (item) => {
    queue.push(item);
    wake();
  };
  call.on("data", (data) => put({ data }));
  call.on("error", (error) => put({ error }));
  call.on("end", () => put({ end: true }));
  for (;;) {
    while (queue.length === 0) await new Promise((resolve) => (wake = resolve));
    const { data, error, end } = queue.shift();
    if (error) throw error;
    if (end) return;
    yield data;
  }
}

export function check(holds, message) {
  if (!holds) throw new Error(message);
}
