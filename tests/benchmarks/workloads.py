"""The workloads, as data: which journeys are loaded, whose statements come, and which of them match."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from processor.settings import Settings
from schemas.journey import with_ids
from tests.benchmarks.statements import VERB, Activity, Learner, documents
from tests.builders import ORGANISATION
from tests.servers import Servers

COUNTED = "https://example.org/videos/counted"
COMPLETING = "https://example.org/videos/completing"
BURST = 20
COMPLETED_LEARNERS = 500
WARM_UP = 8_000


@dataclass(frozen=True, slots=True)
class Workload:
    """`journeys` of which are loaded beside those that can match; the first `warm_up` statements are not measured.

    Those are a whole batch at least: what the process takes of memory for its first is only taken once.
    Peers get one in `shorter` of the statements, where they are so slow that all would take too long; only where fewer
    statements make the same documents, by which it is told that they did the same job.
    Statements are numbered from `first` on, so that the workloads of one database concern different learners.
    """

    name: str
    first: int
    warm_up: int
    measured: int
    learner: Learner
    activity: Activity
    journeys: int = 1_000
    shorter: int = 1
    is_ours_alone: bool = False
    """Measured once, in a process of its own, and of no peer."""

    @property
    def total(self) -> int:
        """All statements of one run."""
        return self.warm_up + self.measured


RETURNING_LEARNERS = 2_500

RETURNING = Workload(
    "documents that exist", 0, RETURNING_LEARNERS, 0, lambda n: n % RETURNING_LEARNERS, lambda _: COUNTED
)
"""Learners who have begun and go on: each statement's document is looked for, read and updated, its event forgotten."""


def values(workload: Workload, start: int = 0, stop: int | None = None, stride: int = 1) -> Iterator[bytes]:
    """Yield the workload's statements, or some of them, as every subject and floor gets them."""
    numbers = range(workload.first, workload.first + workload.total)[start:stop:stride]
    return documents(numbers, workload.learner, workload.activity)


def workloads(scale: float) -> dict[str, Workload]:
    """Return the workloads by name; `scale` 1 measures ours for about a second at least.

    What comes after the last statement is measured, too: its commit waits for its turn, its event for others, the watch
    between two looks, some 45 ms in all. Of a run of 0.8 s that is a twentieth, which no floor has.
    """

    def several(count: int) -> int:
        return int(count * scale)

    known = COMPLETED_LEARNERS
    every = [
        Workload("nothing matches", 0, WARM_UP, several(400_000), lambda n: n % 5_000, lambda _: None, shorter=7),
        # Compared with the one before: a process that has matched much meanwhile takes a tenth longer for either.
        Workload(
            "completed", 4 * 10**7, WARM_UP, several(400_000), lambda n: n % known, lambda _: COMPLETING, shorter=20
        ),
        Workload("5 % match", 10**7, WARM_UP, several(240_000), lambda n: n, lambda n: None if n % 20 else COUNTED),
        Workload("everything matches", 2 * 10**7, WARM_UP, several(20_000), lambda n: n, lambda _: COUNTED),
        Workload("bursts of 20", 3 * 10**7, WARM_UP, several(72_000), lambda n: n // BURST, lambda _: COUNTED),
        Workload(
            "10,000 journeys",
            *(0, WARM_UP, several(80_000)),
            lambda n: n % 5_000,
            lambda n: None if n % 20 else COUNTED,
            10_000,
            is_ours_alone=True,
        ),
        Workload(  # the warm-up begins the documents of all of them, and goes on with each once
            "all have begun",
            *(5 * 10**7, 2 * WARM_UP, several(12_000)),
            lambda n: n % WARM_UP,
            lambda _: COUNTED,
            is_ours_alone=True,
        ),
    ]
    return {workload.name: workload for workload in every}


def journeys(workload: Workload) -> list[dict[str, Any]]:
    """Return journeys that no statement concerns, one of many steps, and one that a single statement completes."""
    others = [
        _journey(f"Course {number}", *((f"https://example.org/courses/{number}/videos/{step}", 1) for step in range(3)))
        for number in range(workload.journeys)
    ]
    counted = _journey("Counted", (COUNTED, BURST), ("https://example.org/exam", 1))
    return [*others, counted, _journey("Completing", (COMPLETING, 1))]


def _journey(description: str, *steps: tuple[str, int]) -> dict[str, Any]:
    return with_ids(
        {
            "organisation": str(ORGANISATION),
            "description": description,
            "isActive": True,
            "waypoints": [
                {"conditions": {"statement.verb.id": VERB, "statement.object.id": thing}, "count": count}
                for thing, count in steps
            ],
        }
    )


def settings_for(servers: Servers, name: str) -> Settings:
    """Return an operator's defaults on topics of one partition, a group and a database of its own.

    But for JOURNEYS_POLL, which is longer than a process is frozen while its topic is filled: who has not looked at the
    recalculations for so long forgets who is through, and reads the first batch whole.
    """
    return Settings(
        _env_file=None,
        kafka_bootstrap_servers=servers.kafka,
        mongo_url=servers.mongo_url,
        mongo_database=f"bench_{name}",
        statements_topic=f"statements.{name}",
        progress_topic=f"progress.{name}",
        dead_letters_topic=f"dead-letters.{name}",
        consumer_group=f"group.{name}",
        topic_partitions=1,
        http_port=0,
        journeys_poll=60,
    )
