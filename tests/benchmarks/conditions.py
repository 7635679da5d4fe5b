"""What a condition costs, against `mongomock`'s filtering in the same run; and a snapshot of 10,000 journeys.

`python -m tests.benchmarks.conditions` prints both. The ratios are the claims; the times are this machine's.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from mongomock.filtering import filter_applies
from rich.console import Console
from rich.table import Table

from processor.clock import SystemClock
from processor.core.conditions import compile_conditions
from processor.metrics import Metrics
from processor.services.journeys import Journeys
from processor.services.surroundings import Surroundings
from tests.benchmarks.journeys import course_of, journey_documents, read_stream

PLAYED = "https://w3id.org/xapi/video/verbs/played"
VIDEO = "https://w3id.org/xapi/video/activity-type/video"

TYPICAL = "two equalities and a comparison"
QUERIES: Mapping[str, Any] = {
    TYPICAL: {
        "$and": [
            {"statement.verb.id": PLAYED},
            {"statement.object.definition.type": VIDEO},
            {"timestamp": {"$gte": datetime(2021, 11, 20, tzinfo=UTC)}},
        ]
    },
    "one equality": {"statement.verb.id": PLAYED},
    "$in of ten": {"statement.object.id": {"$in": [f"uuid://{number}" for number in range(10)]}},
    "through an array": {"statement.context.contextActivities.parent.id": "course-v1:FUN-MOOC+00002+session01"},
    "a regular expression": {"statement.object.id": {"$regex": "^uuid://7d"}},
    "$or of $and": {
        "$or": [
            {"$and": [{"statement.verb.id": "x"}, {"statement.object.id": "y"}]},
            {"$and": [{"statement.verb.id": PLAYED}, {"statement.object.definition.type": VIDEO}]},
        ]
    },
}
FASTER = 10
"""Times as fast as mongomock, for the typical condition."""
FEW = 20
"""Statements that match, and as many that do not: few enough for the processor's caches, as in a batch."""

ROUNDS = 300
JOURNEYS, WAYPOINTS = 10_000, 30_000
SECONDS = 60.0
PAUSE = 0.5

Documents = Sequence[Mapping[str, Any]]


def main() -> dict[str, Any]:
    """Measure, print, and return the figures with their goals."""
    documents = [record.document for record in read_stream()]
    console = Console()
    ratios = _evaluation(documents, console)
    snapshot = asyncio.run(_snapshot())
    typical = min(ratio for name, ratio in ratios.items() if name.startswith(TYPICAL))
    pause, seconds = snapshot["longest_pause"], snapshot["seconds"]
    console.print(
        f"{JOURNEYS:,} journeys of {WAYPOINTS:,} waypoints are compiled and swapped in {seconds:.1f} s; "
        f"the event loop pauses for {pause * 1000:.0f} ms at most"
    )
    goals = {
        f"{TYPICAL}: at least {FASTER} times as fast as mongomock": typical >= FASTER,
        f"{JOURNEYS:,} journeys compile within {SECONDS:.0f} s": seconds <= SECONDS,
        f"and no pause is longer than {PAUSE} s": pause <= PAUSE,
    }
    for goal, holds in goals.items():
        console.print(f"goal: {goal}: {'holds' if holds else 'FAILS'}")
    return {"times_mongomock": ratios, "snapshot": snapshot, "goals": goals}


def _evaluation(documents: Documents, console: Console) -> dict[str, float]:
    table = Table(
        "condition",
        "statements that",
        "µs",
        "mongomock's µs",
        "times as fast",
        title="Conditions",
        title_justify="left",
    )
    ratios = {}
    for name, query in QUERIES.items():
        conditions, mongomock = compile_conditions(query), partial(filter_applies, query)
        verdicts = [bool(conditions(document)) for document in documents]
        assert verdicts == [bool(mongomock(document)) for document in documents]
        for word, wanted in (("match", True), ("do not", False)):
            few = [document for document, verdict in zip(documents, verdicts, strict=True) if verdict is wanted][:FEW]
            if few:
                ours, theirs = _best(conditions, few), _best(mongomock, few)
                ratios[f"{name}, {word}"] = theirs / ours
                table.add_row(name, word, f"{ours * 1e6:.2f}", f"{theirs * 1e6:.2f}", f"{theirs / ours:.1f}")
    console.print(table)
    return ratios


def _best(matches: Callable[[Any], Any], documents: Documents) -> float:
    """Return the seconds a document takes, of the quickest of many passes: noise only ever adds."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.thread_time()
        for document in documents:
            matches(document)
        best = min(best, time.thread_time() - begin)
    return best / len(documents)


class _Catalog:
    """Has read the journeys already: what reading costs is the database's affair."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def load(self) -> Documents:
        return self._documents

    async def save(self, journeys: Documents) -> None:
        raise NotImplementedError

    async def changed(self) -> bool:
        return False


async def _snapshot() -> dict[str, float]:
    """Refresh to very many journeys, and feel the event loop's pulse meanwhile."""
    catalog = _Catalog(_journeys())
    journeys = Journeys(catalog, Surroundings(SystemClock(), Metrics()))
    gc.collect()
    begin = last = time.perf_counter()
    longest = 0.0
    refresh = asyncio.create_task(journeys.refresh())
    while not refresh.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    await refresh
    assert len(journeys.index.journeys) == JOURNEYS
    return {"seconds": last - begin, "longest_pause": longest}


def _journeys() -> list[Mapping[str, Any]]:
    """Three waypoints each."""
    each = WAYPOINTS // JOURNEYS
    course = course_of(read_stream())
    return [
        {**document, "waypoints": document["waypoints"][:each]} for document in journey_documents(course, 10 * JOURNEYS)
    ]


if __name__ == "__main__":
    sys.exit(0 if all(main()["goals"].values()) else 1)
