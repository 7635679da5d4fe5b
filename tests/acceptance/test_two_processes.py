"""Two `journey-progress run` share a topic's partitions; kill -9 of either at any moment loses and doubles nothing."""

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from processor.core.journey import compile_journey
from processor.opening import open_stores
from processor.operating import create_all_topics
from processor.settings import Settings
from processor.store.connect import Database
from schemas.journey import journey_document, journey_from, with_ids
from tests.acceptance.commands import Running
from tests.acceptance.proof import verdict_on
from tests.acceptance.world import produce, until_quiet
from tests.servers import Servers

LEARNERS = 60
KILLS = 8
VERB = "http://adlnet.gov/expapi/verbs/completed"

JOURNEY = {
    "description": "A course of three modules",
    "isActive": True,
    "isSequential": True,
    "isRepeatable": True,
    "waypoints": [
        {"conditions": {"statement.verb.id": VERB, "statement.object.id": f"http://example.org/{name}"}, "count": count}
        for name, count in (("a", 1), ("b", 2), ("c", 1))
    ],
}


def statements(seed: int) -> list[dict[str, Any]]:
    """A stream of completions of many learners, out of order and with repeats, a few of them poison."""
    dice = random.Random(seed)
    made = [
        {
            "id": str(UUID(int=dice.getrandbits(128), version=4)),
            "actor": {"mbox": f"mailto:learner-{learner}@example.org"},
            "verb": {"id": VERB},
            "object": {"id": f"http://example.org/{dice.choice('abc')}"},
            "timestamp": f"2026-01-{dice.randint(1, 20):02d}T{dice.randint(0, 23):02d}:00:00Z",
        }
        for learner in range(LEARNERS)
        for _ in range(20)
    ]
    made += dice.sample(made, 100)
    dice.shuffle(made)
    return made


async def test_kill_9_loses_and_doubles_nothing(
    settings: Settings, servers: Servers, mongo_database: Database, tmp_path: Path
) -> None:
    seed = int(os.environ.get("JOURNEY_PROGRESS_KILL_SEED", random.SystemRandom().getrandbits(32)))
    sys.stdout.write(f"JOURNEY_PROGRESS_KILL_SEED={seed}\n")  # pytest shows it when the test fails
    dice = random.Random(seed)
    await create_all_topics(settings)
    journey = journey_from(with_ids({**JOURNEY, "organisation": settings.default_organisation}))
    async with open_stores(settings) as stores:
        await stores.catalog.save([journey_document(journey)])

    # The embedded broker (noida-db 0.2.3) may never end a rebalance in which a member died. So there the processes are
    # static members, which come back without one; Apache Kafka (`make test-apache`) takes it as it comes.
    is_static = servers.kind == "embedded"

    def start(slot: int, life: int) -> Running:
        own = {"group_instance_id": f"slot-{slot}"} if is_static else {}
        return Running(settings.model_copy(update=own), tmp_path / f"{slot}-{life}.log")

    stream = statements(seed)
    poison = [b"not json", b'{"actor": 1}', b"\xff\xfe"]
    processes = [start(slot, 0) for slot in range(2)]
    try:
        chunks = [stream[number::KILLS] for number in range(KILLS)]
        for number, chunk in enumerate(chunks):
            await produce(settings, [*chunk, poison[number % 3]])
            if is_static:
                await _settled(processes)
            await asyncio.sleep(dice.uniform(0.0, 1.5))  # at any moment: this is the test's subject
            victim = dice.randrange(2)
            processes[victim].kill()
            processes[victim] = start(victim, number + 1)
        await until_quiet(settings)
        await _settled(processes)
    finally:
        statuses = [process.stop() for process in processes]
    assert statuses == [0, 0]

    verdict = await verdict_on(settings, mongo_database, [compile_journey(journey_document(journey))], poison)
    assert (verdict.lost, verdict.doubled) == ([], [])
    assert verdict.statements == len(stream)
    assert verdict.letters == KILLS


async def _settled(processes: list[Running]) -> None:
    """Wait until both hold half of the partitions, as their logs say."""
    async with asyncio.timeout(60):
        while not all(process.holds(2) for process in processes):  # noqa: ASYNC110 - other processes' logs
            await asyncio.sleep(0.05)
