"""Reading a batch in which a header's name is not UTF-8, with aiokafka's own Python code.

aiokafka 0.14 reads the records of a producer's batch from its first one on, and raises at such a name: no position
within the batch passes it. So the batch is fetched once more, by a request of our own, and read leniently.
"""

from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka import errors as kafka
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

FETCH_MS = 500


@dataclass
class Unreadable(ConsumerRecord):  # type: ignore[misc]  # aiokafka's class is untyped
    """A record with such a name, escaped. Its value is `content`; as `value` it could be taken for a statement."""

    content: bytes | None = None


async def read_batch(consumer: AIOKafkaConsumer, partition: TopicPartition) -> list[ConsumerRecord]:
    """Return the rest of the batch in which the position lies, and set the position after it.

    Its bad records come as `Unreadable`. Nothing comes of a batch without records, nor of a position that is gone.
    """
    position = await consumer.position(partition)
    isolation = consumer._fetcher._isolation_level  # noqa: SLF001
    # However little is asked for, brokers give the first batch whole.
    places = [(partition.topic, [(partition.partition, position, 1)])]
    response = await _sent(consumer, partition, FetchRequest(FETCH_MS, 1, 1, isolation, places))
    [(_, [(_, code, _, *rest)])] = response.topics
    if code == kafka.OffsetOutOfRangeError.errno:
        return []
    if code:
        raise kafka.for_code(code)
    aborted = rest[-3] if response.API_VERSION >= 11 else rest[-2]
    records = PartitionRecords(partition, _Batches(rest[-1]), aborted, position, None, None, True, isolation)
    messages = [_told(message) for message in records]
    consumer.seek(partition, records.next_fetch_offset)
    return messages


async def _sent(consumer: AIOKafkaConsumer, partition: TopicPartition, request: FetchRequest) -> Any:
    client = consumer._client  # noqa: SLF001
    leader = client.cluster.leader_for_partition(partition)
    if leader in {None, -1}:
        raise kafka.LeaderNotAvailableError(f"{partition.topic}-{partition.partition}")
    return await client.send(leader, request)


def _told(message: ConsumerRecord) -> ConsumerRecord:
    if not any(isinstance(name, _Escaped) for name, _ in message.headers):
        return message
    headers = tuple((str(name), value) for name, value in message.headers)
    return Unreadable(**vars(message) | {"value": None, "headers": headers, "content": message.value})


class _Escaped(str):
    """A header's name in which the bytes that are not UTF-8 are written as their hexadecimal escapes."""

    __slots__ = ()


class _Bytes(bytearray):
    """What a batch holds; the only text in it are the names of headers."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Bytes(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        try:
            return super().decode(encoding, errors)
        except UnicodeDecodeError:
            return _Escaped(super().decode(encoding, "backslashreplace"))


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Bytes(self._buffer)


class _Batches(_MemoryRecordsPy):  # type: ignore[misc]
    def next_batch(self) -> Any:
        """Return the next batch; the formats before headers are read as ever."""
        piece = self._next_slice
        batch = super().next_batch()
        return _Batch(piece) if piece[self.MAGIC_OFFSET] >= 2 else batch
