"""What waits, told to the metrics: documents due, claimed, expired, and for how long the oldest has waited."""

from datetime import datetime

from processor.ports.progress import ProgressStore
from processor.services.surroundings import Surroundings

LOOP = "backlog"


class BacklogWatch:
    """Looks now and then; every process that has a promoter or a relay tells the same figures."""

    def __init__(self, store: ProgressStore, surroundings: Surroundings) -> None:
        self._store = store
        self._around = surroundings

    async def step(self) -> int:
        """Count once; return 0, as there is nothing to hurry for."""
        now = self._around.clock.now()
        backlog = await self._store.backlog(now)
        documents, oldest = self._around.metrics.documents, self._around.metrics.oldest
        documents.labels("due").set(backlog.due)
        documents.labels("claimed").set(backlog.claimed)
        documents.labels("expired").set(backlog.expired)
        documents.labels("waiting").set(backlog.waiting)
        documents.labels("outbox").set(backlog.outbox)
        oldest.labels("due").set(_age(backlog.oldest_due, now))
        oldest.labels("expired").set(_age(backlog.oldest_lease, now))
        oldest.labels("outbox").set(_age(backlog.oldest_outbox, now))
        return 0


def _age(since: datetime | None, now: datetime) -> float:
    """Seconds since then; 0 when there is none, or it lies ahead, as the end of a lease that lasts."""
    return max((now - since).total_seconds(), 0.0) if since else 0.0
