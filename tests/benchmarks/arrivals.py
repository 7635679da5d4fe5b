"""Fetches of the progress topic as they arrive, unread: what a consumer makes of them would take time of what is timed.

aiokafka's own consumer took half of what the harness takes of the core that it shares with the process under test.
"""

import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords

from processor.settings import Settings

WAIT_MS = 100
"""How long a broker waits for something to come."""

FETCH_BYTES = 1_048_576

HEAD = struct.Struct(">qi11xi")
"""Of a batch: the offset of its first record, how long it is from the third field on, and how many follow the first."""

LEFT_OUT = 12
"""Bytes before what a batch's length counts."""


class Arrivals:
    """What is fetched of one partition, from its present end on. Made by `arriving`."""

    def __init__(self, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> None:
        self._client = consumer._client
        self._partition = partition
        self._offset = offset

    async def next(self) -> tuple[float, bytes]:
        """Return what comes next and when it was there, on `perf_counter`; nothing, when nothing came for a moment."""
        topic, number = self._partition
        node = self._client.cluster.leader_for_partition(self._partition)
        asked = [(topic, [(number, self._offset, FETCH_BYTES)])]
        answer = await self._client.send(node, FetchRequest(WAIT_MS, 1, FETCH_BYTES, 0, asked))
        now = time.perf_counter()
        [(_, [(_, code, *_, data)])] = answer.topics
        if code:
            raise for_code(code)(f"{topic}-{number} cannot be fetched")
        self._offset = _end(data, self._offset)
        return now, data


@asynccontextmanager
async def arriving(settings: Settings) -> AsyncIterator[Arrivals]:
    """Fetch the progress topic's one partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers)
    await consumer.start()
    try:
        partition = TopicPartition(settings.progress_topic, 0)
        ends = await consumer.end_offsets([partition])
        yield Arrivals(consumer, partition, ends[partition])
    finally:
        await consumer.stop()


def values_in(data: bytes) -> Iterator[bytes]:
    """Yield the values of what was fetched."""
    records = MemoryRecords(data)
    while records.has_next():
        batch = records.next_batch()
        assert batch is not None
        for record in batch:
            assert record.value is not None
            yield record.value


def _end(data: bytes, offset: int) -> int:
    """Return the offset after the last whole batch."""
    place = 0
    while place + HEAD.size <= len(data):
        first, length, more = HEAD.unpack_from(data, place)
        place += LEFT_OUT + length
        if place <= len(data):
            offset = first + more + 1
    return offset
