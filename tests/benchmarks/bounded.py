"""One learner without end: does the document stay small, and does a promotion cost the same after 10,000 attempts?

`python -m tests.benchmarks.bounded`: 100,000 statements of one learner of a repeatable journey, ten to an attempt,
through the real store, promoter and relay's clearing, on the real `mongod`. Ends with 1 when the goals do not hold.
"""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from statistics import median
from typing import NamedTuple

import bson
import structlog
from bson import ObjectId

from processor.clock import SystemClock
from processor.core.evidence import Item
from processor.core.policy import FoldingPolicy
from processor.metrics import Metrics
from processor.services.handover import Handover
from processor.services.journeys import Journeys
from processor.services.promoter import Promoter
from processor.services.promoting import Promoting
from processor.services.surroundings import Leasing, Surroundings
from processor.store.connect import ATTEMPTS, JOURNEYS, PROGRESSES, Database, open_database
from processor.store.indexes import ensure_indexes
from processor.store.journeys import MongoJourneyCatalog
from processor.store.progress import MongoProgressStore
from processor.store.reader import MongoProgressReader
from tests.benchmarks.machine import servers_here, usage_of
from tests.benchmarks.workloads import settings_for
from tests.builders import JOURNEY, WAYPOINTS, a_journey, an_append, at
from tests.servers import Servers, found_servers

COUNT = 10
"""Statements of an attempt."""

BATCH = 100
"""Statements that come together."""

LARGEST = 200_000
"""Bytes that a document may have: DOCUMENT_BYTES, its manifest, an open attempt, what is pending, an event."""

FLAT = 1.5
"""Times the cost of the first tenth that the last tenth may cost."""


class Cost(NamedTuple):
    """Of one batch: milliseconds of appending, of promoting, of `mongod`'s CPU; bytes of the document afterwards."""

    append: float
    promote: float
    mongod: float
    size: int


async def costs(database: Database, statements: int) -> list[Cost]:
    """Let one learner do so much; return what each batch cost."""
    waypoint = {
        "_id": ObjectId(WAYPOINTS[0]),
        "isActive": True,
        "conditions": {"statement.verb.id": "x"},
        "count": COUNT,
    }
    await database[JOURNEYS].insert_one(a_journey(_id=JOURNEY, isRepeatable=True, waypoints=[waypoint]))
    around, leasing = Surroundings(SystemClock(), Metrics()), Leasing(timedelta(seconds=60))
    journeys = Journeys(MongoJourneyCatalog(database), around)
    await journeys.refresh()
    store = MongoProgressStore(database)
    promoter = Promoter(Promoting(store, journeys, FoldingPolicy(), around, leasing, Handover(leasing)))
    mongod = servers_here().get("mongod")
    found: list[Cost] = []
    for first in range(0, statements, BATCH):
        items = [Item(ObjectId((it + 1).to_bytes(12)), at(it)) for it in range(first, first + BATCH)]
        spent, began = usage_of(mongod).cpu if mongod else 0.0, time.perf_counter()
        await store.append([an_append(*items)], [], around.clock.now())
        appended = time.perf_counter()
        await promoter.step()
        promoted = time.perf_counter()
        size = len(bson.encode(await database[PROGRESSES].find_one() or {}))
        outboxes = await store.claim_events("relay", around.clock.now(), around.clock.now(), 1)
        await store.forget([(outboxes, {key: events[-1].revision for key, events in outboxes.outboxes.items()})])
        cpu = usage_of(mongod).cpu - spent if mongod else 0.0
        found.append(Cost((appended - began) * 1e3, (promoted - appended) * 1e3, cpu * 1e3, size))
    return found


async def measure(servers: Servers, statements: int) -> bool:
    """Measure, print, and tell whether the goals hold."""
    settings = settings_for(servers, "bounded")
    async with open_database(settings) as database:
        await database.client.drop_database(database.name)
        await ensure_indexes(database)
        found = await costs(database, statements)
        began = time.perf_counter()
        [document] = [it async for it in MongoProgressReader(database).find()]
        read = time.perf_counter() - began
        segments = await database[ATTEMPTS].estimated_document_count()
        await database.client.drop_database(database.name)
    tenth = max(len(found) // 10, 1)
    early, late = found[:tenth], found[-tenth:]
    largest = max(it.size for it in found)
    promote = [median(it.promote for it in part) for part in (early, late)]
    sys.stdout.write(
        f"{statements:,} statements, {len(document['completions']):,} attempts, {segments} segments\n"
        f"largest document, an event in its outbox: {largest:,} bytes\n"
        f"of {BATCH} statements, first tenth / last tenth, median ms: append "
        f"{median(it.append for it in early):.1f} / {median(it.append for it in late):.1f}, "
        f"promote {promote[0]:.1f} / {promote[1]:.1f}\n"
        f"mongod's CPU, mean ms: {_mean(early):.1f} / {_mean(late):.1f}\n"
        f"reading all attempts: {read:.2f} s\n"
    )
    is_whole = len(document["completions"]) == statements // COUNT
    holds = is_whole and largest <= LARGEST and promote[1] <= FLAT * promote[0]
    sys.stdout.write("holds\n" if holds else "DOES NOT HOLD\n")
    return holds


def _mean(found: Sequence[Cost]) -> float:
    return sum(it.mongod for it in found) / len(found)


def main() -> None:
    """Run it on the tests' MongoDB."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bounded", description=__doc__)
    parser.add_argument("--statements", type=int, default=100_000)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with found_servers() as servers:
        sys.exit(not asyncio.run(measure(servers, arguments.statements)))


if __name__ == "__main__":
    main()
