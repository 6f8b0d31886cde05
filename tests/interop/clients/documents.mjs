// The interop scenarios `documents` and `shared-document` with the sync provider of the published JavaScript clients.

import { isDeepStrictEqual } from "node:util";
import * as Y from "yjs";
import * as awarenessProtocol from "y-protocols/awareness";

/** The length of the large text, in characters. */
const LARGE = 3.5 * 1024 * 1024;

/**
 * Keeps copies of one document equal. `open` returns a provider for a document with some options, on a
 * connection of its own.
 */
export async function documents(open) {
  const one = await copy(open, 1);
  const other = await copy(open, 2);

  one.text.insert(0, "hello");
  one.map.set("key", { nested: [1, 2.5, true, null, "naïve ☃"] });
  one.array.push(["a", "c"]);
  await until(() => other.array.length === 2 && other.text.length === 5 && other.map.size === 1);

  // Edits at the same time, before either has the other's.
  one.text.insert(5, " from one");
  other.text.insert(5, " from other");
  one.map.set("same", 1);
  other.map.set("same", 2);
  one.array.delete(0);
  other.array.insert(1, ["b"]);
  const parts = () => [one, other].map(({ doc }) => JSON.stringify(content(doc)));
  const merged = (text) => text.includes("from one") && text.includes("from other");
  await until(() => parts()[0] === parts()[1] && merged(parts()[0]));

  one.large.insert(0, "0123456789abcde\n".repeat(LARGE / 16));
  await until(() => other.large.length === LARGE);

  one.awareness.setLocalStateField("name", "one");
  await until(() => other.awareness.getStates().get(1)?.name === "one");

  const late = await copy(open, 3);
  await until(() => late.awareness.getStates().get(1)?.name === "one");
  const result = {
    ...content(late.doc),
    large: late.large.toString() === one.large.toString() && late.large.length,
    equal: parts()[0] === JSON.stringify(content(late.doc)),
    present: late.awareness.getStates().get(1).name
  };

  // The state of a client that leaves is removed.
  one.provider.stopSync();
  await until(() => !late.awareness.getStates().has(1));
  other.provider.stopSync();
  late.provider.stopSync();
  await until(() => [one, other, late].every(({ ended }) => ended()));
  return { ...result, left: true };
}

/** Edits a document that the host of this SDK edits too. `open` is as above. */
export async function shared(open) {
  const { doc, provider, awareness, text, map, array, large } = await copy(open, undefined, "shared");
  const returned = doc.getText("returned");
  const name = String(doc.clientID);
  awareness.setLocalStateField("name", name);
  map.set(name, { nested: [1, 2.5, true, null, "naïve ☃"] });
  const answer = () => map.get(`answer ${name}`);
  const isInText = (part) => text.toString().includes(part);
  const isInArray = () => array.toJSON().includes(name);
  await until(() => answer() && isInText(`<${name}>`) && isInArray() && large.length === LARGE);

  // The host has made the same edit in a copy of the document, and sends it when it has this one.
  const edited = (editor) => `(${editor} ${name}, naïve ☃)`;
  if (isInText(edited("host"))) throw new Error("the host's edit came before the client's");
  doc.transact(() => {
    text.insert(text.length, edited("client"));
    map.set(`both ${name}`, "client");
  });
  await until(() => isInText(edited("host")));

  doc.transact(() => {
    returned.insert(returned.length, "edcba9876543210\n".repeat(LARGE / 16));
    map.set(`ask ${name}`, true);
  });
  await until(() => map.has(`content ${name}`));
  const whole = {
    ...content(doc),
    large: digest(large.toString()),
    returned: digest(returned.toString())
  };
  for (const key of Object.keys(whole.map)) if (key.startsWith("content")) delete whole.map[key];

  await until(() => [...awareness.getStates().values()].some(({ seen }) => seen?.includes(name)));
  const result = {
    answer: answer(),
    text: true,
    array: true,
    merged: isInText(edited("client")),
    large: large.length,
    returned: returned.length,
    equal: isDeepStrictEqual(map.get(`content ${name}`), whole),
    present: true
  };
  provider.stopSync();
  return result;
}

/** The length of a text and its FNV-1a hash, of its bytes. */
function digest(text) {
  const bytes = Buffer.from(text);
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return `${bytes.length} ${(hash >>> 0).toString(16).padStart(8, "0")}`;
}

/** A copy of the document. The ids of the clients decide how edits are merged. */
async function copy(open, clientID, guid = "interop") {
  const doc = new Y.Doc({ guid });
  if (clientID) doc.clientID = clientID;
  const awareness = new awarenessProtocol.Awareness(doc);
  const provider = await open(Y, doc, { awarenessProtocol, awareness });
  let ended = false;
  let failure;
  provider.on("error", (error) => (failure = error));
  provider.on("status", ({ status }) => (ended = status === "disconnected"));
  const synced = new Promise((resolve) => provider.on("synced", resolve));
  provider.startSync();
  await Promise.race([synced, until(() => failure)]);
  if (failure) throw failure;
  return {
    doc,
    provider,
    awareness,
    ended: () => ended,
    text: doc.getText("text"),
    map: doc.getMap("map"),
    array: doc.getArray("array"),
    large: doc.getText("large")
  };
}

function content(doc) {
  return {
    text: doc.getText("text").toString(),
    // The entries of a map have no order.
    map: Object.fromEntries(Object.entries(doc.getMap("map").toJSON()).sort()),
    array: doc.getArray("array").toJSON()
  };
}

/** Resolves when a condition holds. The runner limits the time. */
async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}
