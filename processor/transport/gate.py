"""The gate that rebalances wait at (architecture.md, trap 5)."""

import asyncio

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition


class Gate(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka's class is untyped
    """Makes a revocation wait for the batch in hand, up to a deadline; `generation` counts revocations.

    `is_settled` tells that the group has settled, even if no partition was left for this member.
    """

    def __init__(self, deadline: float) -> None:
        self.lock = asyncio.Lock()
        self.generation = 0
        self.is_settled = False
        self._deadline = deadline

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Called by aiokafka before it rejoins; the group waits meanwhile."""
        log = structlog.get_logger(__name__)
        try:
            async with asyncio.timeout(self._deadline), self.lock:
                pass
        except TimeoutError:
            log.warning("partitions go with a batch in hand: its records come again", partitions=_names(revoked))
        self.generation += 1
        self.is_settled = False
        if revoked:
            log.info("partitions revoked", partitions=_names(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Called by aiokafka when the group has settled."""
        self.is_settled = True
        structlog.get_logger(__name__).info("partitions assigned", partitions=_names(assigned))


def _names(partitions: set[TopicPartition]) -> list[str]:
    return sorted(f"{partition.topic}-{partition.partition}" for partition in partitions)
