// The interop scenarios by the published JavaScript client.
//
//     node scenarios.mjs CONFIG SCENARIO
//
// Runs one scenario of ../scenarios.json and prints its result as `result: {…}`. The environment
// variable VOLT_CLIENT_BUILD says by which of the client's builds, `js` (the default) or `wasm`.

import { readFileSync } from "node:fs";
import { argv, env, exit } from "node:process";
// Node has had a WebSocket of its own since version 22 only; the client's README names this package.
import WebSocket from "ws";

const UNKNOWN_ID = "did:volt:00000000-0000-4000-8000-000000000000";

const scenarios = {
  async unary(client, config) {
    const { resource } = await client.GetResource({ resource_id: config.volt.id });
    check(resource.id === config.volt.id, `the resource is ${resource.id}`);
    return { resource };
  },

  async refused(client) {
    return refusal(client.GetResource({ resource_id: UNKNOWN_ID }));
  },

  async connect(client) {
    const call = client.Connect();
    const answers = messages(call);
    const result = { acknowledged: false, pinged: false, ended: false };
    call.send({ hello: { ping_interval: 10000, timestamp: Date.now() } });
    for await (const answer of answers) {
      if (answer.acknowledge) {
        result.acknowledged = !!answer.acknowledge.connection_id;
        call.send({ ping: {} });
      } else if (answer.ping) {
        result.pinged = true;
        call.send({ goodbye: {} });
        call.end();
      }
    }
    result.ended = true;
    return result;
  },

  async download(client) {
    const file = await create(client, "volt:file", "download.bin");
    const content = Buffer.from(pattern(200_000));
    await client.SetFileContent({ resource_id: file, content: content.toString("base64") });
    const blocks = [];
    for await (const { block } of messages(client.DownloadFile({ resource_id: file }))) {
      if (block) blocks.push(Buffer.from(block, "base64"));
    }
    const received = Buffer.concat(blocks);
    return { blocks: blocks.length, length: received.length, intact: received.equals(content) };
  },

  async "refused-stream"(client) {
    return refusal(all(client.DownloadFile({ resource_id: UNKNOWN_ID })));
  },

  async upload(client) {
    const file = await create(client, "volt:file", "upload.txt");
    const call = client.UploadFile();
    const answers = all(call);
    call.send({ start: { resource_id: file, truncate: true } });
    for (const part of ["one, ", "two, ", "three"]) {
      call.send({ block: Buffer.from(part).toString("base64") });
    }
    call.end();
    const acks = (await answers).map((answer) => answer.ack);
    const { content } = await client.GetFileContent({ resource_id: file });
    return { acks, content: Buffer.from(content, "base64").toString() };
  },

  async wire(client) {
    const saved = await client.SaveWire({
      resource: { name: "interop", kind: ["volt:wire"] },
      create: true
    });
    const wire_id = saved.resource.id;
    const subscription = client.SubscribeWire({ wire_id });
    const publication = client.PublishWire({ wire_id });
    const published = all(publication);

    // Nothing says when a subscription has begun, so the chunk is published until it arrives.
    const chunk = Buffer.from("hello, wire").toString("base64");
    const timer = setInterval(() => publication.send({ wire_id, chunk }), 50);
    let received = null;
    for await (const message of messages(subscription)) {
      if (message.chunk && received === null) {
        received = Buffer.from(message.chunk, "base64").toString();
        clearInterval(timer);
        subscription.send({ stop: true });
      }
    }
    publication.end();
    await published;
    return { received, subscription_ended: true, publication_ended: true };
  },

  async sql(client) {
    const database_id = await createDatabase(client);
    for (const statement of [
      "CREATE TABLE bird (id INTEGER, name TEXT, weight REAL, data BLOB)",
      "INSERT INTO bird VALUES (0, '', 0.0, x''), (1, NULL, NULL, NULL)"
    ]) {
      await all(client.SqlExecute({ start: { database_id, statement } }));
    }
    const insert = client.SqlExecute({
      start: {
        database_id,
        statement: "INSERT INTO bird VALUES (9007199254740993, $name, 0.1, x'00ff80')",
        parameter: { $name: { string: "naïve ☃" } }
      }
    });
    await all(insert);
    const statement = "SELECT id, name, weight, data FROM bird ORDER BY id";
    const answers = await all(client.SqlExecute({ start: { database_id, statement } }));
    const { header } = answers.find((answer) => answer.header);
    return {
      columns: header.column.map(({ name, type }) => [name, type]),
      rows: answers.filter((answer) => answer.row).map(({ row }) => row.column)
    };
  },

  // The helper reads cells by the type of their column: NULL would become undefined, or NaN.
  async "sql-helper"(client) {
    const database_id = await createDatabase(client);
    for (const statement of [
      "CREATE TABLE bird (id INTEGER, name TEXT, data BLOB)",
      "INSERT INTO bird VALUES (1, 'wren', x'00ff80'), (2, 'heron', x'ff')"
    ]) {
      await client.SqlExecuteJSON({ database_id, statement });
    }
    const statement = "SELECT id, name, data FROM bird ORDER BY id";
    return { rows: await client.SqlExecuteJSON({ database_id, statement }) };
  },

  async hosted(client) {
    const api = "tdx.volt_api.volt.v1.TerminalAPI";
    const { resource: services } = await client.DiscoverServices({ service_api: [api] });
    check(services?.length, "no service has been found");
    const service = services.at(-1);
    const discover = (request) =>
      client.unaryCall("/tdx.volt_api.volt.v1.DiscoveryAPI/Discover", request, service);
    // The path of no built-in method that the client knows: the host says who it thinks calls.
    const { endpoint } = await discover({ require_relay: false });
    const { code } = await refusal(discover({ require_relay: true }));
    const call = client.CommandStream({ control: { command: "one", arg: ["two"] } }, service);
    const answers = all(call);
    call.send({ control: { command: "three" } });
    call.end();
    const echoed = (await answers).map(({ data }) => Buffer.from(data, "base64").toString());
    return { caller: endpoint[0].challenge_signature, code, echoed };
  }
};

