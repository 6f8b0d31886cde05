"""Adapter for the published Python client, for the interop tests and the benchmarks."""

import asyncio
import json

from volt_client_web import VoltClient


async def connect(config_file):
    """A connected client, and its configuration, which must have RSA keys."""
    with open(config_file, encoding="utf-8") as file:
        config = json.load(file)
    client = VoltClient(config)
    await client.initialise()
    return client, config


def messages(call):
    """The messages of a streaming call as an async iterator.

    Listens from the call of this function, not from the first iteration.
    """
    queue = asyncio.Queue()
    call.on("data", queue.put_nowait)
    call.on("error", queue.put_nowait)
    call.on("end", lambda: queue.put_nowait(None))

    async def read():
        while (item := await queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    return read()
