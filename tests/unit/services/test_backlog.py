"""What waits, as the metrics tell it."""

from datetime import datetime
from typing import cast

from processor.metrics import Metrics
from processor.ports.stream import Clock
from processor.services.backlog import BacklogWatch
from processor.services.surroundings import Surroundings
from processor.testing.database import MemoryDatabase
from processor.testing.store import MemoryProgressStore
from tests.builders import an_append, at


class ClockAt:
    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now


async def test_what_is_due_claimed_and_expired_is_told_with_the_age_of_the_oldest() -> None:
    store, metrics = MemoryProgressStore(MemoryDatabase()), Metrics()

    async def look(second: float) -> None:
        await BacklogWatch(store, Surroundings(cast("Clock", ClockAt(at(second))), metrics)).step()

    def told(name: str, state: str) -> float | None:
        return metrics.registry.get_sample_value(f"journey_progress_{name}", {"state": state})

    await look(0)
    assert [told("documents", state) for state in ("due", "claimed", "expired", "waiting", "outbox")] == [0] * 5
    assert [told("oldest_document_seconds", state) for state in ("due", "expired", "outbox")] == [0] * 3
    await store.append([an_append(owner=name) for name in "abc"], [], at(0))
    await store.claim("key", at(1), at(61), 2)
    await look(31)
    assert [told("documents", state) for state in ("due", "claimed", "expired")] == [1, 2, 0]
    assert (told("oldest_document_seconds", "due"), told("oldest_document_seconds", "expired")) == (31, 0)
    await look(71)
    assert told("documents", "expired") == 2
    assert told("oldest_document_seconds", "expired") == 10