/** The client's class in a build of the package, which may want more of the configuration. */
const builds = {
  async js() {
    const { VoltClient } = await import("@tdxvolt/volt-client-web/js");
    return VoltClient;
  },

  async wasm(config) {
    // It takes no configuration without this, and uses it for nothing.
    config.volt.ca_pem ??= "";
    const { VoltClient, voltUtils } = await import("@tdxvolt/volt-client-web/wasm");
    // It would fetch its module by a URL of a file, which Node refuses; it keeps one that is there.
    const module = "@tdxvolt/volt-ws-protocol-web/volt_ws_protocol_web_bg.wasm";
    voltUtils.initSync(readFileSync(new URL(import.meta.resolve(module))));
    return VoltClient;
  }
};

/** Creates a resource and gives its id. */
async function create(client, kind, name) {
  const saved = await client.SaveResource({ resource: { name, kind: [kind] }, create: true });
  return saved.resource.id;
}

async function createDatabase(client) {
  const created = await client.CreateDatabase({ name: "interop" });
  return created.resource.id;
}

/** What the Volt refused the call with. */
async function refusal(call) {
  try {
    await call;
  } catch ({ code, message }) {
    return { code, message };
  }
  throw new Error("the call was not refused");
}

/** The messages of a streaming call, as they come, up to its end. */
async function* messages(call) {
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

/** All messages of a streaming call. The listeners stand when this returns, not when it is awaited. */
function all(call) {
  return new Promise((resolve, reject) => {
    const received = [];
    call.on("data", (data) => received.push(data));
    call.on("error", reject);
    call.on("end", () => resolve(received));
  });
}

/** Bytes that a lost, doubled or swapped block would not match. */
function pattern(length) {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) % 251);
}

function check(holds, message) {
  if (!holds) throw new Error(message);
}

try {
  const [, , configFile, name] = argv;
  const config = JSON.parse(readFileSync(configFile, "utf8"));
  const build = env.VOLT_CLIENT_BUILD || "js";
  check(Object.hasOwn(builds, build), `there is no build ${build}`);
  const VoltClient = await builds[build](config);
  const client = new VoltClient(WebSocket);
  await client.initialise(config);
  console.log(`result: ${JSON.stringify(await scenarios[name](client, config))}`);
  client.close();
  exit(0);
} catch (error) {
  console.error(error);
  console.error(error.message);
  exit(1);
}
