"""From produce to progress-updated, at a steady rate that leaves room: what a learner waits for.

Statements come on a schedule that does not wait for answers, and each is timed from when it was due to be sent, not
from when it was: so a stall is counted for every statement that it held up.
"""

import asyncio
import gc
import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from processor.settings import Settings
from processor.store.connect import Database, open_database
from tests.benchmarks.arrivals import Arrivals, arriving, values_in
from tests.benchmarks.machine import Cores, pinned
from tests.benchmarks.saturation import measure
from tests.benchmarks.statements import documents
from tests.benchmarks.surroundings import (
    BATCH,
    DEADLINE,
    REST,
    ZSTD,
    Stalled,
    Watch,
    prepare,
    publish,
    under_test,
    watching,
)
from tests.benchmarks.workloads import Workload, settings_for, values
from tests.servers import Servers

SETTLING = 3.0
"""Seconds at the rate before anything is timed."""


LINGER = 0.005
"""Seconds that the first statement of a batch waits for others: as with Apache Kafka 4's own producer."""

SWEEPING = 20.0
"""Seconds that mongod is given to let go of what was dropped."""

Name = tuple[str, int]
"""A learner, and the how manieth statement of theirs it is."""


async def latencies(
    workload: Workload, rate: float | None, seconds: float, servers: Servers, cores: Cores, folder: Path
) -> dict[str, Any]:
    """Measure a workload whose every statement counts; return percentiles in milliseconds.

    Without a rate, at a third of that which all of the workload saturates at, which is `saturating`. Percentiles of the
    first and of the last third are told besides: of what becomes slower, they differ. What was left to `mongod` before
    is done first. Raises `Stalled`.
    """
    settings = settings_for(servers, uuid4().hex[:12])
    await prepare(settings, workload)
    saturating: dict[str, float] = {}
    async with watching(settings) as watch, under_test(settings, cores.processor, folder, watch) as running:
        if rate is None:
            saturated = (await measure(workload, 0, settings, watch, running)).rate
            rate, saturating = saturated / 3, {"saturating": saturated}
        else:
            await publish(settings, values(workload))
            await watch.until_warm(workload.total)
        async with open_database(settings) as database:
            await _swept(database)
        several = int(rate * (SETTLING + seconds))
        numbers = range(workload.first, workload.first + workload.total + several)
        timed = list(documents(numbers[workload.total :], workload.learner, workload.activity))
        times = [number / rate for number in range(several)]
        due = dict(zip(list(_names(workload, numbers))[workload.total :], times, strict=True))
        batches = list(_batches(timed, times))
        gc.freeze()  # a look through all that the harness holds would be a stall that everything waits for
        async with arriving(settings) as arrivals:
            with pinned(cores.harness):
                began = time.perf_counter() + 0.1
                sending = asyncio.create_task(_send(settings, batches, began))
                seen = await _seen(arrivals, set(due), watch, sending)
                await sending
    waits = [seen[name] - began - after for name, after in due.items() if after >= SETTLING]
    third = len(waits) // 3
    thirds = {"first": _percentiles(waits[:third]), "last": _percentiles(waits[-third:])}
    return {**saturating, "rate": rate, "statements": len(waits), **_percentiles(waits), "thirds": thirds}


async def _swept(database: Database) -> None:
    """Have mongod write what is dirty, as this rate leaves no such heap, and let go of databases that were dropped.

    It does the latter some 20 seconds late, sooner when something is written, and answers nobody for 0.1-0.3 s. One
    that keeps minutes of the past keeps these as long: that is not waited for.
    """
    admin, until = database.client.admin, time.monotonic() + SWEEPING
    while time.monotonic() < until:
        await database["sweeping"].replace_one({"_id": 0}, {"at": time.time()}, upsert=True)
        await admin.command("fsync")
        storage = (await admin.command("serverStatus")).get("storageEngine", {})
        if not storage.get("dropPendingIdents"):
            return
        await asyncio.sleep(REST)
    sys.stdout.write("  mongod has not let go of dropped databases yet: it may do so in the midst of a latency\n")


def _names(workload: Workload, numbers: Iterable[int]) -> Iterator[Name]:
    several: Counter[str] = Counter()
    for number in numbers:
        learner = str(workload.learner(number))
        several[learner] += 1
        yield learner, several[learner]


def _batches(values: Sequence[bytes], due: Sequence[float]) -> Iterator[tuple[float, BatchBuilder]]:
    """Yield when each batch is to be sent, and the batch: a statement, and what is due before its linger is over.

    They are built before anything is timed: this would take time of the core that the process under test runs on.
    """
    sent, now = 0, int(time.time() * 1000)
    while sent < len(values):
        batch, when = BatchBuilder(BATCH, ZSTD), due[sent] + LINGER
        for value in values[sent : bisect_right(due, when)]:
            if batch.append(key=None, value=value, timestamp=now) is None:
                break
            sent += 1
        batch._build()  # and compress it, which is else done when it is sent
        yield when, batch


async def _send(settings: Settings, batches: Iterable[tuple[float, BatchBuilder]], began: float) -> None:
    """Send each batch when its linger is over, which counts as waiting."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
    await producer.start()
    try:
        for when, batch in batches:
            await asyncio.sleep(max(began + when - time.perf_counter(), 0))
            await producer.send_batch(batch, settings.statements_topic, partition=0)
        await producer.flush()
    finally:
        await producer.stop()


async def _seen(arrivals: Arrivals, names: set[Name], watch: Watch, sending: "asyncio.Task[None]") -> dict[Name, float]:
    """Return when the first event arrived that tells of each statement; one may tell of several. Raises `Stalled`.

    What they tell is only read when all is sent and no more comes: it would take time of what is timed.
    """
    seen: dict[Name, float] = {}
    arrived: list[tuple[float, bytes]] = []
    try:
        async with asyncio.timeout(DEADLINE):
            while len(seen) < len(names):
                now, fetched = await arrivals.next()
                if fetched:
                    arrived.append((now, fetched))
                else:
                    watch.check_alive()
                    if sending.done():
                        _take_note(seen, names, arrived)
                        arrived.clear()
    except TimeoutError:
        raise Stalled(f"events of {len(seen):,} of {len(names):,} statements in {DEADLINE:.0f} s") from None
    return seen


def _take_note(seen: dict[Name, float], names: set[Name], arrived: Iterable[tuple[float, bytes]]) -> None:
    for now, fetched in arrived:
        for value in values_in(fetched):
            learner, counted = _counted(orjson.loads(value))
            while counted and (name := (learner, counted)) in names and name not in seen:
                seen[name] = now
                counted -= 1


def _counted(progress: dict[str, Any]) -> Name:
    """Return whose progress it is, and how many statements of theirs it counts."""
    counts = (len(it["statements"]) for attempt in progress["completions"] for it in attempt["waypoints"].values())
    return progress["owner"]["ident"]["account"]["name"], sum(counts)


def _percentiles(waits: Sequence[float]) -> dict[str, float]:
    ordered = sorted(waits)
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
    found = {name: ordered[min(int(share * len(ordered)), len(ordered) - 1)] for name, share in shares.items()}
    return {name: round(1000 * wait, 2) for name, wait in {**found, "most": ordered[-1]}.items()}
