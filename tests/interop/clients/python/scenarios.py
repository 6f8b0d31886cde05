"""The interop scenarios with the published Python client, which speaks the legacy protocol.

    python scenarios.py CONFIG SCENARIO

Runs one scenario of tests/interop/scenarios.json and prints the result as `result: {…}`. The
configuration must have RSA keys.
"""

import asyncio
import base64
import json
import sys

from volt_calls import connect, messages

UNKNOWN_ID = "did:volt:00000000-0000-4000-8000-000000000000"


async def unary(client, config):
    volt_id = config["volt"]["id"]
    answer = await client.GetResource({"resource_id": volt_id})
    resource = answer["resource"]
    if resource["id"] != volt_id:
        raise ValueError(f"the resource is {resource['id']}")
    return {"resource": resource}


async def refused(client, _config):
    try:
        await client.GetResource({"resource_id": UNKNOWN_ID})
    except Exception as error:  # the client raises nothing more specific
        # It keeps the message of an error, not its code.
        return {"code": None, "message": str(error)}
    raise ValueError("the call succeeded; expected an error")


async def wire(client, _config):
    saved = await client.SaveResource(
        {"resource": {"name": "interop", "kind": ["volt:wire"]}, "create": True}
    )
    wire_id = saved["resource"]["id"]
    subscription = await client.SubscribeWire({"wire_id": wire_id})
    heard = messages(subscription)
    publication = await client.PublishWire({"wire_id": wire_id})
    published = messages(publication)
    received = None

    # The Volt does not acknowledge a subscription: publish until the chunk arrives.
    async def publish():
        chunk = base64.b64encode(b"hello, wire").decode()
        while received is None:
            await publication.send({"wire_id": wire_id, "chunk": chunk})
            await asyncio.sleep(0.05)

    publishing = asyncio.create_task(publish())
    async for message in heard:
        if received is None and "chunk" in message:
            received = base64.b64decode(message["chunk"]).decode()
            await publishing
            # The client stops reading a call that it half-closes.
            await publication.end()
            async for _ in published:
                pass
            await subscription.send({"stop": True})
    return {"received": received, "subscription_ended": True, "publication_ended": True}


async def sql(client, _config):
    created = await client.CreateDatabase({"name": "interop"})
    database_id = created["resource"]["id"]

    async def execute(statement, **more):
        request = {"database_id": database_id, "statement": statement, **more}
        return [answer async for answer in messages(await client.SqlExecute(request))]

    await execute("CREATE TABLE bird (id INTEGER, name TEXT, weight REAL, data BLOB)")
    await execute("INSERT INTO bird VALUES (0, '', 0.0, x''), (1, NULL, NULL, NULL)")
    await execute(
        "INSERT INTO bird VALUES (9007199254740993, $name, 0.1, x'00ff80')",
        parameter={"$name": {"string": "naïve ☃"}},
    )
    answers = await execute("SELECT id, name, weight, data FROM bird ORDER BY id")
    header = next(answer["header"] for answer in answers if "header" in answer)
    return {
        "columns": [[column["name"], column["type"]] for column in header["column"]],
        "rows": [answer["row"]["column"] for answer in answers if "row" in answer],
    }


SCENARIOS = {"unary": unary, "refused": refused, "wire": wire, "sql": sql}


async def main(config_file, name):
    client, config = await connect(config_file)
    try:
        result = await SCENARIOS[name](client, config)
        print(f"result: {json.dumps(result)}", flush=True)
    finally:
        await client.websocket.close()


if __name__ == "__main__":
    _, arg_config, arg_scenario = sys.argv
    if arg_scenario not in SCENARIOS:
        sys.exit(f"this client has no scenario {arg_scenario}")
    asyncio.run(main(arg_config, arg_scenario))
