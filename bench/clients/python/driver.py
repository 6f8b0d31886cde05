"""Runs the work of the benchmarks with the published Python client, which speaks the legacy protocol.

    python driver.py WORK --config FILE --out FILE [--in-flight N] [--size BYTES] …

The arguments and the output are those of bench/load/measure/src/lib.rs. The configuration must have
RSA keys.
"""

import argparse
import asyncio
import base64
import json
import math
import resource
import sys
import time

from volt_calls import connect, messages


async def unary(client, load):
    text = ("did:volt:a4c0e2-" * (load.size // 16 + 1))[: load.size]

    async def call():
        answer = await client.GetResource({"resource_id": text})
        check(len(answer["resource"]["id"]) == load.size, "another answer came back")

    return await closed_loop(load, call)


async def rows(client, load):
    span = Span(load)
    statement = f"SELECT id, name, weight, place FROM bird LIMIT {load.count}"
    call = await client.SqlExecute({"database_id": load.resource, "statement": statement})
    count = 0
    async for answer in messages(call):
        count += "row" in answer and len(answer["row"]["column"]) == 4
    check(count == load.count, f"{count} rows came")
    return span.finish(count, 0)


# The client's `DownloadFile` calls a method that it does not have.
WORK = {"unary": unary, "rows": rows}


async def closed_loop(load, operation):
    """Runs `in_flight` operations at a time until the time is over and `in_flight` have finished.

    Counts the finished ones.
    """
    begin = time.perf_counter() + load.warm_up
    end = begin + load.seconds
    latencies = []
    done = 0
    span = None
    # A call without an answer must not delay the others' measurement.
    outcome = asyncio.get_running_loop().create_future()

    async def work():
        nonlocal done, span
        while not outcome.done():
            started = time.perf_counter()
            if started >= begin and span is None:
                span = Span(load)
            await operation()
            ended = time.perf_counter()
            if span is None or outcome.done():
                continue
            done += 1
            if started >= begin:
                latencies.append((ended - started) * 1e6)
            if ended >= end and done >= load.in_flight:
                outcome.set_result(span.finish(done, 0))

    def look(worker):
        if not outcome.done() and worker.exception():
            outcome.set_exception(worker.exception())

    workers = [asyncio.create_task(work()) for _ in range(load.in_flight)]
    for worker in workers:
        worker.add_done_callback(look)
    measured = await outcome
    latencies.sort()

    def at(share):
        return latencies[max(math.ceil(len(latencies) * share), 1) - 1]

    if latencies:
        measured["latency"] = {"p50": at(0.5), "p99": at(0.99), "p999": at(0.999)}
    return measured


class Span:
    """A measured interval."""

    def __init__(self, load):
        self.server = load.server
        self.server_cpu = server_cpu(self.server)
        self.started = time.perf_counter()
        self.cpu = cpu()

    def finish(self, operations, size):
        measured = {
            "operations": operations,
            "bytes": size,
            "seconds": time.perf_counter() - self.started,
            "cpu_seconds": cpu() - self.cpu,
            "peak_memory": peak_memory(),
        }
        if self.server_cpu is not None:
            measured["server_cpu_seconds"] = server_cpu(self.server) - self.server_cpu
        return measured


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def server_cpu(process):
    """The server's CPU seconds, in hundredths: the resolution of Linux."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as stat:
            fields = stat.read().rpartition(") ")[2].split(" ")
        return (int(fields[11]) + int(fields[12])) / 100
    except OSError:
        return None


def peak_memory():
    """Peak memory in bytes. `ru_maxrss` would include the parent's memory before `exec`."""
    try:
        with open("/proc/self/status", encoding="utf-8") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) << 10
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def check(holds, message):
    if not holds:
        raise ValueError(message)


async def main(load):
    client, _ = await connect(load.config)
    measured = await WORK[load.work](client, load)
    with open(load.out, "w", encoding="utf-8") as file:
        json.dump(measured, file)
    await client.websocket.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=WORK)
    parser.add_argument("--config", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--warm-up", type=float, default=0.2)
    parser.add_argument("--resource", default="")
    parser.add_argument("--server")
    asyncio.run(main(parser.parse_args(sys.argv[1:])))
