// The interop scenarios with the published JavaScript client for gRPC.
//
//     node scenarios.mjs CONFIG SCENARIO
//
// Runs one scenario of tests/interop/scenarios.json and prints the result as `result: {…}`. The client
// ignores what arrives after it has half-closed a call, so every stream is read before that.

import { readFileSync } from "node:fs";
import { argv, exit } from "node:process";
import { SyncProvider, all, canonical, check, connect, messages } from "./client.mjs";
import { documents, shared } from "./documents.mjs";

const UNKNOWN_ID = "did:volt:00000000-0000-4000-8000-000000000000";

const scenarios = {
  async unary(client, config) {
    const { resource } = canonical(await client.GetResource({ resource_id: config.volt.id }));
    check(resource.id === config.volt.id, `the resource is ${resource.id}`);
    return { resource };
  },

  async refused(client) {
    return refusal(client.GetResource({ resource_id: UNKNOWN_ID }));
  },

  async authenticate(_, config) {
    const stranger = await connect({ client_name: "stranger", volt: config.volt });
    const { cert, session_id } = stranger.config.credential;
    const { resource } = await stranger.GetResource({ resource_id: config.volt.id });
    stranger.close();
    // The next connection shows the certificate.
    const again = await connect(stranger.config);
    await again.GetResource({ resource_id: config.volt.id });
    again.close();
    return {
      session: session_id.length > 0,
      certificate: cert.startsWith("-----BEGIN CERTIFICATE-----"),
      read: resource.id === config.volt.id
    };
  },

  async connect(client) {
    const call = client.bidiStreamingCall("Connect");
    const answers = messages(call);
    const result = { acknowledged: false, pinged: false, ended: false };
    call.write({ hello: { ping_interval: 10000, timestamp: Date.now() } });
    for await (const answer of answers) {
      if (answer.acknowledge) {
        result.acknowledged = !!answer.acknowledge.connection_id;
        call.write({ ping: {} });
      } else if (answer.ping) {
        result.pinged = true;
        call.write({ goodbye: {} });
        call.end();
      }
    }
    result.ended = true;
    return result;
  },

  async events(client) {
    const connected = new Promise((resolve) => client.on("connected", (id) => id && resolve()));
    const event = new Promise((resolve) => client.on("evt", resolve));
    client.connect({ hello: { subscribe_resource_events: true } });
    await connected;
    const id = await create(client, "volt:folder", "seen");
    const { connect_resource: seen } = canonical(await event);
    client.disconnect();
    return { event: seen.event, same: seen.resource.id === id };
  },

  async download(client) {
    const file = await create(client, "volt:file", "download.bin");
    const content = Buffer.from(pattern(200_000));
    await client.SetFileContent({ resource_id: file, content });
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
    call.write({ start: { resource_id: file, truncate: true } });
    while (!isKeyed(client, call)) await new Promise((resolve) => setTimeout(resolve, 5));
    for (const part of ["one, ", "two, ", "three"]) call.write({ block: Buffer.from(part) });
    const acks = [];
    for await (const { ack } of messages(call)) {
      acks.push(ack);
      if (acks.length === 3) call.end();
    }
    const { content } = await client.GetFileContent({ resource_id: file });
    return { acks, content: content.toString() };
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

    // The Volt does not acknowledge a subscription: publish until the chunk arrives.
    const chunk = Buffer.from("hello, wire");
    const publish = () => isKeyed(client, publication) && publication.write({ wire_id, chunk });
    const timer = setInterval(publish, 50);
    let received = null;
    for await (const message of messages(subscription)) {
      if (message.chunk && received === null) {
        received = Buffer.from(message.chunk, "base64").toString();
        clearInterval(timer);
        subscription.write({ stop: true });
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

  async "sql-helper"(client) {
    const database_id = await createDatabase(client);
    for (const statement of [
      "CREATE TABLE bird (id INTEGER, name TEXT, data BLOB)",
      "INSERT INTO bird VALUES (1, 'wren', x'00ff80'), (2, 'heron', x'ff')"
    ]) {
      await client.SqlExecuteJSON({ database_id, statement });
    }
    const statement = "SELECT id, name, data FROM bird ORDER BY id";
    const rows = await client.SqlExecuteJSON({ database_id, statement });
    return { rows: rows.map((row) => ({ ...row, data: canonical(row.data) })) };
  },

  async hosted(client) {
    const service_api = ["tdx.volt_api.volt.v1.TerminalAPI"];
    const found = await client.DiscoverServices({ service_api, include_protobuf: true });
    const service = found.resource.at(-1);
    const discovered = await client.unaryCall("Discover", {}, service);
    const refused = client.unaryCall("Discover", { require_relay: true }, service);
    const { code } = await refusal(refused);
    const call = client.bidiStreamingCall("CommandStream", undefined, service);
    const answers = messages(call);
    call.write({ control: { command: "one", arg: ["two"] } });
    const echoed = [];
    for await (const { data } of answers) {
      echoed.push(Buffer.from(data, "base64").toString());
      if (echoed.length === 1) call.write({ control: { command: "three" } });
      if (echoed.length === 2) call.end();
    }
    return { caller: discovered.endpoint[0].challenge_signature, code, echoed };
  },

  async "hosted-by-grpc"(client) {
    const found = await client.DiscoverServices({
      service_api: ["interop.v1.EchoAPI"],
      include_protobuf: true
    });
    const service = found.resource.at(-1);
    const say = (request) => client.unaryCall("Say", request, service);
    const data = Buffer.from([0, 255, 128]);
    const said = await say({ text: "naïve ☃", number: "9007199254740993", data });
    const { code } = await refusal(say({ text: "refuse" }));
    const { message: failed } = await refusal(say({ text: "fail" }));

    const request = { text: "again", number: "3" };
    const repeated = [];
    for await (const { text } of messages(client.serverStreamingCall("Repeat", request, service))) {
      repeated.push(text);
    }
    const call = client.bidiStreamingCall("Converse", { text: "three" }, service);
    const ended_by_host = [];
    for await (const { text } of messages(call)) {
      ended_by_host.push(text);
      if (ended_by_host.length === 1) call.write({ text: "end" });
    }
    const unfinished = client.clientStreamingCall("Gather", { text: "one" }, service);
    while (!unfinished._encryptionKey) await new Promise((resolve) => setTimeout(resolve, 5));
    setTimeout(() => unfinished.end(), 50);
    await all(unfinished);

    let { open } = await say({ text: "open" });
    while (open > 0) ({ open } = await say({ text: "open" }));
    return {
      caller: said.caller,
      said: said.text,
      intact: said.number === "9007199254740993" && said.data.equals(data),
      code,
      failed,
      repeated,
      // The client ignores what arrives after its half-close.
      gathered: null,
      ended_by_caller: null,
      ended_by_host,
      open
    };
  },

  async documents(client, config) {
    const resource = { name: "interop" };
    const { resource: database } = await client.SaveSyncDatabase({ resource, create: true });
    return documents(opener(config, database.id));
  },

  async "shared-document"(client, config) {
    // The host has created the database.
    const { resource } = await client.GetResource({ resource_id: "@interop-shared" });
    return shared(opener(config, resource.id));
  }
};

/** Returns a function that opens a sync provider on a connection of its own. */
function opener(config, database) {
  return async (Y, doc, options) => {
    const own = await connect(config);
    return new SyncProvider(Y, own, database, doc, options);
  };
}

/** Creates a resource and returns its id. */
async function create(client, kind, name) {
  const saved = await client.SaveResource({ resource: { name, kind: [kind] }, create: true });
  return saved.resource.id;
}

/** Whether a call by relay has its key. A second write before that would change the client's key. */
function isKeyed(client, call) {
  return !client.isRelayed || call._encryptionKey;
}

async function createDatabase(client) {
  const created = await client.CreateDatabase({ name: "interop" });
  return created.resource.id;
}

/** The error with which the Volt rejected the call. */
async function refusal(call) {
  try {
    await call;
  } catch ({ code, message }) {
    return { code, message };
  }
  throw new Error("the call succeeded; expected an error");
}

/** Bytes in which a lost, repeated or swapped block makes a difference. */
function pattern(length) {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) % 251);
}

try {
  const [, , configFile, name] = argv;
  const config = JSON.parse(readFileSync(configFile, "utf8"));
  const client = await connect(config);
  console.log(`result: ${JSON.stringify(await scenarios[name](client, config))}`);
  client.close();
  exit(0);
} catch (error) {
  console.error(error);
  console.error(error.message);
  exit(1);
}
