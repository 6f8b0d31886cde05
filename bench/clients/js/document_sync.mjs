// The measurements of volt-embedded/examples/document_sync.rs, with the published sync provider.
// That program starts this one:
//
//     node document_sync.mjs CONFIG_FILE sizes
//     node document_sync.mjs CONFIG_FILE readers OTHERS EDITS SINGLE PAUSE_MS
//     node document_sync.mjs CONFIG_FILE memory DOCUMENTS
//
// All providers of a run share one connection. Edits are sent immediately, as in that program.

import { readFileSync } from "node:fs";
import { argv, exit, stdin } from "node:process";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import * as Y from "yjs";
import { SyncProvider, check, connect } from "./client.mjs";

const DATABASE = "@bench";
const client = await connect(JSON.parse(readFileSync(argv[2], "utf8")));
const numbers = argv.slice(4).map(Number);

/** Keeps a document equal to the Volt's. Resolves when it is. */
async function attach(guid, doc = new Y.Doc({ guid })) {
  const provider = new SyncProvider(Y, client, DATABASE, doc, { base64: true, outboundFlushMs: 0 });
  await new Promise((resolve, reject) => {
    provider.on("error", reject);
    provider.on("synced", resolve);
    provider.startSync();
  });
  return doc;
}

const work = {
  /** Prints the times until a new client has a document. The other program keeps it attached. */
  async sizes() {
    for (const mebibytes of [1, 10]) {
      const times = [];
      for (let round = 0; round < 2; round++) {
        const begin = performance.now();
        const doc = await attach(`size-${mebibytes}`);
        times.push(performance.now() - begin);
        check(doc.getText("text").length === mebibytes << 20, "the document is not whole");
      }
      console.log(times.map((time) => time.toFixed(0)).join(" "));
    }
  },

  /** Prints how many edits a second others receive, and the latencies of single ones. */
  async readers(others, edits, single, pause) {
    const guid = `web-readers-${others}`;
    const list = (await attach(guid)).getArray("list");
    const copies = [];
    let progressed = () => {};
    for (let one = 0; one < others; one++) {
      const doc = await attach(guid);
      const copy = { list: doc.getArray("list"), at: 0 };
      copies.push(copy);
      doc.on("updateV2", () => {
        copy.at = performance.now();
        progressed();
      });
    }
    const reached = (length) =>
      new Promise((resolve) => {
        progressed = () => {
          if (copies.every((copy) => copy.list.length >= length)) resolve();
        };
        progressed();
      });

    const begin = performance.now();
    for (let number = 0; number < edits; number++) {
      list.push([number]);
      await turn();
    }
    await reached(edits);
    const rate = edits / ((performance.now() - begin) / 1000);

    const latencies = [];
    for (let number = edits; number < edits + single; number++) {
      await sleep(pause);
      const begin = performance.now();
      list.push([number]);
      await reached(number + 1);
      latencies.push(...copies.map((copy) => copy.at - begin));
    }
    latencies.sort((one, other) => one - other);
    const at = (percent) => latencies[Math.min(Math.floor((latencies.length * percent) / 100), latencies.length - 1)];
    console.log(`${rate.toFixed(0)} ${at(50).toFixed(2)} ${at(99).toFixed(2)}`);
  },

  /** Opens documents, reports it, and keeps them until the input ends. */
  async memory(documents) {
    for (let number = 0; number < documents; number++) {
      const guid = `memory-${number}`;
      const doc = new Y.Doc({ guid });
      doc.getText("text").insert(0, "x".repeat(1024));
      await attach(guid, doc);
    }
    console.log("open");
    await new Promise((resolve) => stdin.resume().on("end", resolve));
  }
};

try {
  await work[argv[3]](...numbers);
  exit(0);
} catch (error) {
  console.error(error);
  exit(1);
}
