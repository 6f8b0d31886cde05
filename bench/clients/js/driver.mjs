// Runs the work of the benchmarks with the published JavaScript clients: `client.mjs` is the
// adapter for one.
//
//     node driver.mjs WORK --config FILE --out FILE [--in-flight N] [--size BYTES] …
//
// The arguments and the output are those of bench/load/measure/src/lib.rs.

import { readFileSync, writeFileSync } from "node:fs";
import { argv, exit, resourceUsage } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { byteLength, bytes, check, connect, each, open, send } from "./client.mjs";

const { positionals, values } = parseArgs({
  args: argv.slice(2),
  allowPositionals: true,
  options: {
    config: { type: "string" },
    out: { type: "string" },
    "in-flight": { type: "string", default: "1" },
    size: { type: "string", default: "1024" },
    count: { type: "string", default: "1" },
    seconds: { type: "string", default: "1" },
    "warm-up": { type: "string", default: "0.2" },
    resource: { type: "string", default: "" },
    server: { type: "string" }
  }
});
const config = JSON.parse(readFileSync(values.config, "utf8"));
const inFlight = Number(values["in-flight"]);
const size = Number(values.size);
const count = Number(values.count);
const resource = values.resource;
const text = "did:volt:a4c0e2-".repeat(Math.ceil(size / 16)).slice(0, size);
const file = `${count}/${size}`;
const blocks = Math.floor(count / size);

