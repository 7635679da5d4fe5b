"""The floors: the least that any program in Python has to do, each a process of its own on the processor's core.

`python -m tests.benchmarks.floors FLOOR START WARM_UP COUNT MONGOD`, with the settings in the environment, prints JSON;
MONGOD is the pid of a `mongod` that is ours, or 0.

- `consume`: aiokafka's `getmany` of the same topic, doing nothing with what it gets;
- `decode`: the same, and one `orjson.loads` a record;
- `mongo`: for each document one upsert of pending evidence and one conditional update with what a promotion writes, in
  bulk, prepared beforehand, with the same indexes and the same write concern, by two threads, so that `mongod` never
  waits for the script.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from bson import ObjectId
from msgspec.structs import replace
from pymongo import MongoClient, UpdateOne
from pymongo.write_concern import WriteConcern

from processor.core.completions import items_to
from processor.core.evidence import Append, Promotion
from processor.core.journey import compile_journey
from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote
from processor.settings import Settings, load_settings
from processor.store.connect import PROGRESSES
from processor.store.indexes import INDEXES
from processor.store.updates import append_update, apply_update
from schemas.journey import journey_document, journey_from
from tests.acceptance.commands import environment
from tests.benchmarks.machine import Cores, pinned, servers_here, usage_of
from tests.benchmarks.statements import HOME_PAGE
from tests.benchmarks.workloads import Workload, journeys, workloads
from tests.builders import an_append, an_item

Spent = tuple[float, float]
"""Seconds on the clock, and of CPU of the process that has the work to do."""

POLLED = 500
"""Most records that a floor takes at once, whatever our batches are: the fastest, a tenth faster than with 2,000."""

NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Floor:
    """Statements (or documents) per second, and CPU seconds per million of the process that has the work to do."""

    rate: float
    costs: dict[str, float]


def floor(name: str, settings: Settings, workload: Workload, start: int, cores: Cores) -> Floor:
    """Measure a floor in a process of its own, reading the workload where it begins in the topic.

    `mongo` costs mongod, where it is ours; the others cost the reader.
    """
    mongod = servers_here().get("mongod", 0)
    with pinned(cores.processor):
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.floors", name]
            + [str(number) for number in (start, workload.warm_up, workload.measured, mongod)],
            env=environment(settings),
            check=True,
            stdout=subprocess.PIPE,
        )
    measured = orjson.loads(done.stdout)
    if name != "mongo":
        return Floor(measured["rate"], {"processor": measured["cpu"]})
    return Floor(measured["rate"], {"mongod": measured["cpu"]} if mongod else {})


async def _consume(
    settings: Settings, start: int, warm_up: int, count: int, use: Callable[[bytes], object] | None
) -> Spent:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=settings.kafka_max_message_bytes,
        fetch_max_wait_ms=100,
    )
    await consumer.start()
    try:
        partition = TopicPartition(settings.statements_topic, 0)
        consumer.assign([partition])
        consumer.seek(partition, start)
        await _read(consumer, POLLED, warm_up, use)
        started, cpu = time.perf_counter(), time.process_time()
        await _read(consumer, POLLED, count, use)
        return time.perf_counter() - started, time.process_time() - cpu
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, most: int, count: int, use: Callable[[bytes], object] | None) -> None:
    """Read so many records."""
    left = count
    while left:
        for records in (await consumer.getmany(timeout_ms=1_000, max_records=min(most, left))).values():
            left -= len(records)
            if use:
                for record in records:
                    use(record.value)


def _write(settings: Settings, warm_up: int, count: int, mongod: int) -> Spent:
    concern = WriteConcern("majority", j=True)
    with MongoClient[dict[str, Any]](settings.mongo_url.get_secret_value(), retryWrites=False) as client:
        progresses = client.get_database(f"{settings.mongo_database}_floor", write_concern=concern)[PROGRESSES]
        progresses.create_indexes(INDEXES[PROGRESSES])
        writes = _writes(warm_up + count)

        def write(start: int) -> None:
            batch = writes[start : start + settings.promote_batch]
            progresses.bulk_write([append for append, _ in batch], ordered=False)
            result = progresses.bulk_write([apply for _, apply in batch], ordered=False)
            assert result.modified_count == len(batch)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(write, range(0, warm_up, settings.promote_batch)))
            started, cpu = time.perf_counter(), _cpu_of(mongod)
            list(pool.map(write, range(warm_up, len(writes), settings.promote_batch)))
            spent = time.perf_counter() - started, _cpu_of(mongod) - cpu
        client.drop_database(progresses.database.name)
    return spent


def _cpu_of(mongod: int) -> float:
    return usage_of(mongod).cpu if mongod else 0.0


def _writes(count: int) -> Sequence[tuple[UpdateOne, UpdateOne]]:
    """Build what the processor itself would write for one statement each of so many learners."""
    append, promotion = _example()
    writes = []
    for _ in range(count):
        progress = ObjectId()
        apply = _update(apply_update(replace(promotion, progress=progress), "", NOW, NOW))
        apply["$unset"] = {"processing.due": ""}  # what claiming does for the processor
        condition = {"_id": progress, "processing.due": NOW}
        writes.append((append_update(replace(append, progress=progress), NOW), UpdateOne(condition, apply)))
    return writes


def _example() -> tuple[Append, Promotion]:
    """Return the evidence of one statement of the workload, and its promotion."""
    *_, counted, _ = journeys(workloads(1)["everything matches"])
    rules = compile_journey(journey_document(journey_from(counted)))
    item, owner = an_item(1), {"objectType": "Agent", "account": {"name": "12345", "homePage": HOME_PAGE}}
    append = an_append(item, waypoint=min(rules.waypoints.values(), key=lambda it: it.order).id)
    append = replace(append, journey=rules.id, owner=replace(append.owner, ident=owner))
    inserted = _update(append_update(append, NOW))["$setOnInsert"]
    document = {
        "_id": append.progress,
        **{key: value for key, value in inserted.items() if "." not in key},
        "updatedAt": NOW,
        "pendingProgress": {waypoint: {"statements": items_to(items)} for waypoint, items in append.items.items()},
        "processing": {"revision": 0, "version": rules.version},
    }
    return append, promote(document, rules, FoldingPolicy(), NOW)


def _update(write: UpdateOne) -> dict[str, Any]:
    assert isinstance(write._doc, dict)
    return write._doc


def main() -> None:
    """Measure the floor that the command line names."""
    name, (start, warm_up, count, mongod) = sys.argv[1], map(int, sys.argv[2:])
    settings = load_settings()
    if name == "mongo":
        seconds, cpu = _write(settings, warm_up, count, mongod)
    else:
        use = orjson.loads if name == "decode" else None
        seconds, cpu = uvloop.run(_consume(settings, start, warm_up, count, use))
    sys.stdout.write(orjson.dumps({"rate": count / seconds, "cpu": cpu / count * 1e6}).decode())


if __name__ == "__main__":
    main()
