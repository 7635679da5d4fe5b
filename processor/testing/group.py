"""A consumer group in memory: who has which partitions, what is committed, and its members (see `broker.py`)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from processor.core.records import Batch, Record, batch_of
from processor.errors import BrokerUnavailable
from processor.testing.broker import MemoryBroker
from processor.testing.faults import Faults, effect, no_faults


class MemoryGroup:
    """A consumer group over one topic: its committed offsets, and which member has which partitions."""

    def __init__(self, broker: MemoryBroker, topic: str, most: int = 100) -> None:
        self.broker = broker
        self.topic = topic
        self.most = most
        self.committed: dict[int, int] = {}
        self.members: list[MemoryRecordSource] = []

    async def join(self, faults: Faults = no_faults) -> "MemoryRecordSource":
        """Add a member and rebalance."""
        member = MemoryRecordSource(self, faults)
        self.members.append(member)
        await self.rebalance()
        return member

    async def leave(self, member: "MemoryRecordSource") -> None:
        """Remove a member, alive or crashed, and rebalance; what it has in hand can no longer be committed."""
        self.members.remove(member)
        member.take([])
        await self.rebalance()

    async def rebalance(self) -> None:
        """Spread the partitions anew, after the batches in hand are done."""
        async with AsyncExitStack() as stack:
            for member in tuple(self.members):
                await stack.enter_async_context(member.awaited())
            self.spread()

    def spread(self) -> None:
        """Spread the partitions anew at once, as when the members' deadline passed with batches in hand."""
        for place, member in enumerate(self.members):
            member.take(range(place, self.broker.partitions, len(self.members)))

    def assign(self, member: "MemoryRecordSource", partitions: Iterable[int]) -> None:
        """Give partitions to a member at once, taking them from who has them."""
        taken = set(partitions)
        for other in self.members:
            if other is not member and taken & other.partitions:
                other.take(other.partitions - taken)
        member.take(member.partitions | taken)

    def revoke(self, member: "MemoryRecordSource") -> None:
        """Take all partitions from a member at once, and give them to nobody."""
        member.take([])

    def redeliver(self, member: "MemoryRecordSource") -> None:
        """Let a member begin again at the committed offsets, as after a rebalance that changed nothing."""
        member.take(member.partitions)


class MemoryRecordSource:
    """`ports.RecordSource`: one member of a `MemoryGroup`, made by `join`."""

    def __init__(self, group: MemoryGroup, faults: Faults = no_faults) -> None:
        self.gate = asyncio.Lock()
        self._group = group
        self._faults = faults
        self._generation = 0
        self._positions: dict[int, int] = {}
        self._in_hand: tuple[int, Batch] | None = None
        self._awaiting = 0
        self._failed: BrokerUnavailable | None = None
        self._polled: tuple[int, Sequence[Record]] | None = None

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that the member has."""
        return frozenset(self._positions)

    @property
    def assignment(self) -> frozenset[tuple[str, int]]:
        """The same as (topic, number)."""
        return frozenset((self._group.topic, number) for number in self._positions)

    @asynccontextmanager
    async def awaited(self) -> AsyncIterator[None]:
        """Called by the group: wait for the batch in hand, and hold the next one back."""
        self._awaiting += 1
        try:
            async with self.gate:
                yield
        finally:
            self._awaiting -= 1

    def take(self, partitions: Iterable[int]) -> None:
        """Called by the group: have exactly these partitions, from their committed offsets on."""
        self._generation += 1
        self._positions = {number: self._group.committed.get(number, 0) for number in sorted(partitions)}

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[Batch]:
        """Poll once; see `ports.RecordSource.batch`. Never waits for records."""
        generation, records = await self._poll()
        async with self.gate:
            batch = batch_of(records if generation == self._generation else ())
            self._in_hand = self._generation, batch
            try:
                yield batch
            finally:
                self._rewind()

    async def more(self, batch: Batch, until: Awaitable[object]) -> Batch | None:
        """Poll once more; see `ports.RecordSource.more`. Never waits for records.

        As with Kafka the poll that has got nothing goes on, and gets something in the end: that comes next.
        """
        over = asyncio.ensure_future(until)
        if self._is_ours(batch) and not over.done():
            more = await self._go_on(batch)
            if more:
                return more
        await asyncio.wait([over])
        if not (self._failed or self._polled or self._awaiting) and (records := self._fetch()):
            self._polled = self._generation, records
        return None

    async def _go_on(self, batch: Batch) -> Batch | None:
        if self._failed or self._awaiting:
            return None
        try:
            polled = self._polled or await self._fetched()
        except BrokerUnavailable as error:
            self._failed = error
            return None
        except BaseException:
            self.take(self.partitions)
            raise
        self._polled = polled
        if not self._is_ours(batch):
            return None
        self._polled = None
        if not polled[1]:
            return None
        more = batch.then(batch_of(polled[1]))
        self._in_hand = self._generation, more
        return more

    async def commit(self, batch: Batch) -> bool:
        """Commit exactly this batch; see `ports.RecordSource.commit` (I1).

        The group decides when the commit arrives there, not when it is sent.
        """
        async with effect(self._faults, "commit"):
            is_ours = self._is_ours(batch)
            if is_ours:
                self._group.committed |= {number: offset for (_, number), offset in batch.offsets.items()}
        if is_ours:
            self._in_hand = None
        return is_ours

    def _rewind(self) -> None:
        """Go back to the first records of the batch in hand, if it is not committed, nor another's by now.

        Also to those of what was polled after it and not taken: that would come before them.
        """
        in_hand, self._in_hand = self._in_hand, None
        if in_hand and in_hand[0] == self._generation and in_hand[1].starts:
            (_, later), self._polled = self._polled or (0, ()), None
            for starts in (batch_of(later).starts, in_hand[1].starts):
                self._positions |= {number: offset for (_, number), offset in starts.items()}

    def _is_ours(self, batch: Batch) -> bool:
        return self._in_hand == (self._generation, batch)

    async def _poll(self) -> tuple[int, Sequence[Record]]:
        """Return records and the generation of the assignment that they were polled under.

        A rebalance can come before and after. A poll that fails costs the consumer: a new one begins at the
        committed offsets, so that nothing is passed over.
        """
        polled, self._polled = self._polled, None
        failed, self._failed = self._failed, None
        try:
            polled = polled or await self._fetched(failed)
        except BaseException:
            self.take(self.partitions)
            raise
        await asyncio.sleep(0)
        return polled

    async def _fetched(self, failed: BrokerUnavailable | None = None) -> tuple[int, Sequence[Record]]:
        if failed:
            raise failed
        async with effect(self._faults, "poll"):
            return self._generation, self._fetch()

    def _fetch(self) -> Sequence[Record]:
        records: list[Record] = []
        for number, position in self._positions.items():
            records += self._group.broker.log(self._group.topic, number)[position:][: self._group.most - len(records)]
        for record in records:
            self._positions[record.partition] = record.offset + 1
        return records
