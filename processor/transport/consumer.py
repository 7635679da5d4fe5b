"""The consumer group: `ports.RecordSource` with a gate that rebalances wait at.

aiokafka 0.14, learnt from its source:

- `getmany` waits for a rebalance to end, and the rebalance waits for the listener: so `getmany` never runs inside
  the gate that the listener takes, or both wait for ever (architecture.md, trap 5). It runs as a task of its own,
  because a long rebalance would hold the loop back from its other duties, and because it must not be cancelled: it
  would count as polling for ever, and `max_poll_interval` would never be noticed;
- exceptions in the listener are swallowed: it only waits, counts and logs;
- one partition that is not assigned fails a whole commit: a batch from before a revocation is not committed at all;
- its rebalance timeout is the session timeout unless set, and joining a group is one request that lasts as long as
  the rebalance: the request timeout must be longer;
- a record that it cannot read ends every `getmany`: see `careful.py` and `lenient.py`;
- a commit is tried again for as long as an outage lasts: it needs a deadline;
- a commit that is still tried when the group has moved on would be sent under the new generation: it has to be ended.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka

from processor.core.records import Batch
from processor.settings import Settings
from processor.transport.commits import Commits, Offsets
from processor.transport.connect import stop_within, translated
from processor.transport.gate import Gate
from processor.transport.polling import Polled, Polling
from processor.transport.records import batch_of
from processor.transport.runs import give_runs
from processor.transport.starting import begin_at_the_ends, group_consumer

REVOCATION_SHARE = 0.5
"""Share of the rebalance timeout that a revocation waits for the batch in hand."""

TURNS = 4
"""Turns that aiokafka's tasks get to ask for the next records before these are worked on."""


@asynccontextmanager
async def open_source(settings: Settings) -> AsyncIterator["KafkaRecordSource"]:
    """Join the consumer group; leave it at the end. Raises `BrokerUnavailable`, `Misfit` or `InvalidSettings`.

    Returns once connected, without waiting for partitions: batches are empty until the group has settled.
    """
    source = KafkaRecordSource(settings)
    try:
        await source.open()
        yield source
    finally:
        await source.close()


class _InHand(NamedTuple):
    """The batch whose context is open, not committed yet."""

    generation: int
    batch: Batch


