// Hosts the service of the scenario `hosted-by-grpc` with the published JavaScript client for gRPC.
//
//     node host.mjs CONFIG
//
// Prints `online` when the service can be called, and runs until it is killed.

import { readFileSync } from "node:fs";
import { argv, exit } from "node:process";
import { protoUtils } from "@tdxvolt/volt-client-grpc";
import { connect } from "./client.mjs";

const API = "interop.v1.EchoAPI";
const PROTOS = ["status.proto", "echo.proto"];

/** A function for each method. It gets each message of a call, and `undefined` at the caller's end. */
const methods = {
  Say(call, request) {
    if (!request) return;
    const { text, number, data } = request;
    if (text === "refuse") {
      call.sendResponse({ status: { code: 5, message: "there is none" } });
      call.sendEnd();
    } else if (text === "fail") {
      call.sendEnd("the host cannot do that");
    } else {
      call.sendResponse({ text, number, data, caller: call.identity, open: open(call) });
      call.sendEnd();
    }
  },

  Repeat(call, request) {
    if (!request) return;
    const { text, number } = request;
    for (let sent = 0; sent < Number(number); sent += 1) call.sendResponse({ text });
    call.sendEnd();
  },

  Gather(call, request) {
    call.texts ??= [];
    if (request) {
      call.texts.push(request.text);
    } else {
      call.sendResponse({ text: call.texts.join(" ") });
      call.sendEnd();
    }
  },

  Converse(call, request) {
    // A call can still receive messages after the host has ended it.
    if (call.isOver) return;
    call.isOver = !request || request.text === "end";
    call.sendResponse(request ? { text: request.text } : { text: "end" });
    if (call.isOver) call.sendEnd();
  }
};

// The host has its own identity, because the Volt finds a host by its identity.
const { volt } = JSON.parse(readFileSync(argv[2], "utf8"));
const client = await connect({ client_name: "host", volt });
const service_description = {
  host_type: "SERVICE_HOST_TYPE_RELAYED",
  discoverable: "DISCOVERY_MODE_TRUSTED",
  service_api: [API],
  proto_file: PROTOS.map((file_path) => ({
    file_path,
    protobuf: readFileSync(new URL(file_path, import.meta.url), "utf8")
  }))
};
const descriptors = protoUtils.getServiceDescriptors({ service_description });
const { resource } = await client.SaveResource({
  resource: { name: "interop echo", kind: ["volt:service"], service_description },
  create: true
});

/** The number of calls, other than `own`, whose callers' ends the client has not heard. */
function open(own) {
  return Object.values(client._activeRPC).filter((call) => call && call !== own).length;
}

/** Asks the Volt who the caller is, and whether it may call the service. */
async function identity(token) {
  const access = "volt:resource-read";
  const answer = await client.CanAccessResource({ token, resource_id: resource.id, access });
  if (answer.decision !== "POLICY_DECISION_PERMIT") throw new Error("the Volt does not permit this");
  return answer.identity_did;
}

/** The tokens of the callers, which the client does not pass on, by the numbers of their calls. */
const tokens = new Map();

client.on("invoke_request", async (call) => {
  const name = call.methodName.split("/").pop();
  call.methodDescriptor = descriptors[name];
  // Accept messages that arrive while the Volt is queried.
  const messages = [call.payload];
  const take = () => {
    while (call.identity && messages.length > 0) methods[name](call, messages.shift());
  };
  call.on("payload", () => {
    messages.push(call.payload);
    take();
  });
  call.on("end", () => {
    messages.push(undefined);
    take();
  });
  call.on("error", () => {
    messages.push(undefined);
    take();
  });
  try {
    call.identity = await identity(tokens.get(call.id));
    tokens.delete(call.id);
    take();
  } catch (error) {
    call.sendEnd(error.message);
  }
});

client.on("connected", (id) => {
  if (!id) exit(1);
  client.connection.on("invoke_request", ({ invoke_id, token }) => {
    if (token) tokens.set(invoke_id, token);
  });
  console.log("online");
});
client.connect({ hello: { accept_invocation: true, online_services: true } });
