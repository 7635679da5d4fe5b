"""How far behind the consumer is, told to the metrics and to liveness.

The brokers are asked, as ingest may be waiting for a server.
"""

import asyncio
from collections.abc import Awaitable, Callable

from processor.errors import BrokerUnavailable
from processor.services.liveness import CHECK_SECONDS, Partition, Standings
from processor.services.surroundings import Surroundings

LOOP = "lag"


class LagWatch:
    """Looks now and then.

    `standings` asks where the consumer stands in the partitions that are assigned and not paused: one that is paused
    keeps what was told of it. `held` says which are assigned, or None while that is not settled: in a rebalance, or
    when the client was closed in an outage and is not back yet.
    """

    def __init__(
        self,
        standings: Callable[[], Awaitable[Standings]],
        held: Callable[[], frozenset[Partition] | None],
        surroundings: Surroundings,
    ) -> None:
        self._standings = standings
        self._held = held
        self._around = surroundings
        self._told: set[Partition] = set()

    async def step(self) -> int:
        """Ask once; return 0, as there is nothing to hurry for. Raises `BrokerUnavailable`, which counts as an outage.

        aiokafka waits an outage out by itself, so that an idle ingest does not meet it.
        """
        metrics, held = self._around.metrics, self._held()
        if held is not None:
            for partition in self._told - held:  # another member tells of them now
                metrics.forget_lag(*partition)
            self._told &= held
        standings = await self._asked()
        self._around.liveness.observe(standings)
        for partition, (position, end) in standings.items():
            metrics.lag.labels(*partition).set(max(end - position, 0))
            self._told.add(partition)
        return 0

    async def _asked(self) -> Standings:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return await self._standings()
        except TimeoutError:
            raise BrokerUnavailable(f"Kafka: no answer within {CHECK_SECONDS:g} s") from None
