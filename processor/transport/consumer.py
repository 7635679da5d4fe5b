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
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka import errors as kafka

from processor.core.records import Batch
from processor.errors import BrokerUnavailable
from processor.settings import Settings
from processor.transport.careful import fetch_carefully, has_unreadable
from processor.transport.commits import Commits, Offsets
from processor.transport.connect import stop_within, translated
from processor.transport.gate import Gate
from processor.transport.records import batch_of
from processor.transport.starting import Growth, begin_at_the_ends, group_consumer

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


class _Polled(NamedTuple):
    """Records, and the generation of the assignment that they were polled under."""

    generation: int
    messages: Mapping[TopicPartition, list[ConsumerRecord]]


class _InHand(NamedTuple):
    """The batch whose context is open, not committed yet."""

    generation: int
    batch: Batch


class KafkaRecordSource:
    """One member of the group. Made by `open_source`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._polling: asyncio.Task[_Polled] | None = None
        self._in_hand: _InHand | None = None
        self._is_careful = False
        self._is_lost = False
        self._growth = Growth(settings)
        self._commits = Commits(self._send_commit)
        self.gate = Gate(settings.rebalance_timeout * REVOCATION_SHARE, self._commits)

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
            batch = batch_of(messages)
            self._in_hand = _InHand(self.gate.generation, batch)
            try:
                yield batch
            finally:
                if self._is_ours(batch):
                    self._rewind(messages)
                self._in_hand = None

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

        Not as this member has heard: one that has stopped fetching hears nothing. Empty when it is closed or opening
        (aiokafka cannot ask before it has started), or its partitions go meanwhile. Raises `BrokerUnavailable`.
        """
        consumer = self._consumer
        wanted = self._assigned() - consumer.paused() if consumer else None
        if not (consumer and wanted):
            return {}
        try:
            with translated():
                ends = await consumer.end_offsets(wanted)
                positions = {partition: await consumer.position(partition) for partition in ends}
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
        polling, self._polling = self._polling, None
        try:
            await self._commits.drop()
            if polling:
                polling.cancel()
                await asyncio.gather(polling, return_exceptions=True)
        finally:
            if consumer:
                await stop_within(_stopped(consumer), "consumer")

    async def _poll(self) -> _Polled | None:
        """Return what was polled, or None when it takes longer than the poll timeout: then it is asked again.

        What `getmany` raises is nothing that aiokafka recovers from, outages it waits out by itself: so an error
        costs the consumer, and the next poll joins with a new one.
        """
        if self._consumer is None:
            await self._reopen()
        if self._polling is None:
            self._polling = asyncio.create_task(self._fetch())
        done, _ = await asyncio.wait([self._polling], timeout=self._settings.poll_timeout)
        if not done:
            return None
        polling, self._polling = self._polling, None
        try:
            with translated():
                return polling.result()
        except UnicodeDecodeError:
            structlog.get_logger(__name__).warning("a record cannot be read: it is looked for and parked")
            self._is_careful = True
            await self.close()
            return None
        except Exception:
            await self.close()
            raise

    async def _reopen(self) -> None:
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise

    async def _fetch(self) -> _Polled:
        assert self._consumer is not None
        if self._is_careful:
            generation = self.gate.generation
            messages = await fetch_carefully(self._consumer, self._assigned(), self._settings.batch_records)
            if generation != self.gate.generation:  # it polls several times: what it has need not be in a row
                raise BrokerUnavailable("partitions went while an unreadable record was looked for: it is begun anew")
            self._is_careful = not has_unreadable(messages)
            if not messages:
                await asyncio.sleep(self._settings.poll_timeout)
        else:
            timeout_ms = int(self._settings.poll_timeout * 1000)
            messages = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=self._settings.batch_records)
        self._growth.look(self._consumer)
        # Read after `getmany`, with no await between: the records belong to the assignment of this instant.
        return _Polled(self.gate.generation, messages)

    def _assigned(self) -> frozenset[TopicPartition]:
        return frozenset(self._consumer.assignment()) if self._consumer else frozenset()

    def _is_ours(self, batch: Batch) -> bool:
        """Tell whether this is the batch in hand, and no revocation has passed it.

        Each revocation takes all partitions: aiokafka rebalances eagerly.
        """
        return self._in_hand == (self.gate.generation, batch)

    def _rewind(self, messages: Mapping[TopicPartition, list[ConsumerRecord]]) -> None:
        for partition in self._assigned() & messages.keys():
            assert self._consumer is not None
            self._consumer.seek(partition, messages[partition][0].offset)


async def _stopped(consumer: AIOKafkaConsumer) -> None:
    try:
        await consumer.stop()
    finally:
        await consumer._client.close()  # noqa: SLF001 - what a stop that was cut short has left open
