"""The workloads, as data: which journeys are loaded, whose statements come, and which of them match."""

from dataclasses import dataclass
from typing import Any

from processor.settings import Settings
from schemas.journey import with_ids
from tests.benchmarks.statements import VERB, Activity, Learner
from tests.builders import ORGANISATION
from tests.servers import Servers

COUNTED = "https://example.org/videos/counted"
COMPLETING = "https://example.org/videos/completing"
BURST = 20
COMPLETED_LEARNERS = 500


@dataclass(frozen=True, slots=True)
class Workload:
    """`journeys` of which are loaded beside those that can match; the first `warm_up` statements are not measured."""

    name: str
    warm_up: int
    measured: int
    learner: Learner
    activity: Activity
    journeys: int = 1_000

    @property
    def total(self) -> int:
        """All statements of one run."""
        return self.warm_up + self.measured


def workloads(scale: float) -> dict[str, Workload]:
    """Return the workloads by name; `scale` 1 measures each for some seconds."""

    def several(count: int) -> int:
        return int(count * scale)

    every = [
        Workload("nothing matches", 4_000, several(100_000), lambda n: n % 5_000, lambda _: None),
        Workload("5 % match", 4_000, several(60_000), lambda n: n, lambda n: None if n % 20 else COUNTED),
        Workload("everything matches", 2_000, several(12_000), lambda n: n, lambda _: COUNTED),
        Workload("bursts of 20", 4_000, several(40_000), lambda n: n // BURST, lambda _: COUNTED),
        Workload("completed", 2_000, several(40_000), lambda n: n % COMPLETED_LEARNERS, lambda _: COMPLETING),
        Workload("10,000 journeys", 4_000, several(100_000), lambda n: n % 5_000, lambda _: None, 10_000),
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
    """Return an operator's defaults on topics of one partition, a group and a database of its own."""
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
    )
