// The interop scenarios with the published JavaScript client.
//
//     node scenarios.mjs CONFIG SCENARIO
//
// Runs one scenario of tests/interop/scenarios.json and prints the result as `result: {…}`.

import { readFileSync } from "node:fs";
import { argv, exit } from "node:process";
import { SyncProvider, all, check, connect, messages } from "./client.mjs";
import { documents, shared } from "./documents.mjs";

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

  async events(client) {
    const call = client.Connect();
    const answers = messages(call);
    call.send({ hello: { subscribe_resource_events: true } });
    let id;
    for await (const { acknowledge, evt } of answers) {
      if (acknowledge) id = await create(client, "volt:folder", "seen");
      if (evt) {
        const { event, resource } = evt.connect_resource;
        call.end();
        return { event, same: resource.id === id };
      }
    }
    throw new Error("the call ended without an event");
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

    // The Volt does not acknowledge a subscription: publish until the chunk arrives.
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

  // The helper converts cells by the type of their column; NULL would become undefined or NaN.
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
    check(services?.length, "no service was found");
    const service = services.at(-1);
    const discover = (request) =>
      client.unaryCall("/tdx.volt_api.volt.v1.DiscoveryAPI/Discover", request, service);
    // A method that the client has no function for. The host answers with the caller's identity.
    const { endpoint } = await discover({ require_relay: false });
    const { code } = await refusal(discover({ require_relay: true }));
    const call = client.CommandStream({ control: { command: "one", arg: ["two"] } }, service);
    const answers = all(call);
    call.send({ control: { command: "three" } });
    call.end();
    const echoed = (await answers).map(({ data }) => Buffer.from(data, "base64").toString());
    return { caller: endpoint[0].challenge_signature, code, echoed };
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
    // JSON has no bytes.
    return new SyncProvider(Y, own, database, doc, { ...options, base64: true });
  };
}

/** Creates a resource and returns its id. */
async function create(client, kind, name) {
  const saved = await client.SaveResource({ resource: { name, kind: [kind] }, create: true });
  return saved.resource.id;
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