const work = {
  unary: (client) =>
    closedLoop(async () => {
      const answer = await client.GetResource({ resource_id: text });
      check(answer.resource.id.length === size, "another answer came back");
    }),

  "open-close": (client) =>
    closedLoop(async () => {
      const call = open(client);
      const ended = each(call, () => {});
      send(call, {});
      call.end();
      await ended;
    }),

  async connect() {
    const span = start();
    let left = count;
    const worker = async () => {
      while (left-- > 0) {
        const client = await connect(config);
        await client.GetResource({ resource_id: "" });
        client.close();
      }
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
    return finish(span, count, 0);
  },

  async idle(client) {
    const calls = [await opened(client)];
    const before = memory("VmRSS:");
    const span = start();
    while (calls.length <= count) calls.push(await opened(client));
    const measured = finish(span, count, 0);
    measured.memory_each = Math.round((memory("VmRSS:") - before) / count);
    return measured;
  },

  async rows(client) {
    const span = start();
    const statement = `SELECT id, name, weight, place FROM bird LIMIT ${count}`;
    let rows = 0;
    await each(client.SqlExecute({ start: { database_id: resource, statement } }), ({ row }) => {
      if (row?.column.length === 4) rows += 1;
    });
    check(rows === count, `${rows} rows came`);
    return finish(span, rows, 0);
  },

  async download(client) {
    const span = start();
    let came = 0;
    let total = 0;
    await each(client.DownloadFile({ resource_id: file }), ({ block }) => {
      if (!block) return;
      came += 1;
      total += byteLength(block);
    });
    check(came === blocks, `${came} blocks came`);
    return finish(span, came, total);
  },

  async upload(client) {
    const block = Buffer.from(Uint8Array.from({ length: size }, (_, index) => index));
    const span = start();
    const call = client.UploadFile();
    let acks = 0;
    let complete;
    const acknowledged = new Promise((resolve) => (complete = resolve));
    const answered = each(call, () => {
      acks += 1;
      if (acks === blocks) complete();
    });
    send(call, { start: { resource_id: file } });
    for (let sent = 0; sent < blocks; sent += 1) {
      send(call, { block: bytes(block) });
      // Sockets are read and written only while nothing else runs. Without this, the whole file
      // would be buffered in memory.
      if (sent - acks > 16) await new Promise(setImmediate);
    }
    // One of the clients ignores what arrives after its half-close.
    await Promise.race([acknowledged, answered]);
    call.end();
    await answered;
    check(acks === blocks, `${acks} blocks were acknowledged`);
    return finish(span, blocks, blocks * size);
  },

  async wire(client) {
    const publication = client.PublishWire({ wire_id: resource });
    publication.on("error", fail);
    const heard = [];
    const all = [];
    for (let index = 0; index < inFlight; index += 1) {
      heard.push({ any: false, count: 0 });
      all.push(
        new Promise((resolve) => {
          const subscription = client.SubscribeWire({ wire_id: resource });
          subscription.on("error", fail);
          subscription.on("data", ({ chunk }) => {
            heard[index].any = true;
            if (byteLength(chunk) === size) heard[index].count += 1;
            if (heard[index].count === count) resolve();
          });
        })
      );
      // The Volt does not acknowledge a subscription: publish until a message arrives.
      while (!heard[index].any) {
        await sleep(20);
        send(publication, { wire_id: resource, chunk: bytes(Buffer.from("begin")) });
      }
    }
    const span = start();
    for (let sent = 0; sent < count; sent += 1) {
      send(publication, { wire_id: resource, chunk: bytes(Buffer.from(text)) });
      if (sent - heard[0].count > 64) await new Promise(setImmediate);
    }
    await Promise.all(all);
    return finish(span, count * inFlight, count * inFlight * size);
  }
};

/** Runs `inFlight` operations at a time until the time is over and `inFlight` have finished. Counts the finished ones. */
async function closedLoop(operation) {
  const begin = performance.now() + Number(values["warm-up"]) * 1000;
  const end = begin + Number(values.seconds) * 1000;
  const latencies = [];
  let done = 0;
  let span = null;
  // A call without an answer must not delay the others' measurement.
  const measured = await new Promise((resolve, reject) => {
    let over = false;
    const worker = async () => {
      while (!over) {
        const started = performance.now();
        if (started >= begin) span ??= start();
        await operation();
        const ended = performance.now();
        if (!span || over) continue;
        done += 1;
        if (started >= begin) latencies.push((ended - started) * 1000);
        over = ended >= end && done >= inFlight;
        if (over) resolve(finish(span, done, 0));
      }
    };
    for (let index = 0; index < inFlight; index += 1) worker().catch(reject);
  });
  latencies.sort((left, right) => left - right);
  const at = (share) => latencies[Math.max(Math.ceil(latencies.length * share), 1) - 1];
  if (latencies.length > 0) {
    measured.latency = { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
  }
  return measured;
}

/** Opens an idle call and waits for the server's first answer. */
async function opened(client) {
  const call = open(client);
  const answered = new Promise((resolve, reject) => {
    call.on("data", resolve);
    call.on("error", reject);
  });
  send(call, { hello: {} });
  await answered;
  return call;
}

function start() {
  return { at: performance.now(), cpu: cpu(), server: serverCpu() };
}

function finish(span, operations, bytes) {
  return {
    operations,
    bytes,
    seconds: (performance.now() - span.at) / 1000,
    cpu_seconds: cpu() - span.cpu,
    server_cpu_seconds: span.server === null ? undefined : serverCpu() - span.server,
    peak_memory: memory("VmHWM:") ?? resourceUsage().maxRSS * 1024
  };
}

function cpu() {
  const { userCPUTime, systemCPUTime } = resourceUsage();
  return (userCPUTime + systemCPUTime) / 1e6;
}

/** The server's CPU seconds, in hundredths: the resolution of Linux. */
function serverCpu() {
  try {
    const stat = readFileSync(`/proc/${values.server}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(") ") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return null;
  }
}

/** A value of /proc/self/status in bytes. `maxRSS` would include the parent's memory before `exec`. */
function memory(name) {
  try {
    const line = readFileSync("/proc/self/status", "utf8").split("\n").find((line) => line.startsWith(name));
    return Number(line.slice(name.length).trim().split(" ")[0]) * 1024;
  } catch {
    return null;
  }
}

function fail(error) {
  console.error(error);
  console.error(error.message);
  exit(1);
}

try {
  const [name] = positionals;
  check(Object.hasOwn(work, name), `this program has no work ${name}`);
  const client = name === "connect" ? null : await connect(config);
  writeFileSync(values.out, JSON.stringify(await work[name](client)));
  exit(0);
} catch (error) {
  fail(error);
}
