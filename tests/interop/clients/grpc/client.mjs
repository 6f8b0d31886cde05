// Adapter for the published JavaScript client for gRPC.

import grpc from "@grpc/grpc-js";
import { SyncProvider, VoltClient } from "@tdxvolt/volt-client-grpc";

/** Keeps a Yjs document equal to the Volt's. */
export { SyncProvider };

/** A client. It connects when it is first used, and authenticates if it has no certificate. */
export async function connect(config) {
  const client = new VoltClient(grpc);
  await client.initialise(config);
  return client;
}

/** Opens the call `Connect`. */
export function open(client) {
  return client.bidiStreamingCall("Connect");
}

export function send(call, message) {
  call.write(message);
}

/** A buffer as this client takes it in a message. */
export function bytes(buffer) {
  return buffer;
}

/** The number of bytes in a message of this client. */
export function byteLength(value) {
  return value.length;
}

/** Calls `look` for each message of a streaming call. Resolves at the end of the call. */
export function each(call, look) {
  return new Promise((resolve, reject) => {
    call.on("data", look);
    call.on("error", reject);
    call.on("end", resolve);
  });
}

/** All messages of a streaming call, in canonical form. */
export async function all(call) {
  const received = [];
  for await (const data of messages(call)) received.push(data);
  return received;
}

/** The messages of a streaming call as an async iterator, in canonical form. */
export async function* messages(call) {
  const queue = [];
  let wake = () => {};
  const put = (item) => {
    queue.push(item);
    wake();
  };
  call.on("data", (data) => put({ data: canonical(data) }));
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

/**
 * A message in canonical JSON: bytes as base64, and without what the client adds to it, which is
 * default values and the names of the members that are set.
 */
export function canonical(value) {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(canonical);
  if (value === null || typeof value !== "object") return value;
  const oneofs = new Set();
  for (const [name, member] of Object.entries(value)) {
    // A member that is set counts even if it has a default value.
    if (name !== member && typeof member === "string" && Object.hasOwn(value, member)) {
      oneofs.add(name).add(member);
    }
  }
  const kept = Object.entries(value).filter(([name, member]) =>
    oneofs.has(name) ? !Object.hasOwn(value, member) || name === member : !isDefault(member)
  );
  return Object.fromEntries(kept.map(([name, member]) => [name, canonical(member)]));
}

function isDefault(value) {
  if (value === null || typeof value !== "object") {
    return [null, undefined, "", 0, "0", false].includes(value);
  }
  return (Array.isArray(value) || value instanceof Uint8Array) && value.length === 0;
}

export function check(holds, message) {
  if (!holds) throw new Error(message);
}
