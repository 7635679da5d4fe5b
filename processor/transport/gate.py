"""The gate that rebalances wait at (architecture.md, trap 5)."""

import asyncio

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition

from processor.errors import JourneyProgressError
from processor.transport.commits import Commits


class Gate(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka's class is untyped
    """Makes a revocation wait for the batch in hand and all commits, up to a deadline; `generation` counts revocations.

    `is_settled` tells that the group has settled, even if no partition was left for this member.
    """

    def __init__(self, deadline: float, commits: Commits) -> None:
        self.lock = asyncio.Lock()
        self._commits = commits
        self.generation = 0
        self.is_settled = False
        self._deadline = deadline

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Called by aiokafka before it rejoins; the group waits meanwhile."""
        log = structlog.get_logger(__name__)
        try:
            async with asyncio.timeout(self._deadline), self.lock:
                await self._commits.settle()
        except TimeoutError:
            log.warning("partitions go before all is committed: records come again", partitions=_names(revoked))
        except JourneyProgressError as error:
            log.warning("not committed, the records come again", partitions=_names(revoked), error=str(error))
        finally:
            self.generation += 1
            await self._commits.drop()
        self.is_settled = False
        if revoked:
            log.info("partitions revoked", partitions=_names(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Called by aiokafka when the group has settled."""
        self.is_settled = True
        structlog.get_logger(__name__).info("partitions assigned", partitions=_names(assigned))


def _names(partitions: set[TopicPartition]) -> list[str]:
    return sorted(f"{partition.topic}-{partition.partition}" for partition in partitions)
