"""The consumer group: `ports.RecordSource` with a gate that rebalances wait at.

aiokafka 0.14, learnt from its source:

- `getmany` waits for a rebalance to end, and the rebalance waits for the listener: so `getmany` never runs inside
  the gate that the listener takes, or both wait for ever (architecture.md, trap 5);
- exceptions in the listener are swallowed: it only waits, counts and logs;
- one partition that is not assigned fails a whole commit: they are left out;
- its rebalance timeout is the session timeout unless set;
- when `getmany` returns records, they belong to the assignment of that instant.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka import errors as kafka

from processor.core.records import Batch, Record
from processor.settings import Settings
from processor.transport.connect import connection, translated

REVOCATION_SHARE = 0.5
"""Share of the rebalance timeout that a revocation waits for the batch in hand."""


@asynccontextmanager
async def open_source(settings: Settings) -> AsyncIterator["KafkaRecordSource"]:
    """Join the consumer group; leave it at the end. Raises `BrokerUnavailable`, `Misfit` or `InvalidSettings`."""
    consumer = AIOKafkaConsumer(
        **connection(settings),
        group_id=settings.consumer_group,
        group_instance_id=settings.group_instance_id,
        enable_auto_commit=False,
        auto_offset_reset=settings.auto_offset_reset,
        isolation_level="read_committed",
        session_timeout_ms=int(settings.session_timeout * 1000),
        heartbeat_interval_ms=int(settings.session_timeout * 1000 / 10),
        rebalance_timeout_ms=int(settings.rebalance_timeout * 1000),
        max_poll_interval_ms=int(settings.max_poll_interval * 1000),
        max_partition_fetch_bytes=max(settings.kafka_max_message_bytes, 1_048_576),
        fetch_max_wait_ms=100,
    )
    source = KafkaRecordSource(consumer, settings)
    consumer.subscribe([settings.statements_topic], listener=source.listener)
    try:
        with translated():
            await consumer.start()
        yield source
    finally:
        await consumer.stop()


class KafkaRecordSource:
    """One member of the group. Made by `open_source`."""

    def __init__(self, consumer: AIOKafkaConsumer, settings: Settings) -> None:
        self._consumer = consumer
        self._timeout_ms = int(settings.poll_timeout * 1000)
        self._most = settings.batch_records
        self.listener = _Gate(settings.rebalance_timeout * REVOCATION_SHARE)
        self._committed: Batch | None = None
        self._positions: dict[TopicPartition, int] = {}

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[Batch]:
        """Poll once and hold rebalances back meanwhile; see `ports.RecordSource.batch`.

        A batch that is left without a commit is taken again: the positions go back to its first records.
        """
        with translated():
            fetched = await self._consumer.getmany(timeout_ms=self._timeout_ms, max_records=self._most)
        async with self.listener.gate:
            generation = self.listener.generation
            batch = batch_of(fetched)
            self._positions.update({TopicPartition(*key): offset for key, offset in batch.offsets.items()})
            try:
                yield batch
            finally:
                is_ours_still = generation == self.listener.generation
                if batch.records and self._committed is not batch and is_ours_still:
                    self._rewind(fetched)
                self._committed = None

    async def commit(self, batch: Batch) -> bool:
        """Commit exactly this batch; see `ports.RecordSource.commit` (I1)."""
        assigned = self._consumer.assignment()
        offsets = {
            partition: offset
            for (topic, number), offset in batch.offsets.items()
            if (partition := TopicPartition(topic, number)) in assigned
        }
        self._committed = batch  # whatever comes of it, these records need not be taken again by this member
        if not offsets:
            return False
        try:
            with translated():
                await self._consumer.commit(offsets)
        except (kafka.CommitFailedError, kafka.IllegalStateError) as error:
            structlog.get_logger(__name__).warning(
                "the group has moved on, the records come again", span=batch.span, error=str(error)
            )
            return False
        return len(offsets) == len(batch.offsets)

    def lag(self) -> Mapping[tuple[str, int], int]:
        """Return how many records of each partition were not polled yet, as far as this member has heard."""
        lags = {}
        for partition, position in self._positions.items():
            end = self._consumer.highwater(partition) if partition in self._consumer.assignment() else None
            if end is not None:
                lags[partition.topic, partition.partition] = max(end - position, 0)
        return lags

    def _rewind(self, fetched: Mapping[TopicPartition, list[ConsumerRecord]]) -> None:
        assigned = self._consumer.assignment()
        for partition, records in fetched.items():
            if partition in assigned:
                self._consumer.seek(partition, records[0].offset)


class _Gate(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka's class is untyped
    """Makes a revocation wait for the batch in hand, up to a deadline; `generation` counts revocations."""

    def __init__(self, deadline: float) -> None:
        self.gate = asyncio.Lock()
        self.generation = 0
        self._deadline = deadline

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Called by aiokafka before it rejoins; the group waits meanwhile."""
        log = structlog.get_logger(__name__)
        try:
            async with asyncio.timeout(self._deadline), self.gate:
                pass
        except TimeoutError:
            log.warning("partitions go with a batch in hand: its records come again", partitions=_names(revoked))
        self.generation += 1
        if revoked:
            log.info("partitions revoked", partitions=_names(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Called by aiokafka when the group has settled."""
        structlog.get_logger(__name__).info("partitions assigned", partitions=_names(assigned))


def batch_of(fetched: Mapping[TopicPartition, list[ConsumerRecord]]) -> Batch:
    """Turn what aiokafka polled into a `Batch`."""
    records = tuple(record_of(message) for messages in fetched.values() for message in messages)
    offsets = {
        (partition.topic, partition.partition): messages[-1].offset + 1
        for partition, messages in fetched.items()
        if messages
    }
    return Batch(records, offsets)


def record_of(message: ConsumerRecord) -> Record:
    """Turn aiokafka's record into ours."""
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=message.timestamp,
        value=message.value,
        key=message.key,
        headers=tuple(message.headers),
    )


def _names(partitions: set[TopicPartition]) -> list[str]:
    return sorted(f"{partition.topic}-{partition.partition}" for partition in partitions)