class KafkaRecordSource:
    """One member of the group. Made by `open_source`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._in_hand: _InHand | None = None
        self._is_lost = False
        self._commits = Commits(self._send_commit)
        self.gate = Gate(settings.rebalance_timeout * REVOCATION_SHARE, self._commits)
        self._polling = Polling(settings, self.gate)

    @property
    def assignment(self) -> frozenset[tuple[str, int]]:
        """The partitions that this member has at the moment, as (topic, number)."""
        return frozenset((partition.topic, partition.partition) for partition in self._assigned())

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[Batch]:
        """Poll once and hold rebalances back meanwhile; see `ports.RecordSource.batch`.

        A batch that is left without a commit is taken again: the positions go back to its first records.
        """
        self._commits.go_on()
        polled = await self._poll()
        for _ in range(TURNS):
            await asyncio.sleep(0)
        async with self.gate.lock:
            # What was polled before a revocation is dropped: the positions have gone back to the committed offsets.
            messages = polled.messages if polled and polled.generation == self.gate.generation else {}
            self._in_hand = _InHand(self.gate.generation, batch_of(messages))
            try:
                yield self._in_hand.batch
            finally:
                self._rewind()

    async def more(self, batch: Batch, until: Awaitable[object]) -> Batch | None:
        """Poll once more; see `ports.RecordSource.more`. A poll that goes on when `until` is done is the next batch's.

        aiokafka lets it wait from the moment on that a rebalance begins. One that ends under another assignment is left
        where it is: its records come next. A careful poll cannot be told to go back, so none is begun here.
        """
        over = asyncio.ensure_future(until)
        while self._consumer and not (over.done() or self._polling.is_careful):
            await asyncio.wait([self._polling.of(self._consumer), over], return_when=asyncio.FIRST_COMPLETED)
            if self._polling.has_failed or not self._is_ours(batch):
                break
            polled = self._polling.take()
            if polled and polled.messages:
                more = batch.then(batch_of(polled.messages))
                self._in_hand = _InHand(polled.generation, more)  # at once: it goes back with the rest
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                return more
        await asyncio.wait([over])
        return None

    async def commit(self, batch: Batch) -> bool:
        """Commit exactly this batch; see `ports.RecordSource.commit` (I1). Only within the batch's context."""
        await self._commits.room()
        if not self._is_ours(batch):
            return False
        self._commits.give({TopicPartition(*key): offset for key, offset in batch.offsets.items()})
        self._in_hand = None
        is_lost, self._is_lost = self._is_lost, False
        return not is_lost

    async def _send_commit(self, offsets: Offsets) -> None:
        assert self._consumer is not None
        try:
            with translated():
                async with asyncio.timeout(self._settings.session_timeout):  # after that the group has moved on anyway
                    await self._consumer.commit(offsets)
        except (kafka.CommitFailedError, kafka.IllegalStateError) as error:
            self._is_lost = True
            structlog.get_logger(__name__).warning(
                "the group has moved on, the records come again",
                offsets={f"{it.topic}-{it.partition}": offset for it, offset in offsets.items()},
                error=type(error).__name__,
            )

    async def standings(self) -> Mapping[tuple[str, int], tuple[int, int]]:
        """Return the position and the end of each partition that is assigned and not paused, as the brokers know it.

        Not as this member has heard: one that has stopped fetching hears nothing. What was polled and not taken is
        still to come. Empty when it is closed or opening (aiokafka cannot ask before it has started), or its
        partitions go meanwhile. Raises `BrokerUnavailable`.
        """
        consumer = self._consumer
        wanted = self._assigned() - consumer.paused() if consumer else None
        if not (consumer and wanted):
            return {}
        try:
            with translated():
                ends = await consumer.end_offsets(wanted)
                positions = {partition: await consumer.position(partition) for partition in ends}
                positions |= {
                    partition: first for partition, first in self._polling.untaken.items() if partition in ends
                }
        except (kafka.IllegalStateError, kafka.ConsumerStoppedError):  # revoked, or closed, meanwhile
            return {}
        return {(it.topic, it.partition): (position, ends[it]) for it, position in positions.items()}

    async def open(self) -> None:
        """Connect and ask to join. Raises `BrokerUnavailable`, `Misfit` or `InvalidSettings`."""
        if self._settings.auto_offset_reset == "latest":
            await begin_at_the_ends(self._settings)
        self._consumer = group_consumer(self._settings)
        with translated():
            await self._consumer.start()
        give_runs(self._consumer)
        self._consumer.subscribe([self._settings.statements_topic], listener=self.gate)

    async def close(self) -> None:
        """Commit, leave the group and disconnect; if that takes too long, the group waits for the session timeout."""
        try:
            await stop_within(self._commits.settle(), "commits")
        finally:
            await self._disconnect()

    async def _disconnect(self) -> None:
        consumer, self._consumer = self._consumer, None
        self.gate.is_settled = False
        try:
            await self._commits.drop()
            await self._polling.stop()
        finally:
            if consumer:
                await stop_within(_stopped(consumer), "consumer")

    async def _poll(self) -> Polled | None:
        """Return what was polled, or None when it takes longer than the poll timeout: then it is asked again.

        What `getmany` raises is nothing that aiokafka recovers from, outages it waits out by itself: so an error
        costs the consumer, and the next poll joins with a new one.
        """
        consumer = self._consumer or await self._reopened()
        await asyncio.wait([self._polling.of(consumer)], timeout=self._settings.poll_timeout)
        try:
            with translated():
                return self._polling.take()
        except UnicodeDecodeError:
            structlog.get_logger(__name__).warning("a record cannot be read: it is looked for and parked")
            self._polling.is_careful = True
            await self.close()
            return None
        except Exception:
            await self.close()
            raise

    async def _reopened(self) -> AIOKafkaConsumer:
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self._consumer

    def _assigned(self) -> frozenset[TopicPartition]:
        return frozenset(self._consumer.assignment()) if self._consumer else frozenset()

    def _is_ours(self, batch: Batch) -> bool:
        """Tell whether this is the batch in hand, and no revocation has passed it.

        Each revocation takes all partitions: aiokafka rebalances eagerly.
        """
        return self._in_hand == (self.gate.generation, batch)

    def _rewind(self) -> None:
        """Go back to the first records of the batch in hand, if it is not committed, nor another's by now.

        Also to those of what was polled after it and not taken: that would come before them.
        """
        in_hand, self._in_hand = self._in_hand, None
        if in_hand is None or in_hand.generation != self.gate.generation or not in_hand.batch.starts:
            return
        batch = {TopicPartition(*key): offset for key, offset in in_hand.batch.starts.items()}
        firsts = {**self._polling.untaken, **batch}
        if not self._polling.has_failed:
            self._polling.take()
        for partition in self._assigned() & firsts.keys():
            assert self._consumer is not None
            self._consumer.seek(partition, firsts[partition])


async def _stopped(consumer: AIOKafkaConsumer) -> None:
    try:
        await consumer.stop()
    finally:
        await consumer._client.close()  # noqa: SLF001 - what a stop that was cut short has left open
